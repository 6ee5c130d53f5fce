"""Records that the destination refused for good, and how they come back."""
import pytest

from harness.sink import record_errors, refuse

pytestmark = pytest.mark.core


def refusing(*bad_ids):
    """Refuses these ids one by one, as long as they are in the set it returns."""
    bad = set(bad_ids)

    def behave(request):
        errors = [(n, "no such contact", False) for n, i in enumerate(request.ids) if i in bad]
        return record_errors(*errors) if errors else None
    return bad, behave


def test_a_refused_record_is_quarantined_and_not_sent_again(lab, sink):
    _, sink.behave = refusing(3, 7)
    lab.customers(20)
    lab.simple(sink)
    first = lab.run()
    assert first.rc == 1 and first.counts("rejected", "succeeded", "status") == (2, 18, "warning")
    mark = len(sink.log)
    again = lab.run()
    assert again.rc == 0, "rows quarantined by earlier runs alone give 0"
    assert again.counts("quarantined", "unchanged", "planned") == (2, 18, 0) and len(sink.log) == mark


def test_a_quarantined_row_is_sent_when_its_values_change(lab, sink):
    bad, sink.behave = refusing(3, 7)
    lab.customers(20)
    lab.simple(sink)
    lab.run()
    bad.clear()
    lab.sql("update c set email = 'mended@example.org' where id = 3")
    mark = len(sink.log)
    done = lab.run()
    assert done.counts("added", "quarantined", "succeeded") == (1, 1, 1)
    assert sink.ids_since(mark) == [3]


def test_a_quarantined_row_is_sent_when_the_mapping_changes(lab, sink):
    bad, sink.behave = refusing(3)
    lab.customers(5)
    lab.simple(sink, mappings=[{"from": "email", "to": "email"}])
    lab.run()
    bad.clear()
    mark = len(sink.log)
    lab.simple(sink, mappings=[{"from": "email", "to": "email", "transform": ["trim"]}])
    assert lab.good_run().counts("added", "unchanged", "succeeded") == (1, 4, 1)
    assert sink.ids_since(mark) == [3]


def test_retry_sends_quarantined_rows_again(lab, sink):
    bad, sink.behave = refusing(3, 7)
    lab.customers(20)
    lab.simple(sink)
    lab.run()
    bad.clear()
    mark = len(sink.log)
    assert lab.command("retry", "s").rc == 0
    if len(sink.log) == mark:
        lab.good_run()
    assert sink.ids_since(mark) == [3, 7]
    assert lab.good_run().counts("quarantined", "unchanged") == (0, 20)


def test_a_refusal_is_forgotten_when_the_row_returns_to_what_was_accepted(lab, sink):
    bad, sink.behave = refusing()
    lab.customers(5)
    lab.simple(sink)
    lab.good_run()
    bad.add(2)
    lab.sql("update c set name = 'refused' where id = 2")
    assert lab.run().counts("changed", "rejected") == (1, 1)
    assert lab.run().counts("quarantined", "unchanged") == (1, 4)
    lab.sql("update c set name = 'Name 2' where id = 2")
    assert lab.good_run().counts("unchanged", "planned") == (5, 0)
    bad.clear()
    lab.sql("update c set name = 'refused' where id = 2")
    assert lab.good_run().counts("changed", "succeeded") == (1, 1)


def test_a_quarantined_row_that_vanishes_without_ever_being_accepted_counts_nowhere(lab, sink):
    _, sink.behave = refusing(3)
    lab.customers(5)
    lab.simple(sink)
    lab.run()
    lab.sql("delete from c where id = 3")
    assert lab.good_run().counts("rows", "unchanged", "removed", "planned") == (4, 4, 0, 0)


def test_a_quarantined_change_of_an_accepted_row_is_removed_with_the_row(lab, sink):
    bad, sink.behave = refusing()
    lab.customers(5)
    lab.simple(sink)
    lab.good_run()
    bad.add(3)
    lab.sql("update c set name = 'refused' where id = 3")
    lab.run()
    bad.clear()
    lab.sql("delete from c where id = 3")
    assert lab.good_run().counts("removed", "succeeded") == (1, 1)
    assert '{"id":3}' not in sink.state


def test_a_refused_removal_is_not_sent_again_until_retry(lab, sink):
    bad, sink.behave = refusing()
    lab.customers(10)
    lab.simple(sink)
    lab.good_run()
    bad.add(4)
    lab.sql("delete from c where id = 4")
    assert lab.run().counts("removed", "rejected") == (1, 1)
    mark = len(sink.log)
    assert lab.good_run().counts("planned", "removed") == (0, 0)
    assert len(sink.log) == mark
    bad.clear()
    assert lab.command("retry", "s").rc == 0
    if len(sink.log) == mark:
        lab.good_run()
    assert '{"id":4}' not in sink.state


def test_full_skips_quarantined_rows(lab, sink):
    bad, sink.behave = refusing(3)
    lab.customers(5)
    lab.simple(sink)
    lab.run()
    mark = len(sink.log)
    done = lab.run("--full")
    assert done.counts("changed", "quarantined") == (4, 1) and sink.ids_since(mark) == [1, 2, 4, 5]


def test_errors_shows_key_reason_and_the_remotes_own_words(lab, sink):
    sink.behave = lambda q: refuse(422, "Property \"vip\" does not exist") if 3 in q.ids else None
    lab.customers(5)
    lab.simple(sink)
    lab.run()
    text = lab.command("errors", "s").text
    assert "3" in text and 'Property "vip" does not exist' in text.replace("\\", "")
    shown = lab.command("errors", "s", "--json")
    assert shown.rc == 0 and len(shown.lines) == 1 and len(shown.out.splitlines()) == 1


def test_the_remotes_words_are_cut_and_cannot_steer_the_terminal(lab, sink):
    sink.behave = lambda q: refuse(422, "\u001b[31mred " + "x" * 5000) if 3 in q.ids else None
    lab.customers(3)
    lab.simple(sink)
    lab.run()
    text = lab.command("errors", "s").text
    assert "\u001b" not in text and "x" * 1025 not in text


def test_retry_by_key_and_message_takes_only_the_records_that_errors_lists_for_them(lab, sink):
    sink.behave = lambda q: record_errors(*[(n, "odd" if i % 2 else "even", False) for n, i in enumerate(q.ids)])
    lab.customers(12)
    lab.simple(sink)
    lab.run()
    for chosen, ids in ((["--key", "1"], [1, 10, 11, 12]), (["--key", '"id":1'], [1, 10, 11, 12]),
                        (["--key", "1", "--message", "even"], [10, 12]), (["--message", "odd"], [1, 3, 5, 7, 9, 11]), (["--key", "99"], [])):
        listed = lab.command("errors", *chosen, "--json").lines
        assert sorted(line["key"]["id"] for line in listed) == ids
        assert lab.command("retry", *chosen, "--json").lines == [{"forgotten": len(ids)}]
        mark = len(sink.log)
        lab.run()
        assert sink.ids_since(mark) == ids
