"""Every SQL type arrives exactly, whichever way the rows are read."""
import json

import pytest

pytestmark = pytest.mark.core

READS = ["copy", "rows"]
EXACT = [
    # (SQL expression, JSON text that must be sent)
    ("9007199254740993::bigint", "9007199254740993"),
    ("(-32768)::smallint", "-32768"),
    ("12345678901234567890.123456789::numeric", "12345678901234567890.123456789"),
    ("1.50::numeric(10,2)", "1.50"),
    ("0.1::float8", "0.1"),
    ("1e300::float8", "1e+300"),
    ("true", "true"),
    ("null::int", "null"),
    ("null::text", "null"),
    ("''::text", '""'),
    ("'2026-02-28'::date", '"2026-02-28"'),
    ("'2026-01-02 03:04:05.678901+02'::timestamptz", '"2026-01-02T01:04:05.678901Z"'),
    ("'2026-01-02 03:04:05+02'::timestamptz", '"2026-01-02T01:04:05Z"'),
    ("'2026-01-02 03:04:05.5'::timestamp", '"2026-01-02T03:04:05.5Z"'),
    ("'\\x00ff10'::bytea", '"AP8Q"'),
    ("''::bytea", '""'),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'),
    ("'13:14:15.5'::time", '"13:14:15.5"'),
    ("'1 day 02:03:04'::interval", '"1 day 02:03:04"'),
    ("'happy'::mood", '"happy"'),
    ("'10.0.0.0/8'::cidr", '"10.0.0.0/8"'),
    ("'[1,5)'::int4range", '"[1,5)"'),
    ("'null'::jsonb", "null"),
    ("'\"x\"'::jsonb", '"x"'),
    ("'12345678901234567890'::json", "12345678901234567890"),
    ("'{1,NULL,3}'::int[]", "[1,null,3]"),
    ("'{}'::int[]", "[]"),
    ("'{{1,2},{3,4}}'::int[]", "[[1,2],[3,4]]"),
    ("'{t,f}'::bool[]", "[true,false]"),
    ("array[12345678901234567890.5]::numeric[]", "[12345678901234567890.5]"),
]
LOOSE = [
    # (SQL expression, value after parsing: order or spacing is free)
    ("'{\"b\": [1, null, \"x\"], \"a\": {\"c\": 1.0}}'::jsonb", {"b": [1, None, "x"], "a": {"c": 1.0}}),
    ("'{\"a,b\",\"c\\\"d\",NULL,\"NULL\",\"\"}'::text[]", ["a,b", 'c"d', None, "NULL", ""]),
    ("array['2026-01-02'::date]", ["2026-01-02"]),
    ("array['{\"k\": 1}'::jsonb]", [{"k": 1}]),
    ("E'q\"\\\\ \\n\\t\\r \\u0001 é 漢 😀 </script> \\u2028'", 'q"\\ \n\t\r \u0001 é 漢 😀 </script> \u2028'),
    ("repeat('x', 100000)", "x" * 100000),
]


@pytest.fixture(params=READS)
def read(request):
    return request.param


def mood(lab):
    lab.sql("create type mood as enum ('happy', 'sad')")


def test_values_keep_their_exact_form(lab, sink, read):
    mood(lab)
    columns = ", ".join(f"{sql} as c{n}" for n, (sql, _) in enumerate(EXACT))
    lab.simple(sink, sql=f"select 1 as id, {columns}", source={"read": read})
    lab.good_run()
    text = sink.log[0].text.decode()
    for n, (sql, want) in enumerate(EXACT):
        assert f'"c{n}":{want},' in text + "," or f'"c{n}":{want}}}' in text, f"{sql}: wanted {want} in {text}"


def test_values_that_have_more_than_one_spelling_keep_their_meaning(lab, sink, read):
    columns = ", ".join(f"{sql} as c{n}" for n, (sql, _) in enumerate(LOOSE))
    lab.simple(sink, sql=f"select 1 as id, {columns}", source={"read": read})
    lab.good_run()
    fields = sink.log[0].records[0]["fields"]
    for n, (sql, want) in enumerate(LOOSE):
        assert fields[f"c{n}"] == want, f"{sql}: {fields[f'c{n}']!r}"


def test_json_numbers_are_not_touched(lab, sink, read):
    lab.simple(sink, sql="""select 1 as id, '{"big":12345678901234567890,"exact":1.10,"tiny":1e-30}'::json as j""",
               source={"read": read})
    lab.good_run()
    text = sink.log[0].text.decode().replace(" ", "")
    assert '"big":12345678901234567890' in text and '"exact":1.10' in text and "1e-30" in text


