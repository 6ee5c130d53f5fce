"""A receiver of alerts: takes every POST, or answers with another status."""
import http.server
import json
import threading


class Receiver(http.server.ThreadingHTTPServer):
    def __init__(self):
        self.taken, self.status, self.answer = [], 200, b"ok"
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.taken.append((self.path, dict(self.headers), body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *args):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, path):
        """(headers, JSON, body) of what came to a path."""
        return [(headers, json.loads(body), body) for p, headers, body in self.taken if p.startswith(path)]

    def close(self):
        self.shutdown()
        self.server_close()
