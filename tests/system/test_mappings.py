"""What a mapping makes of a row."""
import hashlib


def sent_fields(lab, sink, sql, mappings, **sync):
    lab.simple(sink, sql=sql, mappings=mappings, **sync)
    lab.good_run()
    return sink.log[-1].records[0]["fields"]


def test_columns_templates_constants_and_transforms(lab, sink):
    fields = sent_fields(lab, sink, "select 1 as id, '  Ann ' as first, 'Lee' as last, 42 as n", [
        {"from": "first", "to": "firstname", "transform": ["trim", "lower"]},
        {"template": "{{last}}, {{first}}", "to": "full", "transform": ["trim"]},
        {"value": "warehouse", "to": "source"}, {"value": 7, "to": "seven"}, {"value": True, "to": "yes"},
        {"from": "n", "to": "text", "transform": ["to_string"]}])
    assert fields == {"firstname": "ann", "full": "Lee,   Ann", "source": "warehouse", "seven": 7, "yes": True, "text": "42"}


def test_a_target_with_dots_is_nested(lab, sink):
    fields = sent_fields(lab, sink, "select 1 as id, 'x' as a, 'y' as b", [
        {"from": "a", "to": "properties.address.city"}, {"from": "b", "to": "properties.name"}])
    assert fields == {"properties": {"address": {"city": "x"}, "name": "y"}}


def test_a_value_that_cannot_be_mapped_makes_only_its_row_invalid(lab, sink):
    lab.sql("create table c (id int, t text); insert into c values (1, '12'), (2, 'twelve'), (3, '-3.5')")
    lab.simple(sink, mappings=[{"from": "t", "to": "n", "transform": ["to_number"]}])
    done = lab.run()
    assert done.rc == 1 and done.counts("added", "invalid", "succeeded") == (2, 1, 2)
    assert sink.state == {'{"id":1}': {"n": 12}, '{"id":3}': {"n": -3.5}}


def test_hashing_for_ad_platforms(lab, sink):
    fields = sent_fields(lab, sink, "select 1 as id, ' Ann@Example.org' as e",
                         [{"from": "e", "to": "hash", "transform": ["trim", "lower", "sha256"]}])
    assert fields == {"hash": hashlib.sha256(b"ann@example.org").hexdigest()}


def test_an_unknown_column_is_named_with_its_place_and_a_suggestion(lab, sink):
    lab.customers(3)
    lab.simple(sink, mappings=[{"from": "emial", "to": "email"}])
    done = lab.command("run")
    assert done.rc in (2, 78) and "emial" in done.text and "email" in done.text and len(sink.log) == 0
