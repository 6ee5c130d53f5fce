"""Several Redis servers of one project: which destinations are at which, and what is left at one that leaves."""
import json
import re


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
