"""A plain HTTP client for the fake vendors' own tests."""
import base64
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request


class Client:
    """Speaks to one vendor with the headers given."""

    def __init__(self, url, **headers):
        self.url, self.headers = url, {name.replace("_", "-"): value for name, value in headers.items()}

    def send(self, method, path, doc=None, raw=None, **headers):
        """Returns (status, parsed body or text, headers)."""
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if doc is not None:
            raw = json.dumps(doc).encode()
            sent.setdefault("Content-Type", "application/json")
        url = path if path.startswith("http") else self.url + path
        request = urllib.request.Request(url, data=raw, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return self.read(answer)
        except urllib.error.HTTPError as answer:
            return self.read(answer)

    @staticmethod
    def read(answer):
        text = answer.read().decode()
        try:
            return answer.status, json.loads(text), answer.headers
        except ValueError:
            return answer.status, text, answer.headers

    def post(self, path, doc=None, **options):
        return self.send("POST", path, doc, **options)

    def get(self, path, **options):
        return self.send("GET", path, **options)

    def form(self, path, **fields):
        return self.send("POST", path, raw=urllib.parse.urlencode(fields).encode(),
                         Content_Type="application/x-www-form-urlencoded")


def signed(private, claims):
    """A JWT signed with RS256 by a private key file."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", private], input=b".".join(parts), capture_output=True,
                               check=True).stdout
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
