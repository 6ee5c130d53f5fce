"""What happened to this customer: what was sent, when, in which batch, and what came of it."""
import json
import os

from harness.sink import ACCEPT, record_errors

SQL = "select id, email, amount from c"


def history(lab, key, *args):
    done = lab.command("history", "s", str(key), "--json", *args)
    assert done.rc == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


def refusing(number, words):
    """A behaviour: the record of this id is refused, the others are accepted."""
    def behave(request):
        return record_errors((request.ids.index(number), words, False)) if number in request.ids else ACCEPT
    return behave


def test_each_version_is_there_newest_first_with_its_batch(lab, sink):
    lab.customers(30)
    lab.simple(sink, sql=SQL, batch_size=10)
    first = lab.good_run().last["run"]
    lab.sql("update c set amount = 99 where id = 5")
    second = lab.good_run().last["run"]
    lab.sql("delete from c where id = 5")
    third = lab.good_run().last["run"]
    hits = history(lab, 5)
    assert [h["run"] for h in hits] == [third, second, first]
    assert [h["op"] for h in hits] == ["delete", "upsert", "upsert"]
    assert {h["verdict"] for h in hits} == {"accepted"}
    assert [h["fields"] and h["fields"]["amount"] for h in hits] == [None, 99, 6.25]
    keys = {r.idempotency_key for r in sink.log}
    assert all(any(k.startswith(h["batch"]) for k in keys) for h in hits), "the batch names the request"
    assert history(lab, '{"id":5}', "--limit", "1") == hits[:1]
    people = lab.command("history", "s", "5")
    assert "accepted" in people.out and '"amount":99' in people.out
    assert history(lab, 31) == []


def test_refusals_keep_the_destinations_words(lab, sinks):
    sink = sinks(refusing(7, "no such plan"))
    lab.customers(10)
    lab.simple(sink, sql=SQL)
    assert lab.run().rc == 1
    hit, = history(lab, 7)
    assert hit["verdict"] == "rejected" and "no such plan" in hit["message"]
    assert [h["verdict"] for h in history(lab, 8)] == ["accepted"]


def test_an_interrupted_run_says_what_it_no_longer_knows(lab, sinks):
    sink = sinks(refusing(3, "bad"), delay_s=0.05)
    lab.customers(400)
    lab.simple(sink, sql=SQL, batch_size=10, destination={"concurrency": 1})
    running = lab.start_run()
    sink.wait_requests(6)
    running.kill_everything()
    lab.run()
    verdict, = {h["verdict"] for h in history(lab, 390)}
    assert verdict in ("unknown", "accepted")
    verdict, = {h["verdict"] for h in history(lab, 3)}
    assert verdict in ("unknown", "rejected"), "never accepted"


def folder(lab):
    return os.path.join(lab.state_dir, "history")


def test_history_stays_within_its_bytes_and_can_be_turned_off(lab, sink):
    lab.customers(3000)
    lab.simple(sink, sql=SQL, settings={"history": "200kB"})
    for n in range(6):
        lab.sql(f"update c set amount = {n}")
        lab.good_run()
    files = os.listdir(folder(lab))
    size = sum(os.path.getsize(os.path.join(folder(lab), f)) for f in files)
    assert files and size <= 200000, (files, size)
    lab.simple(sink, sql=SQL, settings={"history": 0})
    lab.sql("update c set amount = 77")
    run = lab.good_run().last["run"]
    assert run not in os.listdir(folder(lab))


def test_a_damaged_file_ends_where_the_damage_begins(lab, sink):
    lab.customers(30)
    lab.simple(sink, sql=SQL, batch_size=10)
    run = lab.good_run().last["run"]
    with open(os.path.join(folder(lab), run), "r+b") as f:
        f.seek(-200, 2)
        f.write(b"\xff" * 100)
    assert len(history(lab, 1)) == 1
    assert len(history(lab, 30)) <= 1


def test_mistakes(lab, sink):
    lab.customers(1)
    lab.simple(sink, sql=SQL)
    assert lab.command("history", "s", "1").rc == 0
    done = lab.command("history", "nothing", "1")
    assert done.rc == 64 and "nothing" in done.err
    assert lab.command("history", "s").rc == 64
