"""What GitHub and GitLab answer of comments, as far as a job uses it: lists in pages, new ones, changed ones."""
import http.server
import json
import re
import threading
import urllib.parse

TOKEN = "forge-token"
BOT = {"login": "github-actions[bot]", "id": 7}
STRANGER = {"login": "mallory", "id": 8}


class Forge:
    def __init__(self):
        self.comments, self.asked, self.busy, self.refuses = [], [], 0, False
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, body, author=STRANGER):
        self.comments.append({"id": 100 + len(self.comments), "body": body, "user": author, "author": author, "system": False})

    def own(self):
        return [c["body"] for c in self.comments if c["author"] == BOT]

    def github(self, event, folder):
        """The environment of a job of GitHub Actions."""
        path = folder / "event.json"
        path.write_text(json.dumps(event), encoding="utf-8")
        return {"GITHUB_ACTIONS": "true", "GITHUB_API_URL": self.url, "GITHUB_REPOSITORY": "ana/shop", "GITHUB_EVENT_PATH": str(path), "GITHUB_TOKEN": TOKEN}

    def gitlab(self):
        return {"CI_API_V4_URL": self.url + "/api/v4", "CI_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "5", "GITLAB_TOKEN": TOKEN}

    def _answer(self, method, path, query, body):
        if path == "/api/v4/user":
            return 200, BOT
        lists = r"/repos/ana/shop/issues/5/comments|/api/v4/projects/3/merge_requests/5/notes"
        one = re.fullmatch(r"(?:/repos/ana/shop/issues/comments|/api/v4/projects/3/merge_requests/5/notes)/(\d+)", path)
        if method == "GET" and re.fullmatch(lists, path):
            size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
            return 200, self.comments[(page - 1) * size:page * size]
        if method == "POST" and re.fullmatch(lists, path):
            self.add(body["body"], BOT)
            return 201, self.comments[-1]
        if one and method == ("PATCH" if path.startswith("/repos") else "PUT"):
            found, = [c for c in self.comments if c["id"] == int(one[1])]
            found["body"] = body["body"]
            return 200, found
        return 404, {"message": f"no {method} {path}"}

    def _handler(forge):
        class Handler(http.server.BaseHTTPRequestHandler):
            def _do(self):
                where = urllib.parse.urlsplit(self.path)
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
                forge.asked.append((self.command, where.path))
                allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}" or self.headers.get("PRIVATE-TOKEN") == TOKEN
                if forge.busy:
                    forge.busy -= 1
                    status, answer = 502, {"message": "busy"}
                elif not allowed or forge.refuses:
                    status, answer = 403, {"message": "Resource not accessible by integration"}
                else:
                    status, answer = forge._answer(self.command, where.path, dict(urllib.parse.parse_qsl(where.query)), body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_PUT = _do

            def log_message(self, *args):
                pass
        return Handler
