"""One test's laboratory: a project folder, a database, and the programs under test.

Programs come from $SLUICE_BIN, a folder that holds sluice and sluice-worker (an installed prefix's bin).
Without it the newest `prefix/bin` below build/ is taken; tests/run installs there.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from . import processes
from .sink import key_text, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN_DEADLINE_S = int(os.environ.get("SLUICE_DEADLINE_S", "120"))


def program_folder():
    if os.environ.get("SLUICE_BIN"):
        return pathlib.Path(os.environ["SLUICE_BIN"]).resolve()
    built = sorted(ROOT.glob("build/*/prefix/bin/sluice"), key=lambda p: p.stat().st_mtime)
    assert built, "no programs: set SLUICE_BIN or call tests/run"
    return built[-1].parent


def balanced(run):
    """The law of conservation that every finished run keeps."""
    read = run["added"] + run["changed"] + run["unchanged"] + run["invalid"] + run["quarantined"]
    planned = run["added"] + run["changed"] + run["removed"]
    answered = run["succeeded"] + run["rejected"] + run["failed"] + run["cancelled"]
    return run["rows"] == read and run["planned"] == planned == answered


class Finished:
    """What a command left: exit status, output, and the JSON objects among it."""

    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err
        self.lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        self.runs = [line for line in self.lines if "sync" in line and "planned" in line]

    @property
    def text(self):
        return self.out + self.err

    @property
    def last(self):
        assert self.runs, f"no run was printed (exit {self.rc}): {self.text[-1500:]}"
        return self.runs[-1]

    def sync(self, name):
        """The last run of a sync in this output."""
        return [r for r in self.runs if r["sync"] == name][-1]

    def counts(self, *names):
        return tuple(self.last[n] for n in names)

    def __repr__(self):
        return f"<exit {self.rc} {self.runs} stderr: {self.err[-1500:]}>"


class Running:
    """A command in its own session, as a terminal would start it; its output goes to files."""

    def __init__(self, command, cwd, env, log_folder):
        self.out_path = pathlib.Path(tempfile.mkstemp(dir=log_folder, suffix=".out")[1])
        self.err_path = self.out_path.with_suffix(".err")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            # setpriv becomes the command itself; with it a test run that is killed leaves nothing behind.
            self.process = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *map(str, command)], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, start_new_session=True)
        self.pid = self.process.pid

    def out(self):
        return self.out_path.read_text(encoding="utf-8")

    def err(self):
        return self.err_path.read_text(encoding="utf-8", errors="replace")

    def family(self):
        return processes.descendants(self.pid)

    def named(self, prefix):
        return [pid for pid, name in self.family().items() if name.startswith(prefix)]

    def workers(self):
        return self.named("sluice-worker")

    def redis(self):
        return self.named("redis-server")

    def kill_everything(self):
        """kill -9 of the whole family, as a machine that goes down does it."""
        family = list(self.family())
        processes.kill_hard([self.pid] + family)
        self.process.wait(30)
        processes.wait_gone(family)

    def kill_parent(self):
        """kill -9 of the command alone; its children have to notice by themselves."""
        family = list(self.family())
        processes.kill_hard([self.pid])
        self.process.wait(30)
        processes.wait_gone(family)

    def interrupt(self):
        """Ctrl-C: a terminal sends it to the whole foreground group."""
        os.killpg(self.pid, signal.SIGINT)

    def wait(self, deadline_s=RUN_DEADLINE_S):
        try:
            rc = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise AssertionError(f"still running after {deadline_s} s: {self.out()[-1500:]} {self.err()[-1500:]}") from None
        assert rc not in (-signal.SIGABRT, -signal.SIGSEGV), f"crashed: {self.err()[-4000:]}"
        assert "Sanitizer" not in self.err() and "runtime error:" not in self.err(), self.err()[-6000:]
        return Finished(rc, self.out(), self.err())


class Lab:
    def __init__(self, postgres):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="sllab-"))
        os.chmod(self.root, 0o755)
        self.bin = program_folder()
        self.postgres = postgres
        self.database = postgres.create_database()
        self.warehouse_url = postgres.url(self.database)
        self.project_dir = self.root / "project"
        self.state_dir = self.root / "state"
        self.project_dir.mkdir()
        (self.root / "out").mkdir()
        self.started = []

    def close(self):
        for running in self.started:
            if running.process.poll() is None:
                running.kill_everything()
        self.postgres.drop_database(self.database)
        shutil.rmtree(self.root, ignore_errors=True)

    # ---- the warehouse ----

    def sql(self, text):
        return self.postgres.sql(text, self.database)

    def customers(self, count, first=1):
        """A table with an id, an e-mail address, a name, a number and a truth value."""
        self.sql("create table if not exists c (id bigint primary key, email text, name text, amount numeric, vip boolean)")
        self.sql(f"insert into c select g, 'u' || g || '@example.org', 'Name ' || g, g * 1.25, g % 7 = 0 "
                 f"from generate_series({first}, {first + count - 1}) g")

    # ---- the project ----

    def write(self, text, name="sluice.yaml"):
        path = self.project_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def project(self, models, destinations, syncs, settings=None, source=None):
        """Writes the project; JSON is YAML."""
        text = json.dumps({
            "settings": {"state_dir": str(self.state_dir), **(settings or {})},
            "sources": {"warehouse": {"type": "postgres", "url": self.warehouse_url, **(source or {})}},
            "models": {name: {"source": "warehouse", "primary_key": "id", **model} for name, model in models.items()},
            "destinations": {name: {"type": "webhook", **d} for name, d in destinations.items()},
            "syncs": {name: {"mode": "mirror", "mappings": "all", **sync} for name, sync in syncs.items()},
        }, indent=1, ensure_ascii=False)  # YAML knows no surrogate pairs
        self.write(text)

    def hurried(self, name, *changes):
        """The built-in connector as the project's own, with each (old, new) of its words changed, say a pause of minutes; gives its type."""
        text = (ROOT / "worker" / "connectors" / f"{name}.yaml").read_text(encoding="utf-8").replace(f"\n  {name}:\n", f"\n  {name}_hurried:\n")
        for old, new in changes:
            assert old in text, f"{name}.yaml has no {old!r}"
            text = text.replace(old, new)
        self.write(text, f"{name}.yaml")
        return f"{name}_hurried"

    def simple(self, sink, sql="select * from c", model=None, destination=None, settings=None, source=None, **sync):
        """One model m, one destination hook, one sync s (a mirror of all columns unless told otherwise)."""
        self.project({"m": {"sql": sql, **(model or {})}}, {"hook": {"url": sink.url, **(destination or {})}},
                     {"s": {"model": "m", "destination": "hook", **sync}}, settings, source)

    # ---- the programs ----

    def start(self, *args, env=None, program="sluice"):
        running = Running([self.bin / program, *args], self.project_dir, {**os.environ, **(env or {})}, self.root / "out")
        self.started.append(running)
        return running

    def command(self, *args, env=None, deadline_s=RUN_DEADLINE_S):
        return self.start(*args, env=env).wait(deadline_s)

    def start_run(self, *args, env=None):
        return self.start("run", "--json", *args, env=env)

    def start_service(self, *args, env=None):
        """sluice-scheduler, when it can begin runs."""
        service = self.start(*args, env=env, program="sluice-scheduler")
        wait_until(lambda: " ready" in service.err() or service.process.poll() is not None, 60, "the scheduler is ready")
        assert service.process.poll() is None, service.err()
        return service

    def run(self, *args, env=None, deadline_s=RUN_DEADLINE_S):
        """`sluice run --json`; every finished run it prints has to balance."""
        done = self.start_run(*args, env=env).wait(deadline_s)
        for run in done.runs:
            assert run["status"] == "held" or balanced(run), f"does not balance: {run}"
        return done

    def good_run(self, *args, **options):
        done = self.run(*args, **options)
        assert done.rc == 0, done
        return done

    # ---- comparing ----

    def model_rows(self, sql="select * from c", key=("id",)):
        """{key text: fields} of a model, by Postgres' own JSON."""
        rows = self.sql(f"select row_to_json(t) from ({sql}) t")
        return {key_text({k: row[k] for k in key}): row for (row,) in rows}

    def assert_same(self, table, sql="select * from c", key=("id",)):
        """The destination holds exactly the model."""
        want = self.model_rows(sql, key)
        missing, extra = want.keys() - table.keys(), table.keys() - want.keys()
        assert not missing and not extra, f"missing {sorted(missing)[:5]} ({len(missing)}), extra {sorted(extra)[:5]} ({len(extra)})"
        wrong = [k for k in want if table[k] != want[k]]
        assert not wrong, f"{len(wrong)} differ: {wrong[0]} has {table[wrong[0]]}, model {want[wrong[0]]}"


def assert_clean(sink):
    """No key was in flight twice, every idempotency key named one set of records."""
    assert not sink.overlaps, f"keys in two requests at once: {sink.overlaps[:5]}"
    assert not sink.out_of_step, f"an idempotency key named two sets: {sink.out_of_step[:3]}"


def kill_when(running, condition, what, deadline_s=60):
    """kill -9 of the whole run as soon as the condition holds."""
    wait_until(lambda: condition() or running.process.poll() is not None, deadline_s, what)
    running.kill_everything()
