"""A Redis cluster of real processes on loopback: primaries, their replicas, and slots that move from one to another."""
import redis

from .redis import RedisServer, certificates, free_port
from .sink import wait_until

SLOTS = 16384
NODE_TIMEOUT_MS = 1500
KEYS_AT_ONCE = 10


class Cluster:
    """nodes[i] begins as a primary, replicas[i] as its replica, where there are any. kind: tcp or tls."""

    def __init__(self, folder, kind="tcp", primaries=3, replicated=False, password=None, names=None):
        self.kind, self.password = kind, password
        self.certificate = certificates(folder, *([names] if names else [])) if kind == "tls" else None
        self.ca = self.certificate and self.certificate[0]
        self.nodes = [self._server() for _ in range(primaries)]
        self.replicas = [self._server() for _ in range(primaries)] if replicated else []
        for i, server in enumerate(self.servers()):
            server.client().execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            self.nodes[0].client().execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, server.bus)
        for i, server in enumerate(self.nodes):
            server.client().execute_command("CLUSTER", "ADDSLOTSRANGE", i * SLOTS // primaries, (i + 1) * SLOTS // primaries - 1)
        wait_until(lambda: all(self.knows(server) for server in self.servers()), 60, "nodes that know each other", pause_s=0.05)
        for primary, replica in zip(self.nodes, self.replicas):
            replica.client().execute_command("CLUSTER", "REPLICATE", self.id(primary))
        wait_until(self.is_whole, 60, "a cluster that is whole", pause_s=0.05)

    def _server(self):
        bus = free_port()
        extra = ["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS, "--cluster-port", bus,
                 "--repl-diskless-sync-delay", 0, "--cluster-replica-validity-factor", 0]
        extra += ["--masterauth", self.password] if self.password else []
        extra += ["--tls-cluster", "yes", "--tls-replication", "yes"] if self.certificate else []
        server = RedisServer(self.kind, self.password, extra=extra, certificate=self.certificate)
        server.bus = bus
        return server

    def servers(self):
        return self.nodes + self.replicas

    def living(self):
        return [server for server in self.servers() if server.answers()]

    def id(self, server):
        return server.client().execute_command("CLUSTER", "MYID").decode()

    def info(self, server):
        """CLUSTER INFO, as words; nothing of one that does not answer."""
        try:
            answer = server.client().execute_command("CLUSTER", "INFO")
        except redis.exceptions.ConnectionError:
            return {}
        if isinstance(answer, dict):
            return {str(name): str(value) for name, value in answer.items()}
        return dict(line.split(":", 1) for line in answer.decode().split())

    def knows(self, server):
        info = self.info(server)
        return (info.get("cluster_known_nodes"), info.get("cluster_slots_assigned")) == (str(len(self.servers())), str(SLOTS))

    def is_whole(self):
        replicating = all(r.client().info("replication").get("master_link_status") == "up" for r in self.replicas)
        return replicating and all(self.info(server).get("cluster_state") == "ok" for server in self.servers())

    def wait_ok(self):
        wait_until(lambda: all(self.info(server).get("cluster_state") == "ok" for server in self.living()), 60, "a cluster that is up", pause_s=0.05)

    def slot(self, quota):
        return self.nodes[0].client().execute_command("CLUSTER", "KEYSLOT", f"sluice:{{{quota}}}")

    def owner(self, quota):
        """The node that has the quota's slot, as the node itself says."""
        slot = self.slot(quota)
        for server in self.living():
            for first, last, primary, *_ in server.client().execute_command("CLUSTER", "SLOTS"):
                if first <= slot <= last and primary[1] == server.port:
                    return server
        return None

    # ---- a slot on its way ----

    def begin_move(self, slot, source, target):
        target.client().execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(source))
        source.client().execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(target))

    def move_keys(self, slot, source, target, most=None):
        """So many keys at most, or all; how many were moved."""
        moved, auth = 0, ["AUTH", self.password] if self.password else []
        while most is None or moved < most:
            count = KEYS_AT_ONCE if most is None else min(KEYS_AT_ONCE, most - moved)
            keys = source.client().execute_command("CLUSTER", "GETKEYSINSLOT", slot, count)
            if not keys:
                break
            source.client().execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, *auth, "KEYS", *keys)
            moved += len(keys)
        return moved

    def end_move(self, slot, source, target):
        for server in [target, source] + [s for s in self.nodes if s.answers() and s not in (source, target)]:
            server.client().execute_command("CLUSTER", "SETSLOT", slot, "NODE", self.id(target))

    def give_up_move(self, slot, *servers):
        for server in servers:
            server.client().execute_command("CLUSTER", "SETSLOT", slot, "STABLE")

    # ---- the project ----

    def url(self, user=""):
        secret = f"{user}:{self.password}@" if self.password else ""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.nodes)
        return f"{'rediss' if self.kind == 'tls' else 'redis'}+cluster://{secret}{hosts}"

    def settings(self):
        return {"redis": self.url(), **({"redis_ca": str(self.ca)} if self.ca else {})}

    def stop(self):
        for server in self.servers():
            server.stop()
