"""The units of deploy/systemd: right by systemd's own check, closed, and fitting to what the programs do."""
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from harness.sink import wait_until

UNITS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "systemd"
GIT = UNITS.parent / "git"
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


@pytest.fixture
def units(lab):
    """The units as they would lie in a folder of systemd's, with the programs under test and the drop-in."""
    folder = lab.root / "units"
    for name in ("sluice-scheduler.service", "sluice-worker@.service"):
        folder.mkdir(exist_ok=True)
        text = (UNITS / name).read_text().replace("/usr/local/bin", str(lab.bin))
        (folder / name).write_text(text)
        (folder / f"{name}.d").mkdir()
        shutil.copy(UNITS / "secrets.conf", folder / f"{name}.d")
    (folder / "sluice-worker@1.service").symlink_to("sluice-worker@.service")
    shutil.copy(GIT / "project.conf", folder / "sluice-scheduler.service.d")
    for name in ("sluice-sync.service", "sluice-sync.timer"):
        (folder / name).write_text((GIT / name).read_text().replace("/usr/local/bin/sluice-sync", str(GIT / "sluice-sync")))
    for path in folder.glob("*.d/project.conf"):
        path.write_text(path.read_text().replace("/usr/local/bin", str(lab.bin)))
    return folder


def analyze(units, *args):
    return subprocess.run(["systemd-analyze", *args], cwd=units, capture_output=True, text=True, check=False,
                          env={"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})


@needs_systemd
@pytest.mark.parametrize("name", ["sluice-scheduler.service", "sluice-worker@1.service", "sluice-sync.service"])
def test_units_are_right_and_closed(units, name):
    done = analyze(units, "verify", "--man=no", name)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    done = analyze(units, "security", "--offline=true", "--threshold=20", f"./{name}")
    rated = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert done.returncode == 0 and rated and float(rated[1]) <= 1.5, done.stdout[-400:] + done.stderr


@pytest.mark.parametrize("name, program", [("sluice-scheduler.service", "sluice-scheduler"), ("sluice-worker@.service", "sluice-worker")])
def test_their_programs_know_the_options(lab, name, program):
    command = re.search(r"^ExecStart=(.*)$", (UNITS / name).read_text(), re.M)[1].split()
    assert command[0] == f"/usr/local/bin/{program}"
    said = lab.start("--help", program=program).wait().out
    for word in command[1:]:
        if word.startswith("-"):
            assert re.search(rf"(^|[\s,]){re.escape(word)}[\s,=]", said), word


def test_a_scheduler_lives_as_the_unit_has_it(lab, sink):
    """With the state directory and the credentials of systemd, a reload by SIGHUP and an end by SIGTERM."""
    unit = (UNITS / "sluice-scheduler.service").read_text()
    assert "kill -HUP" in unit and "KillSignal=SIGTERM" in unit and "StateDirectory=sluice" in unit
    state, secrets = lab.root / "var", lab.root / "credentials"
    state.mkdir(0o700)
    secrets.mkdir(0o700)
    (secrets / "warehouse_url").write_text(lab.warehouse_url + "\n")
    (secrets / "hook_token").write_text("s3cret-word\n")
    lab.customers(20)

    def project(every):
        lab.write(f"""
settings: {{state_dir: "${{STATE_DIRECTORY:-.sluice}}", listen: "127.0.0.1:0"}}
sources: {{warehouse: {{type: postgres, url: "${{file:$CREDENTIALS_DIRECTORY/warehouse_url}}"}}}}
models: {{m: {{source: warehouse, primary_key: id, table: c}}}}
destinations: {{hook: {{type: webhook, url: "{sink.url}", bearer: "${{file:$CREDENTIALS_DIRECTORY/hook_token}}"}}}}
syncs: {{s: {{model: m, destination: hook, mode: mirror, mappings: all, schedule: {{every: {every}}}}}}}
""")
    project("300d")
    env = {"STATE_DIRECTORY": str(state), "CREDENTIALS_DIRECTORY": str(secrets)}
    running = lab.start(env=env, program="sluice-scheduler")
    wait_until(lambda: (state / "control.sock").exists() or running.process.poll() is not None, 60, "the scheduler")
    project("1s")
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(sink.state) == 20, 60, "a run by the new schedule")
    assert sink.log[0].headers["authorization"] == "Bearer s3cret-word"
    running.process.send_signal(signal.SIGTERM)
    done = running.wait()
    assert done.rc == 0 and "s3cret-word" not in done.text, done
    assert not (lab.project_dir / ".sluice").exists() and (state / "state.lmdb").exists()


def test_a_folder_of_secrets_that_is_not_there_is_told(lab, sink):
    lab.customers(1)
    lab.simple(sink, destination={"bearer": "${file:$CREDENTIALS_DIRECTORY/hook_token}"})
    done = lab.command("check", env={"CREDENTIALS_DIRECTORY": ""})
    assert done.rc == 78 and "CREDENTIALS_DIRECTORY names no folder" in done.out, done
    done = lab.command("check", env={"CREDENTIALS_DIRECTORY": str(lab.root)})
    assert done.rc == 78 and "hook_token} cannot be read" in done.out, done
