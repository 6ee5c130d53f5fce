"""Several Redis servers of one project: which destinations are at which, and what is left at one that leaves."""
import json
import re

from .lab import assert_clean

SHORT = {"timeout": "1s"}  # a lease is the timeout and ten seconds
OFF = {"listen": "127.0.0.1:0"}


def listed(servers, leaving=()):
    """settings.redis of servers by name."""
    return [{"url": server.url, "name": name, **({"leaving": True} if name in leaving else {})} for name, server in servers.items()]


def quotas_at(server):
    """Those that have been opened there and not wiped since."""
    found = (re.fullmatch(rb"sluice:\{(.*)\}:meta", key) for key in server.client().scan_iter("sluice:*", 1000))
    return {match[1].decode() for match in found if match}


def left_at(server):
    """Keys of quotas that do not go by themselves."""
    client = server.client()
    return {key.decode() for key in client.scan_iter("sluice:{*", 1000) if client.ttl(key) == -1}


def rewrite_redis(lab, servers, leaving=()):
    """Another list in the project's file; whoever runs there has to be told."""
    path = lab.project_dir / "sluice.yaml"
    project = json.loads(path.read_text(encoding="utf-8"))
    project["settings"]["redis"] = listed(servers, leaving)
    # as an editor that writes a file beside it and renames: nobody reads half of it
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(project), encoding="utf-8")
    beside.rename(path)


def spread(lab, sinks, servers, count=6, settings=None, destination=None, **sync):
    """One model to so many destinations d0, d1, …, each with a receiver of its own."""
    receivers = {f"d{i}": sinks() for i in range(count)}
    lab.project({"m": {"sql": "select * from c"}},
                {name: {"url": r.url, **SHORT, **(destination or {})} for name, r in receivers.items()},
                {f"to_{name}": {"model": "m", "destination": name, "batch_size": 20, **sync} for name in receivers},
                {"redis": listed(servers), **(settings or {})})
    return receivers


def assert_all_same(lab, receivers):
    for receiver in receivers.values():
        lab.assert_same(receiver.state)
        assert_clean(receiver)


def of_server(service, name):
    return next(s for s in service.get("/api/v1/status")["redis"] if s["server"] == name)


def of_destination(service, name):
    return next(d for d in service.get("/api/v1/destinations")["destinations"] if d["name"] == name)


def scripts_run(servers):
    return sum(server.client().info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0) for server in servers.values())
