"""A table whose rows carry a version, changed in transactions of many rows, and what a destination must make of it."""
import random
import threading

import psycopg2

from .sink import wait_until

TABLE = """create table c (id bigint primary key, version bigint not null, at bigint not null default 0, body text not null);
create sequence versions"""
BODY = "md5(g::text)"


class Versions:
    """The table `c`. Versions come from a sequence: they grow over deletions and new keys as well. Seeded: the same changes each time.
    where: which rows are to arrive."""

    def __init__(self, lab, rows, seed=1, where="true"):
        self.lab, self.rng, self.where = lab, random.Random(seed), where
        self.changes, self.next_id = 0, rows + 1
        lab.sql(TABLE)
        lab.sql(f"insert into c select g, nextval('versions'), 0, {BODY} from generate_series(1, {rows}) g; analyze c")

    def transaction(self, size):
        """The statements of one that changes about so many rows."""
        low = self.rng.randrange(1, max(2, self.next_id - size))
        part = max(1, size // 10)
        statements = [f"update c set version = nextval('versions') where id between {low} and {low + size - 1}"]
        kind = self.rng.random()
        if kind < 0.3:
            statements.append(f"delete from c where id between {low} and {low + part - 1}")
        elif kind < 0.6:
            statements.append(f"insert into c select g, nextval('versions'), 0, {BODY} from generate_series({self.next_id}, {self.next_id + part - 1}) g")
            self.next_id += part
        elif kind < 0.7:  # keys that were deleted come back
            statements.append(f"insert into c select g, nextval('versions'), 0, {BODY} from generate_series({low}, {low + part}) g on conflict do nothing")
        elif kind < 0.8:  # other primary keys
            statements.append(f"update c set id = id + {self.next_id - low}, version = nextval('versions') where id between {low} and {low + part - 1}")
            self.next_id += part
        return statements

    def run(self, cursor, size):
        cursor.execute("begin")
        for statement in self.transaction(size):
            cursor.execute(statement)
            self.changes += max(0, cursor.rowcount)
        cursor.execute("rollback" if self.rng.random() < 0.05 else "commit")

    def change(self, changes, size, pace_s=0):
        """At least so many changes; pace_s: from transaction to transaction."""
        connection = self.lab.postgres.connect(self.lab.database)
        try:
            with connection.cursor() as cursor:
                until, pace = self.changes + changes, threading.Event()
                while self.changes < until:
                    self.run(cursor, size)
                    pace.wait(pace_s)
        finally:
            connection.close()

    def want(self):
        return dict(self.lab.sql(f"select id, version from c where {self.where}"))

    def is_at(self, sink):
        count = self.lab.sql(f"select count(*) from c where {self.where}")[0][0]
        return sink.stats()["rows"] == count and sink.rows() == self.want()

    def wait_at(self, sink, deadline_s, alive=lambda: None):
        """The destination holds the table's rows in their newest versions, and none went back on the way."""
        def look():
            alive()
            return self.is_at(sink)
        try:
            wait_until(look, deadline_s, "a destination that equals the table", pause_s=0.2)
        except AssertionError:
            want, have = self.want(), sink.rows()
            wrong = [(i, want.get(i), have.get(i)) for i in sorted(want.keys() | have.keys()) if want.get(i) != have.get(i)]
            back = sink.ask("GET", "/back").splitlines()[:10]
            raise AssertionError(f"{len(wrong)} of {len(want)} rows differ (id, table, destination): {wrong[:10]}; went back {back}; {sink.stats()}") from None
        sink.assert_in_order()


class Writer(threading.Thread):
    """Changes the table until it has made so many changes, at about so many a second; goes on after its server was away."""

    def __init__(self, versions, changes, size, rate):
        super().__init__(daemon=True)
        self.versions, self.until, self.size, self.error = versions, versions.changes + changes, size, None
        self.pace_s = size / rate
        self.start()

    def run(self):
        while self.versions.changes < self.until and not self.error:
            try:
                self.versions.change(self.until - self.versions.changes, self.size, self.pace_s)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                continue  # the server was killed: it comes back
            except psycopg2.DatabaseError as error:
                if "server closed the connection" not in str(error):
                    self.error = error
            except Exception as error:  # pylint: disable=broad-except
                self.error = error

    def finish(self, deadline_s):
        self.join(deadline_s)
        assert not self.is_alive(), "the changes were not made in time"
        if self.error:
            raise self.error
