"""The reference destination's request."""
import base64
import hashlib
import hmac


def one_request(lab, sink, count=20, **destination):
    lab.customers(count)
    lab.simple(sink, destination=destination)
    lab.good_run()
    assert len(sink.log) == 1
    return sink.log[0]


def test_the_body_names_sync_run_batch_and_attempt(lab, sink):
    lab.customers(3)
    lab.simple(sink)
    done = lab.good_run()
    request = sink.log[0]
    assert list(request.doc) == ["sync", "run", "batch", "attempt", "records"]
    assert (request.doc["sync"], request.doc["run"], request.doc["attempt"]) == ("s", done.last["run"], 1)
    assert all(list(r) == ["op", "key", "fields"] for r in request.records)
    assert request.headers["content-type"].split(";")[0] == "application/json"
    assert request.idempotency_key and done.last["bytes"] == len(request.raw)


def test_headers_bearer_and_signature(lab, sink):
    request = one_request(lab, sink, headers={"X-Team": "growth"}, bearer="${HOOK_TOKEN:-tok-123}", sign={"secret": "s3"})
    assert request.headers["x-team"] == "growth"
    assert request.headers["authorization"] == "Bearer tok-123"
    assert request.headers["x-sluice-signature"].split("=")[-1] == hmac.new(b"s3", request.raw, hashlib.sha256).hexdigest()


def test_basic_authentication(lab, sink):
    request = one_request(lab, sink, basic={"user": "ann", "password": "pass word"})
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"ann:pass word").decode()


def test_gzip_makes_the_body_smaller(lab, sink):
    request = one_request(lab, sink, count=400, gzip=True)
    assert request.headers["content-encoding"] == "gzip" and len(request.raw) < len(request.text) / 3
    lab.assert_same(sink.state)


def test_batches_are_as_large_as_asked(lab, sink):
    lab.customers(1050)
    lab.simple(sink, batch_size=250, destination={"concurrency": 1})
    lab.good_run()
    assert sorted(len(q.records) for q in sink.log) == [50, 250, 250, 250, 250]


def test_a_url_with_a_query_is_used_as_it_is(lab, sink):
    lab.customers(3)
    lab.simple(sink, destination={"url": sink.url + "?a=1&b=%20x"})
    lab.good_run()
    assert sink.log[0].path == "/in?a=1&b=%20x"


def test_connections_are_used_again(lab, sink):
    lab.customers(2000)
    lab.simple(sink, batch_size=20, destination={"concurrency": 2})
    ports = set()
    sink.behave = lambda q: ports.update(id(c) for c in sink.connections)
    lab.good_run("--workers", "1")
    assert len(sink.log) == 100 and len(ports) <= 4
