"""A mapped column that is gone or has another type holds the run."""
import pytest

FIELDS = [{"from": "email", "to": "email"}, {"template": "{{name}}!", "to": "hello"}, {"from": "amount", "to": "amount"}]


def synced(lab, sink, **sync):
    lab.customers(20)
    lab.simple(sink, **{"mappings": FIELDS, **sync})
    lab.good_run()
    return len(sink.log)


def test_a_column_that_is_gone_holds_and_cannot_be_approved(lab, sink):
    mark = synced(lab, sink)
    lab.sql("alter table c drop column name")
    done = lab.run()
    assert done.rc == 3 and done.last["status"] == "held" and done.last["rows"] == 0, done
    assert len(sink.log) == mark
    status = lab.command("status")
    assert "column name" in status.out and "gone" in status.out, status
    approved = lab.command("approve", done.last["run"])
    assert approved.rc == 64 and "nothing was planned" in approved.err, approved
    lab.sql("alter table c add column name text")
    assert lab.good_run().counts("rows", "changed") == (20, 20)


def test_a_column_that_was_never_there_is_a_mistake(lab, sink):
    lab.customers(3)
    lab.simple(sink, mappings=[{"from": "emial", "to": "email"}])
    done = lab.run()
    assert done.rc == 2 and done.last["status"] == "failed", done


def test_another_type_holds_and_approval_sends_what_changed(lab, sink):
    mark = synced(lab, sink)
    lab.sql("alter table c alter column amount type text using amount || ' EUR'")
    done = lab.run()
    assert done.rc == 3, done
    assert len(sink.log) == mark
    again = lab.run()
    assert again.rc == 3, "it stays so until somebody approves"
    assert lab.command("approve", again.last["run"]).rc == 0
    assert sink.state["id=1" if "id=1" in sink.state else next(iter(sink.state))]["amount"].endswith("EUR")
    assert lab.good_run().counts("changed") == (0,)


@pytest.mark.parametrize("change", [
    "alter table c alter column id type integer",
    "alter table c add column more text",
    "alter table c drop column vip",
    "alter table c alter column name type varchar(50)",
])
def test_what_changes_nothing_that_is_sent_does_not_hold(lab, sink, change):
    synced(lab, sink)
    lab.sql(change)
    assert lab.good_run().counts("planned") == (0,)


def test_a_column_that_the_mapping_gave_up_may_go(lab, sink):
    synced(lab, sink)
    lab.sql("alter table c drop column amount")
    lab.simple(sink, mappings=FIELDS[:2])
    lab.good_run()


def test_all_columns_hold_too_when_one_is_gone(lab, sink):
    synced(lab, sink, mappings="all")
    lab.sql("alter table c drop column vip")
    done = lab.run()
    assert done.rc == 3, done
    assert lab.command("approve", done.last["run"]).rc == 0
    assert "vip" not in next(iter(sink.state.values()))
    assert lab.good_run().counts("planned") == (0,)


@pytest.mark.parametrize("guard", ["off", {"columns": "off"}])
def test_it_can_be_turned_off(lab, sink, guard):
    synced(lab, sink, guard=guard)
    lab.sql("alter table c alter column amount type text using amount || ' EUR'")
    assert lab.good_run().counts("changed") == (20,)


def test_adopting_takes_the_new_type(lab, sink):
    synced(lab, sink)
    lab.sql("alter table c alter column amount type text using amount || ' EUR'")
    assert lab.command("adopt", "s").rc == 0
    assert lab.good_run().counts("planned") == (0,)
