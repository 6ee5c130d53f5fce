"""What the pods' processes may do, as the kernel has it: the restricted standard is in force, not only written down."""
import pathlib

import pytest

ALL = "app.kubernetes.io/part-of=sluice"
# Mounts of the runtime and the kubelet that are not read-only: devices, masks over what is not to be seen, a pod's own names.
THEIRS = ("/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def mounts_of(pid):
    """{mount point: (options of the mount, kind of file system)}."""
    lines = [line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8").splitlines()]
    return {parts[4]: (parts[5].split(","), parts[parts.index("-") + 1]) for parts in lines}


@pytest.fixture
def programs(fleet):
    """{pod name: pid}."""
    fleet.at_rest(2)
    return {p["metadata"]["name"]: fleet.process_of(p) for p in fleet.pods(ALL)}


def test_every_pod_runs_without_any_privilege(programs):
    assert len(programs) == 4
    for name, pid in programs.items():
        status = status_of(pid)
        user = "999" if name.startswith("redis") else "10001"
        assert status["Uid"].split() == [user] * 4 and status["Gid"].split() == [user] * 4, name
        assert not [v for k, v in status.items() if k.startswith("Cap") and int(v, 16)], f"{name} has capabilities"
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", name


def test_no_pod_can_write_but_where_it_has_to(programs):
    for name, pid in programs.items():
        mounts = mounts_of(pid)
        assert "ro" in mounts["/"][0] and mounts["/"][1] == "overlay", name
        writable = {place for place, (options, _) in mounts.items() if "rw" in options and not place.startswith(THEIRS)}
        own = {"redis": {"/tmp"}, "sluice-scheduler": {"/var/lib/sluice"}, "sluice-worker": set()}
        assert writable == next(places for prefix, places in own.items() if name.startswith(prefix)), name


def test_no_pod_has_a_way_into_the_cluster_or_a_shell(fleet, programs):
    for name, pid in programs.items():
        root = pathlib.Path(f"/proc/{pid}/root")
        assert not (root / "var/run/secrets/kubernetes.io").exists() and not (root / "run/secrets/kubernetes.io").exists(), name
        names = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        assert b"redis://" not in names and b"postgresql://" not in names and b"REDIS_PORT" not in names, name
        assert fleet.kubectl("exec", name, "--", "sh", "-c", "true", check=False).returncode != 0, name


def test_the_warehouse_is_no_business_of_a_worker(programs):
    for name, pid in programs.items():
        assert (pathlib.Path(f"/proc/{pid}/root") / "run/secrets/warehouse/warehouse_url").exists() == name.startswith("sluice-scheduler"), name
