"""A throwaway Postgres on a unix socket: one server per test session, one database per test."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import psycopg2

from .sink import wait_until

CONFIG = """
listen_addresses = ''
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 128MB
max_connections = 60
autovacuum = off
logging_collector = off
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track = top
"""

# A commit is told to those who follow the log when it is flushed: without synchronous_commit that is up to a second late.
LOGICAL = """
wal_level = logical
synchronous_commit = on
max_replication_slots = 40
max_wal_senders = 40
"""


def programs():
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    assert folders, "Postgres is not installed: see deploy/packages.sh"
    return folders[-1]


def as_server_user(command, pdeathsig=False):
    """Postgres refuses to run as root: there it runs as user postgres. pdeathsig: it dies with this process."""
    prefix = ["setpriv"]
    if os.getuid() == 0:
        prefix += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    if pdeathsig:
        prefix += ["--pdeathsig=QUIT"]
    return (prefix if len(prefix) > 1 else []) + [str(c) for c in command]


def server_folder(path):
    path.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        shutil.chown(path, "postgres", "postgres")
    return path


def cluster_template():
    """An initialised cluster, made once per machine and Postgres version and copied from then on."""
    base = pathlib.Path(tempfile.gettempdir()) / f"sluice-tests-{os.getuid()}"
    base.mkdir(exist_ok=True)
    os.chmod(base, 0o755)
    ready = base / f"pg-{programs().parent.name}"
    if (ready / "PG_VERSION").exists():
        return ready
    making = pathlib.Path(tempfile.mkdtemp(dir=base))
    os.chmod(making, 0o755)
    data = server_folder(making / "data")
    subprocess.run(as_server_user([programs() / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                                   "--locale=C.UTF-8", "--no-sync", "--no-instructions"]),
                   check=True, stdout=subprocess.DEVNULL, cwd="/")
    if not ready.exists():
        data.rename(ready)
    shutil.rmtree(making, ignore_errors=True)
    return ready


class Postgres:
    """settings: more lines for postgresql.conf. logical: for logical replication. allow: addresses from which anybody may come (10.0.0.0/8)."""

    def __init__(self, settings="", logical=False, allow=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slpg-"))
        os.chmod(self.folder, 0o755)
        server_folder(self.folder)
        self.data = self.folder / "data"
        subprocess.run(["cp", "-a", str(cluster_template()), str(self.data)], check=True)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(CONFIG + f"unix_socket_directories = '{self.folder}'\n" + (LOGICAL if logical else "") + settings)
        if allow:
            with open(self.data / "pg_hba.conf", "a", encoding="utf-8") as rules:
                rules.write(f"host all all {allow} trust\n")
        self.log_path = self.folder / "log"
        self.databases = 0
        self.start()
        self.sql("create extension pg_stat_statements")

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(as_server_user([programs() / "postgres", "-D", self.data], pdeathsig=True),
                                            stdout=log, stderr=log, cwd="/")
        wait_until(self._answers, 30, "Postgres")

    def halt(self, how=signal.SIGINT):
        """Ends the server, to be started again: SIGINT in good order, SIGQUIT as `pg_ctl stop -m immediate` does it."""
        self.process.send_signal(how)
        self.process.wait(30)

    def _answers(self):
        assert self.process.poll() is None, self.log_path.read_text()
        try:
            self.connect().close()
            return True
        except psycopg2.OperationalError:
            return False

    def url(self, database="postgres", user="postgres", password=None):
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@/{database}?host={self.folder}"

    def connect(self, database="postgres"):
        connection = psycopg2.connect(self.url(database))
        connection.autocommit = True
        return connection

    def sql(self, text, database="postgres"):
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def create_database(self):
        self.databases += 1
        name = f"t{self.databases}"
        self.sql(f"create database {name}")
        return name

    def drop_slots(self, database):
        """Logical slots keep a database from being dropped."""
        def gone():
            slots = self.sql(f"select slot_name, active_pid from pg_replication_slots where database = '{database}'")
            for name, pid in slots:
                try:
                    self.sql(f"select pg_terminate_backend({pid})" if pid else f"select pg_drop_replication_slot('{name}')")
                except (psycopg2.errors.ObjectInUse, psycopg2.errors.UndefinedObject):
                    pass  # somebody was quicker: the next look tells
            return not slots
        wait_until(gone, 30, "the end of all replication slots")

    def drop_database(self, name):
        self.drop_slots(name)
        self.sql(f"drop database {name} with (force)")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
