"""Records that the destination knows by another field than the primary key."""
import pytest

from harness.lab import assert_clean
from harness.sink import refuse

pytestmark = pytest.mark.core

SQL = "select id, email, name from c"
KEY = ("email",)


def by_email(lab, sink, **sync):
    lab.simple(sink, sql=SQL, identify_by="email", **sync)


def test_the_key_of_a_record_is_the_identifying_field(lab, sink):
    lab.customers(500)
    by_email(lab, sink)
    lab.good_run()
    lab.assert_same(sink.state, SQL, KEY)
    assert set(sink.log[0].records[0]["key"]) == {"email"}


def test_identity_follows_the_mapped_value(lab, sink):
    lab.sql("create table c (id int, email text, name text)")
    lab.sql("insert into c values (1, '  Ann@Example.ORG ', 'Ann')")
    by_email(lab, sink, mappings=[{"from": "email", "to": "email", "transform": ["trim", "lower"]}, {"from": "name", "to": "name"}])
    lab.good_run()
    assert set(sink.state) == {'{"email":"ann@example.org"}'}
    lab.sql("update c set email = 'ANN@example.org'")
    assert lab.good_run().counts("unchanged", "planned") == (1, 0)


def test_a_changed_identity_is_one_change_and_one_removal_of_the_old_one(lab, sink):
    lab.customers(10)
    by_email(lab, sink)
    lab.good_run()
    mark = len(sink.log)
    lab.sql("update c set email = 'new@example.org' where id = 4")
    done = lab.good_run()
    assert done.counts("changed", "removed", "unchanged", "added") == (1, 1, 9, 0)
    sent = sorted((r["op"], r["key"]["email"]) for r in sink.sent_since(mark))
    assert sent == [("delete", "u4@example.org"), ("upsert", "new@example.org")]
    lab.assert_same(sink.state, SQL, KEY)
    assert lab.good_run().counts("planned") == (0,)


def test_a_changed_identity_is_only_a_change_where_the_mode_does_not_remove(lab, sink):
    lab.customers(10)
    by_email(lab, sink, mode="upsert")
    lab.good_run()
    lab.sql("update c set email = 'new@example.org' where id = 4")
    assert lab.good_run().counts("changed", "removed", "unchanged") == (1, 0, 9)
    assert lab.good_run().counts("planned") == (0,)


def test_two_rows_may_swap_their_identities(lab, sink):
    lab.customers(10)
    by_email(lab, sink)
    lab.good_run()
    lab.sql("update c set email = case id when 3 then 'u5@example.org' else 'u3@example.org' end where id in (3, 5)")
    done = lab.good_run()
    assert done.counts("changed", "removed", "invalid") == (2, 0, 0)
    lab.assert_same(sink.state, SQL, KEY)
    assert_clean(sink)
    assert lab.good_run().counts("planned") == (0,)


def test_identities_may_move_round_a_ring(lab, sink):
    lab.customers(300)
    by_email(lab, sink)
    lab.good_run()
    lab.sql("update c set email = 'u' || (id % 300 + 1) || '@example.org'")
    assert lab.good_run().counts("changed", "removed", "invalid") == (300, 0, 0)
    lab.assert_same(sink.state, SQL, KEY)
    assert_clean(sink)


def test_a_row_may_take_over_the_identity_of_a_row_that_is_gone(lab, sink):
    lab.customers(10)
    by_email(lab, sink)
    lab.good_run()
    lab.sql("delete from c where id = 2; update c set email = 'u2@example.org' where id = 9")
    done = lab.good_run()
    assert done.counts("changed", "invalid", "added") == (1, 0, 0)
    lab.assert_same(sink.state, SQL, KEY)
    assert lab.good_run().counts("planned") == (0,)


def test_a_new_row_may_take_over_the_identity_of_a_row_that_moved(lab, sink):
    lab.customers(10)
    by_email(lab, sink)
    lab.good_run()
    lab.sql("update c set email = 'elsewhere@example.org' where id = 2; insert into c values (0, 'u2@example.org', 'New', 1, true)")
    done = lab.good_run()
    assert done.counts("changed", "added", "invalid") == (1, 1, 0)
    lab.assert_same(sink.state, SQL, KEY)
    assert lab.good_run().counts("planned") == (0,)


def test_an_identity_that_another_row_owns_makes_the_row_invalid(lab, sink):
    lab.customers(10)
    by_email(lab, sink)
    lab.good_run()
    mark = len(sink.log)
    lab.sql("insert into c values (50, 'u7@example.org', 'Thief', 1, false)")
    done = lab.run()
    assert done.rc == 1 and done.counts("invalid", "unchanged", "planned") == (1, 10, 0)
    assert len(sink.log) == mark and sink.state['{"email":"u7@example.org"}']["name"] == "Name 7"
    assert "same identity" in lab.command("errors", "s").text


def test_two_new_rows_with_one_identity_send_one_of_them(lab, sink):
    lab.sql("create table c (id int, email text, name text)")
    lab.sql("insert into c values (1, 'a@x', 'one'), (2, 'a@x', 'two'), (3, 'b@x', 'three')")
    by_email(lab, sink)
    done = lab.run()
    assert done.rc == 1 and done.counts("added", "invalid", "succeeded") == (2, 1, 2)
    assert len(sink.state) == 2


def test_a_row_without_an_identity_is_invalid(lab, sink):
    lab.customers(3)
    lab.sql("update c set email = null where id = 2")
    by_email(lab, sink)
    done = lab.run()
    assert done.rc == 1 and done.counts("added", "invalid") == (2, 1)


def test_a_vanished_row_is_removed_by_the_identity_it_had(lab, sink):
    lab.customers(10)
    by_email(lab, sink)
    lab.good_run()
    mark = len(sink.log)
    lab.sql("delete from c where id = 6")
    assert lab.good_run().counts("removed") == (1,)
    assert sink.sent_since(mark) == [{"op": "delete", "key": {"email": "u6@example.org"}, "fields": {}}]


def test_a_refused_new_identity_keeps_the_old_one_known(lab, sink):
    lab.customers(5)
    by_email(lab, sink)
    lab.good_run()
    sink.behave = lambda q: refuse(422, "bad address") if any(r["key"]["email"] == "bad" for r in q.records) else None
    lab.sql("update c set email = 'bad' where id = 1")
    assert lab.run().rc == 1
    lab.sql("delete from c where id = 1")
    lab.run()
    assert not {'{"email":"u1@example.org"}', '{"email":"bad"}'} & set(sink.state)
