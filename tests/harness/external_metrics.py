"""A stand-in for prometheus-adapter and the Prometheus behind it: the API external.metrics.k8s.io of a cluster, over HTTPS.

It reads the rules that are shipped for the adapter, so that a metric which they do not name is not there, and answers with what
`read` gives: a list of scrapes (harness.metrics.Metrics), each of one target in the namespace. Every question is kept in `asked`.
Sources: kubernetes.io, external.metrics.k8s.io/v1beta1; prometheus-adapter, docs/externalmetrics.md.
"""
import base64
import http.server
import json
import re
import ssl
import threading
import time

from .redis import certificates

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
SERVICE = "external-metrics"
SUM = "sum(<<.Series>>{<<.LabelMatchers>>})"  # the one query that this stand-in knows how to answer


class ExternalMetrics:
    def __init__(self, rules, namespace, folder, read):
        self.namespace, self.read, self.asked = namespace, read, []  # (s, value)
        self.names = set()
        for rule in rules["rules"]["external"]:
            assert rule["metricsQuery"] == SUM and rule["resources"]["overrides"]["namespace"] == {"resource": "namespace"}, rule
            self.names.add(re.search(r'__name__="(\w+)"', rule["seriesQuery"])[1])
        self.ca, certificate, key = certificates(folder, f"DNS:{SERVICE}.{namespace}.svc")
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, answer = outer.answer(self.path.split("?")[0])
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def manifests(self):
        """What makes the API server ask here."""
        authority = base64.b64encode(self.ca.read_bytes()).decode()
        return [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": self.namespace},
                 "spec": {"type": "ExternalName", "externalName": "localhost"}},
                {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"{VERSION}.{GROUP}"},
                 "spec": {"group": GROUP, "version": VERSION, "groupPriorityMinimum": 100, "versionPriority": 100,
                          "caBundle": authority, "service": {"name": SERVICE, "namespace": self.namespace, "port": self.server.server_port}}}]

    def answer(self, path):
        """(status, object) for a path of the API."""
        base = f"/apis/{GROUP}/{VERSION}"
        if path == base:
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}", "resources": [
                {"name": name, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]} for name in sorted(self.names)]}
        asked = re.fullmatch(rf"{base}/namespaces/([^/]+)/([^/]+)", path)
        if not asked or asked[1] != self.namespace or asked[2] not in self.names:
            return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": f"no metric at {path}"}
        try:
            value = sum(v for scrape in self.read() for (name, _), v in scrape.samples.items() if name == asked[2])
        except OSError as error:
            return 503, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 503, "message": str(error)}
        now = time.time()
        self.asked.append((now, value))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return 200, {"kind": "ExternalMetricValueList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {},
                     "items": [{"metricName": asked[2], "metricLabels": {}, "timestamp": stamp, "value": f"{round(value * 1000)}m"}]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
