"""Kubernetes without a node: etcd, the API server and the controllers, the real programs, on loopback. What they schedule nobody runs.

The programs are those that tests/kubernetes/build makes of Debian's source package (Kubernetes 1.20), which knows fewer versions of
some kinds than the manifests: `understood` turns one into what it reads. They end with close(), and with the test's process.
"""
import json
import os
import pathlib
import secrets
import shutil
import subprocess

import yaml

from .redis import certificates, free_port
from .sink import wait_until

START_DEADLINE_S = 120
# The same objects under the names that they had then.
EARLIER = {("HorizontalPodAutoscaler", "autoscaling/v2"): "autoscaling/v2beta2"}


def programs():
    """The folder with the programs of Kubernetes; None where they were not made yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    made = sorted(pathlib.Path(cache, "sluice-tests").glob("kubernetes-*/SHA256SUMS"))
    return made[-1].parent if made else None


def why_not():
    """None where a control plane can be started; else the reason, for a skip."""
    for program in ("etcd", "openssl", "kubectl"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None if programs() else "the programs of Kubernetes are not made yet: tests/kubernetes/build"


def understood(manifest):
    return {**manifest, "apiVersion": EARLIER.get((manifest["kind"], manifest["apiVersion"]), manifest["apiVersion"])}


class ControlPlane:
    """controllers: names for kube-controller-manager. options: more of its options."""

    def __init__(self, folder, controllers, *options):
        self.folder, self.programs, self.processes = pathlib.Path(folder), programs(), {}
        self.kubeconfig = self.folder / "kubeconfig"
        try:
            self._start(controllers, options)
        except BaseException:
            self.close()
            raise

    def _start(self, controllers, options):
        ca, certificate, key = certificates(self.folder)
        etcd, peers, port = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", free_port()
        accounts, token = self.folder / "accounts.key", secrets.token_hex(16)
        subprocess.run(["openssl", "genrsa", "-out", accounts, "2048"], check=True, stderr=subprocess.DEVNULL)
        (self.folder / "tokens").write_text(f"{token},admin,admin,system:masters\n", encoding="utf-8")
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(ca)}}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}]}), encoding="utf-8")
        self.start("etcd", "etcd", f"--data-dir={self.folder}/etcd", f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}",
                   f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}", "--log-level=error")
        self.start("kube-apiserver", self.programs / "kube-apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1",
                   "--advertise-address=127.0.0.1", f"--secure-port={port}", f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
                   f"--client-ca-file={ca}", f"--token-auth-file={self.folder}/tokens", "--authorization-mode=RBAC",
                   "--service-cluster-ip-range=10.0.0.0/24", "--service-account-issuer=https://kubernetes.default.svc",
                   f"--service-account-key-file={accounts}", f"--service-account-signing-key-file={accounts}", "--endpoint-reconciler-type=none")
        wait_until(self._answers, START_DEADLINE_S, "the API server", 0.2)
        self.start("kube-controller-manager", self.programs / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
                   "--bind-address=127.0.0.1", "--port=0", "--secure-port=0", "--leader-elect=false", f"--controllers={','.join(controllers)}", *options)

    def start(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *map(str, command)], cwd=self.folder,
                                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def must_run(self):
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended: {(self.folder / f'{name}.log').read_text(errors='replace')[-3000:]}"

    def _answers(self):
        self.must_run()
        return self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0

    def kubectl(self, *args, given=None, check=True):
        done = subprocess.run(["kubectl", f"--kubeconfig={self.kubeconfig}", *map(str, args)], input=given, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"kubectl {' '.join(map(str, args))}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def apply(self, *manifests):
        everything = {"apiVersion": "v1", "kind": "List", "items": [understood(m) for m in manifests]}
        self.kubectl("apply", "-f", "-", given=json.dumps(everything))

    def get(self, *args):
        return json.loads(self.kubectl("get", *args, "-o", "json").stdout)

    def close(self):
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait(20)
