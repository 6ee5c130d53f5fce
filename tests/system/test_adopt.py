"""Adopting takes the present rows as synced: nothing is sent, and later changes are."""
import pytest

SQL = "select id, email, amount from c"


@pytest.mark.parametrize("mode", ["upsert", "insert", "mirror"])
def test_adopted_rows_are_not_sent_and_what_changes_later_is(lab, sink, mode):
    lab.customers(20)
    lab.simple(sink, sql=SQL, mode=mode)
    done = lab.command("adopt", "--json", "s")
    assert done.rc == 0 and done.counts("rows", "unchanged", "planned") == (20, 20, 0), done
    assert not sink.log
    lab.customers(1, first=21)
    lab.sql("update c set amount = 1 where id = 2; delete from c where id = 3")
    done = lab.good_run()
    expected = {"upsert": (1, 1, 0), "insert": (1, 0, 0), "mirror": (1, 1, 1)}
    assert done.counts("added", "changed", "removed") == expected[mode]


def test_adopting_after_runs_takes_over_what_changed(lab, sink):
    lab.customers(20)
    lab.simple(sink, sql=SQL, mode="mirror")
    lab.good_run()
    mark = len(sink.log)
    lab.sql("update c set amount = 1 where id < 5; delete from c where id = 7")
    done = lab.command("adopt", "--json", "s")
    assert done.rc == 0 and done.counts("planned") == (0,), done
    assert len(sink.log) == mark
    assert lab.good_run().counts("changed", "removed") == (0, 1), "what vanished is removed by the next run"


def test_adopt_wants_a_name(lab, sink):
    lab.customers(1)
    lab.simple(sink, sql=SQL)
    done = lab.command("adopt")
    assert done.rc == 64 and "SYNC" in done.err, done