def test_the_body_is_compact_json(lab, sink):
    lab.simple(sink, sql="select 1 as id, 'a b' as t")
    lab.good_run()
    text = sink.log[0].text.decode()
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("sql", ["'NaN'::numeric", "'NaN'::float8", "'Infinity'::float8", "'-Infinity'::float8",
                                 "'infinity'::timestamptz", "'infinity'::date", "'0044-03-15 BC'::date"])
def test_values_without_a_json_form_make_the_row_invalid(lab, sink, read, sql):
    lab.simple(sink, sql=f"select 1 as id, {sql} as v union all select 2, null", source={"read": read})
    done = lab.run()
    assert done.rc == 1 and done.counts("rows", "invalid", "succeeded") == (2, 1, 1)
    assert set(sink.state) == {'{"id":2}'}
    assert "v" in lab.command("errors", "s").text


def test_such_a_value_in_a_column_that_is_not_mapped_does_no_harm(lab, sink):
    lab.simple(sink, sql="select 1 as id, 'NaN'::float8 as v", mappings=[{"from": "id", "to": "id"}])
    assert lab.good_run().counts("succeeded") == (1,)


def test_text_that_is_not_utf8_makes_the_row_invalid(lab, postgres, sink):
    postgres.sql("create database ascii template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'")
    try:
        postgres.sql("create table c (id int, t text); insert into c values (1, 'fine'), (2, E'\\xff\\xfe')", "ascii")
        lab.warehouse_url = postgres.url("ascii")
        lab.simple(sink)
        done = lab.run()
        assert done.rc == 1 and done.counts("invalid", "succeeded") == (1, 1)
    finally:
        postgres.drop_database("ascii")


def test_the_models_time_zone_places_timestamps_without_one(lab, sink, read):
    lab.simple(sink, sql="select 1 as id, '2026-07-01 12:00:00'::timestamp as s, '2026-01-01 12:00:00'::timestamp as w",
               model={"timezone": "Europe/Berlin"}, source={"read": read})
    lab.good_run()
    fields = sink.log[0].records[0]["fields"]
    assert (fields["s"], fields["w"]) == ("2026-07-01T10:00:00Z", "2026-01-01T11:00:00Z")


def test_settings_of_the_server_do_not_change_what_is_sent(lab, sink, read):
    for setting in ("datestyle = 'German, DMY'", "timezone = 'Asia/Kolkata'", "intervalstyle = 'iso_8601'",
                    "extra_float_digits = 0", "bytea_output = 'escape'"):
        lab.sql(f"alter database {lab.database} set {setting}")
    lab.simple(sink, sql="select 1 as id, '2026-02-03'::date as d, '2026-01-02 03:04:05+00'::timestamptz as z, "
                         "'\\x00ff10'::bytea as b, 0.1::float8 + 0.2 as f, '1 day'::interval as i", source={"read": read})
    lab.good_run()
    assert sink.log[0].records[0]["fields"] == {"id": 1, "d": "2026-02-03", "z": "2026-01-02T03:04:05Z", "b": "AP8Q",
                                                "f": 0.30000000000000004, "i": "1 day"}


@pytest.mark.parametrize("sql, keys", [
    ("select 9007199254740993::bigint as id", [{"id": 9007199254740993}]),
    ("select 1.10::numeric as id union select 1.1001", [{"id": 1.1}, {"id": 1.1001}]),
    ("select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as id", [{"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}]),
    ("select '2026-01-02'::date as id", [{"id": "2026-01-02"}]),
    ("select repeat('k', 600) || g as id from generate_series(1, 3) g", [{"id": "k" * 600 + str(n)} for n in (1, 2, 3)]),
    ("select '' as id union select ' ' union select 'É'", [{"id": ""}, {"id": " "}, {"id": "É"}]),
    ("select true as id union select false", [{"id": True}, {"id": False}]),
    ("select -1 as id union select 0 union select 01", [{"id": -1}, {"id": 0}, {"id": 1}]),
])
def test_keys_of_every_type_are_removed_by_what_they_were(lab, sink, sql, keys):
    lab.sql(f"create table k as {sql}")
    lab.simple(sink, sql="select id from k", guard={"max_removed": "off", "allow_empty": True})
    lab.good_run()
    lab.sql("delete from k")
    mark = len(sink.log)
    assert lab.good_run().last["removed"] == len(keys)
    sent = sink.sent_since(mark)
    assert all(r["op"] == "delete" for r in sent)
    assert sorted((r["key"] for r in sent), key=str) == sorted(keys, key=str)
    assert not sink.state


def test_a_number_key_and_a_text_key_of_the_same_digits_are_two_keys_of_two_columns(lab, sink):
    lab.sql("create table k (a text, b int); insert into k values ('1', 2), ('12', 2), ('1', 22)")
    lab.simple(sink, sql="select * from k", model={"primary_key": ["a", "b"]})
    assert lab.good_run().counts("added") == (3,)
    assert len(sink.state) == 3
