"""Kubernetes without a node: etcd, the API server and the controllers, the real programs. What they schedule nobody runs.

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

from manifests import tools

from .redis import certificates, free_port
from .sink import wait_until

START_DEADLINE_S = 120
SERVICES = "10.0.0.0/24"
# The same objects under the names that they had then.
EARLIER = {("HorizontalPodAutoscaler", "autoscaling/v2"): "autoscaling/v2beta2"}


def programs():
    """The folder with the programs of Kubernetes; None where they were not made yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    made = sorted(pathlib.Path(cache, "sluice-tests").glob("kubernetes-*/SHA256SUMS"))
    return made[-1].parent if made else None


def why_not():
    """None where a control plane can be started; else the reason, for a skip."""
    for program in ("etcd", "openssl"):
        if not shutil.which(program):
            return f"{program} is not installed: see kubernetes_packages in deploy/packages.sh"
    return None if programs() else "the programs of Kubernetes are not made yet: tests/kubernetes/build"


def understood(manifest):
    return {**manifest, "apiVersion": EARLIER.get((manifest["kind"], manifest["apiVersion"]), manifest["apiVersion"])}


class ControlPlane:
    """Nothing runs yet. folder: for what it keeps. address: which its nodes reach it at."""

    def __init__(self, folder, made, address="127.0.0.1"):
        self.folder, self.programs, self.address = pathlib.Path(folder), pathlib.Path(made), address
        self.kubectl_program, self.kubeconfig = tools.kubectl(), self.folder / "kubeconfig"
        self.keys, self.logs, self.processes = self.folder / "keys", self.folder / "logs", {}
        self.keys.mkdir()
        self.logs.mkdir()
        self.accounts = self.keys / "accounts.key"

    # ---- what runs ----

    def start(self, name, *command):
        with open(self.logs / name, "ab") as log:
            self.processes[name] = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *map(str, command)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, start_new_session=True)

    def tail(self, name, lines=30):
        """The end of a program's log, and whether it still runs."""
        text = (self.logs / name).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join([f"{name} (exit {self.processes[name].poll()}):", *text])

    def must_run(self):
        for name, process in self.processes.items():
            assert process.poll() is None, self.tail(name)

    def start_servers(self, data, *options):
        """etcd, which keeps its files in data, and the API server. options: more of the latter's."""
        self.ca, certificate, key = certificates(self.keys, f"IP:127.0.0.1,IP:10.0.0.1,IP:{self.address},DNS:kubernetes.default.svc")
        subprocess.run(["openssl", "genrsa", "-out", self.accounts, "2048"], check=True, stderr=subprocess.DEVNULL)
        etcd, peers, port = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", free_port()
        token = secrets.token_hex(16)
        (self.keys / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n", encoding="utf-8")
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(self.ca)}}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}]}), encoding="utf-8")
        self.start("etcd", "etcd", f"--data-dir={data}", f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}", f"--listen-peer-urls={peers}",
                   f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}", "--log-level=error")
        self.start("kube-apiserver", self.programs / "kube-apiserver", f"--etcd-servers={etcd}", f"--advertise-address={self.address}",
                   f"--secure-port={port}", f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}", f"--client-ca-file={self.ca}",
                   f"--token-auth-file={self.keys}/tokens.csv", "--authorization-mode=RBAC", f"--service-cluster-ip-range={SERVICES}",
                   "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={self.accounts}",
                   f"--service-account-signing-key-file={self.accounts}", *options)
        wait_until(self._answers, START_DEADLINE_S, "the API server", pause_s=0.3)

    def start_controllers(self, *options):
        self.start("kube-controller-manager", self.programs / "kube-controller-manager", *self.as_one(),
                   f"--service-account-private-key-file={self.accounts}", f"--root-ca-file={self.ca}", *options)

    def as_one(self):
        """Options of a controller that is alone, as the scheduler takes them too."""
        return f"--kubeconfig={self.kubeconfig}", "--bind-address=127.0.0.1", "--port=0", "--secure-port=0", "--leader-elect=false"

    def _answers(self):
        self.must_run()
        return self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0

    def close(self):
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait(20)

    # ---- for tests ----

    def begin_kubectl(self, *args, **how):
        return subprocess.Popen([self.kubectl_program, *map(str, args)], env={**os.environ, "KUBECONFIG": str(self.kubeconfig)}, **how)

    def kubectl(self, *args, check=True, given=None, text=True, deadline_s=600):
        """text: given and what comes back are texts, not bytes."""
        with self.begin_kubectl(*args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=text) as process:
            try:
                out, err = process.communicate(given, timeout=deadline_s)
            except BaseException:
                process.kill()
                raise
        done = subprocess.CompletedProcess(args, process.returncode, out, err)
        assert not check or done.returncode == 0, f"kubectl {' '.join(map(str, args))}: exit {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done

    def get(self, *args):
        return json.loads(self.kubectl("get", *args, "-o", "json").stdout)

    def apply(self, *manifests):
        everything = {"apiVersion": "v1", "kind": "List", "items": [understood(m) for m in manifests]}
        self.kubectl("apply", "-f", "-", given=json.dumps(everything))
