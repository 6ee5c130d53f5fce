"""What network policies let through, as Kubernetes reads them: reachable() of two ends, either of which may be outside of the namespace.

Source: kubernetes.io, "Network Policies" and the API reference of NetworkPolicySpec: a pod that no policy selects for a direction is open
in it; one that some do select is open to what any rule of any of them lets through; both ends have to let a connection through.
"""
import dataclasses
import ipaddress

from .manifests import Look, matches


@dataclasses.dataclass
class End:
    """ours: in the namespace of the policies. A pod has labels and those of its namespace; something outside of the cluster an address only."""
    ours: bool = False
    labels: dict = None
    namespace: dict = None
    ports: dict = dataclasses.field(default_factory=dict)  # {name: number}
    address: str = None


def pods(manifests):
    """{name: End} of an installation's workloads."""
    look = Look(manifests)
    return {w["metadata"]["name"]: End(True, look.labels(w), {"kubernetes.io/metadata.name": w["metadata"]["namespace"]}, {
        p["name"]: p["containerPort"] for c in look.pod(w)["containers"] for p in c.get("ports") or []}) for w in look.workloads}


def pod_elsewhere(namespace, namespace_labels=None, **labels):
    return End(False, labels, {"kubernetes.io/metadata.name": namespace, **(namespace_labels or {})})


def is_peer(peer, end):
    if "ipBlock" in peer:
        block, address = peer["ipBlock"], end.address and ipaddress.ip_address(end.address)
        return bool(address) and address in ipaddress.ip_network(block["cidr"]) and \
            not any(address in ipaddress.ip_network(part) for part in block.get("except") or [])
    if end.labels is None:
        return False
    of_namespace = matches(peer["namespaceSelector"], end.namespace) if "namespaceSelector" in peer else end.ours
    return of_namespace and matches(peer.get("podSelector") or {}, end.labels)


def is_port(ports, target, port, protocol):
    return not ports or any(p.get("protocol", "TCP") == protocol and (p.get("port") is None or target.ports.get(p["port"], p["port"]) == port) for p in ports)


def open_to(policies, direction, end, other, target, port, protocol):
    """Whether one end lets it through. direction: Ingress or Egress."""
    if not end.ours:
        return True
    chosen = [p["spec"] for p in policies if direction in p["spec"]["policyTypes"] and matches(p["spec"]["podSelector"], end.labels)]
    peers = "from" if direction == "Ingress" else "to"
    return not chosen or any(is_port(rule.get("ports"), target, port, protocol) and (not rule.get(peers) or any(is_peer(p, other) for p in rule[peers]))
                             for spec in chosen for rule in spec.get(direction.lower()) or [])


def reachable(manifests, source, target, port, protocol="TCP"):
    policies = [m for m in manifests if m["kind"] == "NetworkPolicy"]
    return open_to(policies, "Egress", source, target, target, port, protocol) and open_to(policies, "Ingress", target, source, target, port, protocol)
