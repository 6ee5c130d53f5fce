"""A primary, replicas of it and three sentinels that know each other: real processes, which die with the test's process."""
import pathlib
import shutil
import signal
import subprocess
import tempfile
import urllib.parse

import redis

from .redis import RedisServer, certificates, free_port
from .sink import wait_until

COUNT, QUORUM, NAME = 3, 2, "prime"
DOWN_AFTER_MS = 1000


class Sentinel:
    def __init__(self, folder, number, port, options):
        self.number, self.port, self.options = number, port, options
        self.conf, self.log = folder / f"sentinel{number}.conf", folder / f"sentinel{number}.log"

    def write(self, primary, replicas, others):
        """It knows everybody from the beginning, so that nobody has to be found first."""
        o = self.options
        lines = ["bind 127.0.0.1"]
        if o["certificate"]:
            ca, crt, key = o["certificate"]
            lines += ["port 0", f"tls-port {self.port}", f"tls-cert-file {crt}", f"tls-key-file {key}", f"tls-ca-cert-file {ca}",
                      "tls-auth-clients no", "tls-replication yes"]
        else:
            lines += [f"port {self.port}"]
        if o["sentinel_password"]:
            lines += [f"requirepass {o['sentinel_password']}", f"sentinel sentinel-pass {o['sentinel_password']}"]
        lines += [f"sentinel myid {self.number:040d}", f"sentinel monitor {NAME} 127.0.0.1 {primary} {QUORUM}",
                  f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}", f"sentinel failover-timeout {NAME} 6000"]
        lines += [f"sentinel auth-pass {NAME} {o['password']}"] if o["password"] else []
        lines += [f"sentinel known-replica {NAME} 127.0.0.1 {port}" for port in replicas]
        lines += [f"sentinel known-sentinel {NAME} 127.0.0.1 {s.port} {s.number:040d}" for s in others]
        self.conf.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "redis-server", str(self.conf), "--sentinel"],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.conf.parent)

    def client(self):
        certificate = self.options["certificate"]
        tls = {"ssl": True, "ssl_ca_certs": str(certificate[0])} if certificate else {}
        return redis.Redis("127.0.0.1", self.port, password=self.options["sentinel_password"], decode_responses=True, **tls)

    def about(self):
        """What it knows of the primary; nothing while it does not answer."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            answer = self.client().execute_command("SENTINEL MASTER", NAME)
        except redis.exceptions.ConnectionError:
            return {}
        return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2]))

    def kill(self):
        self.process.kill()
        self.process.wait(20)


class Sentinels:
    """servers[0] begins as the primary. kind: tcp or tls, of the servers and of the sentinels. names: that their certificate is for."""

    def __init__(self, kind="tcp", password=None, sentinel_password=None, replicas=1, names=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slsn-"))
        self.kind, self.password, self.sentinel_password = kind, password, sentinel_password
        self.certificate = certificates(self.folder, *([names] if names else [])) if kind == "tls" else None
        self.ca = self.certificate and self.certificate[0]
        self.servers = [self._server(None)]
        self.servers += [self._server(self.servers[0].port) for _ in range(replicas)]
        options = {"certificate": self.certificate, "password": password, "sentinel_password": sentinel_password}
        self.sentinels = [Sentinel(self.folder, number, free_port(), options) for number in range(1, COUNT + 1)]
        ports = [server.port for server in self.servers]
        for sentinel in self.sentinels:
            sentinel.write(ports[0], ports[1:], [s for s in self.sentinels if s is not sentinel])
            sentinel.start()
        wait_until(self.settled, 60, "sentinels that know each other and replicas that are in step", pause_s=0.05)

    def _server(self, of):
        extra = ["--repl-diskless-sync-delay", 0]
        extra += ["--masterauth", self.password] if self.password else []
        extra += ["--tls-replication", "yes"] if self.certificate else []
        extra += ["--replicaof", f"127.0.0.1 {of}"] if of else []
        return RedisServer(self.kind, self.password, extra=extra, certificate=self.certificate)

    def settled(self):
        """Everybody is there, and knows it: from now on a failover can be made."""
        replicas = len(self.servers) - 1
        want = [str(replicas), str(COUNT - 1), "master"]
        return self.in_step(replicas) and all(
            [str(about.get(name)) for name in ("num-slaves", "num-other-sentinels", "flags")] == want
            for about in (sentinel.about() for sentinel in self.sentinels))

    def in_step(self, replicas):
        info = self.primary().client().info("replication")
        return sum(info[f"slave{i}"]["state"] == "online" for i in range(info["connected_slaves"])) == replicas

    def primary(self):
        """The one server that says that it is one, among those that answer."""
        says = [server for server in self.servers if server.answers() and server.role() == "master"]
        assert len(says) == 1, f"{len(says)} primaries"
        return says[0]

    def wait_failover(self, old):
        """The new primary, when sentinels have made one instead of the old."""
        def look():
            return next((s for s in self.servers if s is not old and s.answers() and s.role() == "master"), None)
        return wait_until(look, 60, "a failover", pause_s=0.05)

    def url(self, user="", **query):
        secret = f"{user}:{self.password}@" if self.password else ""
        query = {**query, **({"sentinel_password": self.sentinel_password} if self.sentinel_password else {})}
        hosts = ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels)
        tail = f"?{urllib.parse.urlencode(query)}" if query else ""
        return f"{'rediss' if self.kind == 'tls' else 'redis'}+sentinel://{secret}{hosts}/{NAME}{tail}"

    def settings(self, **query):
        return {"redis": self.url(**query), **({"redis_ca": str(self.ca)} if self.ca else {})}

    def freeze_sentinels(self, *numbers):
        for i in numbers:
            self.sentinels[i].process.send_signal(signal.SIGSTOP)

    def thaw_sentinels(self, *numbers):
        for i in numbers:
            self.sentinels[i].process.send_signal(signal.SIGCONT)

    def stop(self):
        for sentinel in self.sentinels:
            if sentinel.process.poll() is None:
                sentinel.kill()
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
