"""A Kubernetes node of one machine: etcd, API server, controllers, scheduler, kubelet, containerd and proxy, all of them real. In `machine` only,
with which it ends. A dnsmasq stands in for the cluster's DNS, which Debian does not have."""
import json
import os
import shutil
import signal
import subprocess

import yaml

from harness.control_plane import START_DEADLINE_S, ControlPlane
from harness.sink import wait_until

NAME = "node"
PODS = "10.22.0.0/24"
PAUSE_IMAGE = "localhost/pause:1"
PROGRAMS = ("etcd", "containerd", "ctr", "runc", "conntrack", "dnsmasq", "iptables", "openssl", "podman", "/usr/bin/catatonit", "/usr/lib/cni/bridge")


def why_not():
    """None where a node can be started; else the reason."""
    if "MACHINE_FOLDER" not in os.environ:
        return "a node takes a machine: tests/run --only kubernetes, or tests/kubernetes/machine pytest tests/kubernetes"
    for program in PROGRAMS:
        if not shutil.which(program):
            return f"{program} is not installed: see kubernetes_packages in deploy/packages.sh"
    return None


class Node(ControlPlane):
    """programs: the folder that `build` printed. images: an archive, as `podman save` makes it, with PAUSE_IMAGE among them."""

    def __init__(self, programs, images):
        super().__init__(os.environ["MACHINE_FOLDER"], programs, os.environ["MACHINE_ADDRESS"])
        self.group, self.names = os.environ["MACHINE_GROUP"], self.folder / "names"
        self.start_servers("/run/etcd", "--kubelet-preferred-address-types=InternalIP")
        self.start_controllers("--use-service-account-credentials=true")
        self.start("kube-scheduler", self.programs / "kube-scheduler", *self.as_one())
        self._start_containerd(images)
        self._start_kubelet()
        self._start_network()
        try:
            wait_until(self._is_ready, START_DEADLINE_S, "a node that is ready", pause_s=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail('kubelet')}\n{self.tail('containerd')}") from None

    # ---- what runs ----

    def _start_containerd(self, images):
        (self.folder / "containerd.toml").write_text(f"""
version = 2
root = "{self.folder}/containerd"
state = "/run/containerd-state"
[grpc]
  address = "/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
""", encoding="utf-8")
        bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True,
                  "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/addresses"}}
        (self.folder / "cni").mkdir()
        (self.folder / "cni" / "pods.conflist").write_text(json.dumps({"cniVersion": "0.3.1", "name": "pods", "plugins": [bridge]}), encoding="utf-8")
        self.start("containerd", "containerd", "-c", self.folder / "containerd.toml")
        ctr = ["ctr", "-a", "/run/containerd.sock", "-n", "k8s.io"]
        wait_until(lambda: subprocess.run([*ctr, "version"], capture_output=True, check=False).returncode == 0, START_DEADLINE_S, "containerd", pause_s=0.1)
        done = subprocess.run([*ctr, "images", "import", "--snapshotter=overlayfs", str(images)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _start_kubelet(self):
        (self.folder / "kubelet.yaml").write_text(yaml.safe_dump({
            "kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}}, "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self.group}", "oomScoreAdj": 0, "failSwapOn": False,
            "resolvConf": "", "clusterDNS": [self.address], "clusterDomain": "cluster.local",
            # Changed ConfigMaps arrive within seconds, not a minute; a disk that others fill is not ours to clean.
            "syncFrequency": "3s", "nodeStatusUpdateFrequency": "2s", "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0.1%", "imagefs.available": "0.1%"}}), encoding="utf-8")
        self.start("kubelet", self.programs / "kubelet", f"--config={self.folder}/kubelet.yaml", f"--kubeconfig={self.kubeconfig}",
                   f"--root-dir={self.folder}/kubelet", f"--cert-dir={self.folder}/keys", "--container-runtime=remote",
                   "--container-runtime-endpoint=unix:///run/containerd.sock", f"--hostname-override={NAME}", f"--node-ip={self.address}")

    def _start_network(self):
        self.start("kube-proxy", self.programs / "kube-proxy", f"--kubeconfig={self.kubeconfig}", f"--hostname-override={NAME}", f"--cluster-cidr={PODS}",
                   "--conntrack-max-per-core=0", "--metrics-bind-address=127.0.0.1:10249")
        self.names.write_text("", encoding="utf-8")
        self.start("dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--local=/cluster.local/",
                   "--cache-size=0", f"--addn-hosts={self.names}", f"--listen-address={self.address}", "--bind-interfaces", "--pid-file", "--user=root")

    def _is_ready(self):
        """Condition Ready, and no longer tainted for having been without it."""
        assert self.processes["kubelet"].poll() is None, self.tail("kubelet")
        done = self.kubectl("get", "node", NAME, "-o", "json", check=False)
        if done.returncode:
            return False
        node = json.loads(done.stdout)
        return not node["spec"].get("taints") and any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])

    # ---- for tests ----

    def tell_names(self):
        """The cluster's DNS gets to know the services that are there by now."""
        lines = [f"{s['spec']['clusterIP']} {s['metadata']['name']}.{s['metadata']['namespace']}.svc.cluster.local"
                 for s in self.get("services", "--all-namespaces")["items"] if s["spec"]["clusterIP"] != "None"]
        self.names.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.processes["dnsmasq"].send_signal(signal.SIGHUP)
