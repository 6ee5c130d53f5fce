"""A real Prometheus (Debian's package has it) that scrapes what it is told to, as an operator would have configured it; ends with close()."""
import json
import pathlib
import shutil
import subprocess
import urllib.parse
import urllib.request

import yaml

from .redis import free_port
from .sink import wait_until


def why_not():
    """None where it can be started; else the reason, for a skip."""
    return None if shutil.which("prometheus") else "prometheus is not installed: see long_packages in deploy/packages.sh"


class Prometheus:
    """targets: URLs of programs; token: of a viewer; namespace: the label that the operator gives every series."""

    def __init__(self, folder, targets, token, namespace):
        folder = pathlib.Path(folder)
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "sluice-scheduler", "authorization": {"type": "Bearer", "credentials": token}, "static_configs": [
                {"targets": [t.removeprefix("http://") for t in targets], "labels": {"namespace": namespace}}]}]}), encoding="utf-8")
        with open(folder / "prometheus.log", "ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", "prometheus", f"--config.file={folder}/prometheus.yaml",
                                             f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={self.url.removeprefix('http://')}"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, 60, "Prometheus", 0.1)

    def _answers(self):
        assert self.process.poll() is None, "Prometheus ended"
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    def query(self, text):
        """The one value of an instant query; an OSError where there is none, as KEDA takes it with ignoreNullValues: false."""
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': text})}", timeout=10) as answer:
            found = json.loads(answer.read())["data"]["result"]
        if not found:
            raise OSError(f"nothing for {text}")
        (only,) = found
        return float(only["value"][1])

    def close(self):
        self.process.kill()
        self.process.wait(20)
