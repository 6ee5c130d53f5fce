"""Credentials as vendors keep them: access tokens that end, refresh tokens that are replaced, signed assertions."""
import base64
import hashlib
import json
import subprocess
import time

SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")  # DigestInfo of RFC 8017, 9.2


class Tokens:
    """Access tokens with a life in seconds and in requests; refresh tokens, replaced at each use when rotating."""

    def __init__(self, first=None, refresh="refresh-0", life_s=3600.0, requests=None, rotate=False):
        self.life_s, self.requests, self.rotate = life_s, requests, rotate
        self.refresh, self.used_refresh = refresh, set()
        self.issued = 0
        self._tokens = {}  # token -> [ends, requests left]
        if first:
            self._add(first, float("inf"), requests)

    def _add(self, token, ends, requests):
        self._tokens[token] = [ends, float("inf") if requests is None else requests]
        return token

    def issue(self):
        """A new access token; those before stay valid for their own time."""
        self.issued += 1
        return self._add(f"access-{self.issued}-{hashlib.sha256(str(self.issued).encode()).hexdigest()[:12]}",
                         time.monotonic() + self.life_s, self.requests)

    def newest(self):
        """The newest token still valid and the seconds left to it, or None."""
        for token, (ends, left) in reversed(self._tokens.items()):
            if ends > time.monotonic() and left > 0:
                return token, min(self.life_s, ends - time.monotonic())
        return None

    def use(self, token):
        """ok, expired or unknown; counts a request."""
        state = self._tokens.get(token)
        if state is None:
            return "unknown"
        if state[0] <= time.monotonic() or state[1] <= 0:
            return "expired"
        state[1] -= 1
        return "ok"

    def expire(self):
        for state in self._tokens.values():
            state[0] = float("-inf")

    def redeem(self, refresh):
        """ok, used (it was replaced) or unknown; replaces the refresh token when rotating."""
        if refresh != self.refresh:
            return "used" if refresh in self.used_refresh else "unknown"
        if self.rotate:
            self.used_refresh.add(refresh)
            self.refresh = f"refresh-{len(self.used_refresh)}"
        return "ok"


def bearer(call, scheme="bearer"):
    """The credentials after the scheme's name, or None."""
    kind, _, value = call.headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == scheme.lower() and value.strip() else None


def basic(call):
    """(user, password) of a Basic header, or None."""
    value = bearer(call, "basic")
    try:
        user, colon, password = base64.b64decode(value or "", validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if colon else None


# ---- RS256 ----

def make_key(folder, name="key"):
    """Writes an RSA key pair with openssl; returns the paths of the private (PKCS #8) and the public key."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private],
                   check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _der(data, at=0):
    """(tag, content, end) of the DER element at a position."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(data[at:at + size], "big"), at + size
    return tag, data[at:at + length], at + length


def public_numbers(pem):
    """(modulus, exponent) of a PEM 'PUBLIC KEY'."""
    body = "".join(line for line in pem.splitlines() if line and not line.startswith("-----"))
    _, info, _ = _der(base64.b64decode(body))
    _, _, after = _der(info)
    _, bits, _ = _der(info, after)
    _, key, _ = _der(bits[1:])
    _, modulus, after = _der(key)
    _, exponent, _ = _der(key, after)
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def read_assertion(text, public_pem):
    """The claims of a JWT signed with RS256; ValueError says what is wrong with it."""
    parts = text.split(".")
    if len(parts) != 3:
        raise ValueError("an assertion has three parts")
    if any("=" in part for part in parts):
        raise ValueError("base64url without padding is required")
    head = json.loads(unpadded(parts[0]))
    if head.get("alg") != "RS256":
        raise ValueError(f"alg is {head.get('alg')}, not RS256")
    modulus, exponent = public_numbers(public_pem)
    size = (modulus.bit_length() + 7) // 8
    signature = unpadded(parts[2])
    opened = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    digest = SHA256_PREFIX + hashlib.sha256(f"{parts[0]}.{parts[1]}".encode()).digest()
    if len(signature) != size or opened != b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest:
        raise ValueError("the signature does not fit the key")
    return json.loads(unpadded(parts[1]))


def check_claims(claims, wanted, longest_s):
    """ValueError unless the claims have the wanted values and a time that holds now and for at most longest_s."""
    for name, value in wanted.items():
        if claims.get(name) not in (value if isinstance(value, (tuple, list)) else (value,)):
            raise ValueError(f"{name} is {claims.get(name)!r}, not {value!r}")
    now = time.time()
    if not now < claims.get("exp", 0) <= now + longest_s + 60:
        raise ValueError(f"exp is {claims.get('exp')}: passed, or more than {longest_s} s ahead")
