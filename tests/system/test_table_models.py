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
