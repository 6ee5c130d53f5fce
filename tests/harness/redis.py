"""A throwaway redis-server that the project points to, on a unix socket, TCP or TLS."""
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import redis

from .sink import wait_until


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def certificates(folder, names="DNS:localhost,IP:127.0.0.1"):
    """A certificate for this machine, or other names, signed by an authority of its own: (ca, certificate, key)."""
    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ca_key, ca = folder / "ca.key", folder / "ca.crt"
    key, csr, crt, extra = folder / "k.key", folder / "k.csr", folder / "k.crt", folder / "names"
    extra.write_text(f"subjectAltName={names}\n", encoding="utf-8")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=test authority")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", csr, "-subj", "/CN=localhost")
    openssl("x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", crt, "-days", "2", "-extfile", extra)
    return ca, crt, key


class RedisServer:
    """kind: unix, tcp or tls. It dies with the test's process.

    extra: further arguments. certificate: (ca, certificate, key), where several servers share one.
    """

    def __init__(self, kind="unix", password=None, policy="noeviction", extra=(), certificate=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slrd-"))
        self.kind, self.password, self.ca, self.port, self.frozen = kind, password, None, None, False
        self.socket = self.folder / "s"
        args = ["--unixsocket", self.socket, "--dir", self.folder, "--save", "", "--maxmemory-policy", policy]
        args += ["--requirepass", password] if password else []
        secret = f":{password}@" if password else ""
        if kind == "unix":
            args += ["--port", "0"]
            self.url = f"unix://{secret}{self.socket}"
        else:
            self.port = free_port()
            self.url = f"{'rediss' if kind == 'tls' else 'redis'}://{secret}localhost:{self.port}"
            args += ["--bind", "127.0.0.1"]
            args += self._tls(certificate) if kind == "tls" else ["--port", self.port]
        self.args = [*args, *extra]
        self.start()

    def _tls(self, certificate):
        self.ca, crt, key = certificate or certificates(self.folder)
        return ["--port", 0, "--tls-port", self.port, "--tls-cert-file", crt, "--tls-key-file", key, "--tls-ca-cert-file", self.ca,
                "--tls-auth-clients", "no"]

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "redis-server", *map(str, self.args)],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._answers, 20, "redis-server")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return self.client().ping()
        except redis.exceptions.ConnectionError:
            return False

    def client(self):
        return redis.Redis(unix_socket_path=str(self.socket), password=self.password)

    def everything(self):
        """All keys and values as bytes, to look for what must not be there."""
        client = self.client()
        read = {b"string": client.get, b"hash": client.hgetall, b"list": lambda k: client.lrange(k, 0, -1),
                b"zset": lambda k: client.zrange(k, 0, -1), b"stream": client.xrange, b"set": client.smembers}
        parts = []
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            parts.append(repr((key, read[kind](key) if kind in read else None)))
        return "\n".join(parts)

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def freeze(self):
        self.frozen = True
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.frozen = False
        self.process.send_signal(signal.SIGCONT)

    def answers(self):
        return self.process.poll() is None and not self.frozen

    def role(self):
        """master or slave, as it says itself."""
        return self.client().role()[0].decode()

    def stop(self):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
