"""Models that are a table: all of it, or a choice of its columns and rows."""


def test_columns_and_rows_of_a_table(lab, sink):
    lab.customers(100)
    model = {"table": "c", "columns": ["name", "id"], "where": "vip or amount > 100 -- those that matter"}
    lab.project({"m": model}, {"hook": {"url": sink.url}}, {"s": {"model": "m", "destination": "hook"}})
    lab.good_run()
    sql = "select name, id from c where vip or amount > 100"
    lab.assert_same(sink.state, sql)
    lab.sql("update c set vip = false where id = 7; update c set email = 'not read'; update c set name = 'read' where id = 14")
    assert lab.good_run().counts("removed", "changed", "unchanged") == (1, 1, len(sink.state) - 1)
    lab.assert_same(sink.state, sql)


def test_a_condition_that_postgres_does_not_understand_is_told_in_its_words(lab, sink):
    lab.customers(5)
    lab.project({"m": {"table": "c", "where": "vipp"}}, {"hook": {"url": sink.url}}, {"s": {"model": "m", "destination": "hook"}})
    done = lab.run()
    assert done.rc == 2 and "vipp" in done.text and not sink.log


def test_a_held_run_is_not_approved_for_another_choice(lab, sink):
    """What was planned is what is approved."""

    def choose(**choice):
        lab.project({"m": {"table": "c", **choice}}, {"hook": {"url": sink.url}}, {"s": {"model": "m", "destination": "hook"}})

    lab.customers(100)
    choose(columns=["id", "name"])
    lab.good_run()
    lab.sql("delete from c where id > 10")
    held = lab.run()
    assert held.rc == 3 and held.last["status"] == "held", held
    for other in [{"columns": ["id", "name", "email"]}, {"columns": ["id", "name"], "where": "id > 5"}, {}]:
        choose(**other)
        refused = lab.command("approve", held.last["run"])
        assert refused.rc == 64 and "changed since it was held" in refused.err, refused
    choose(columns=["id", "name"])
    approved = lab.command("approve", held.last["run"])
    assert approved.rc == 0 and len(sink.state) == 10, approved


def test_a_condition_stays_in_its_parentheses(lab, sink):
    lab.customers(5)
    lab.project({"m": {"table": "c", "where": "false) or (true"}}, {"hook": {"url": sink.url}}, {"s": {"model": "m", "destination": "hook"}})
    done = lab.run()
    assert done.rc != 0 and "`where` must be one condition" in done.text and not sink.log
