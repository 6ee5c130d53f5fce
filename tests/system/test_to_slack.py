"""Warehouse to Slack: a message for each new row, one a second and channel, through throttling and refusals."""
import pytest

from harness.vendors import Cut, Throttle, html

pytestmark = pytest.mark.vendors

MODEL = "select id, 'C' || id % 3 as channel, name || ' & <' || amount || '>' as text from c"


def project(lab, slack, destination=None, **sync):
    lab.project({"orders": {"sql": MODEL}},
                {"chat": {"type": "slack", "base_url": slack.url, "token": "xoxb-1", "retry": {"base": "20ms", "max": "100ms"},
                          **(destination or {})}},
                {"s": {"model": "orders", "destination": "chat", "object": "messages", "mode": "append", "first_run": "send",
                       "mappings": [{"from": "channel", "to": "channel"}, {"from": "text", "to": "text"}], **sync}})


def messages(slack):
    return sorted(message["text"] for kind in slack.kinds() for message in slack.objects(kind).values())


def model(lab, where="true"):
    return sorted(text for (text,) in lab.sql(f"select text from ({MODEL}) m where {where}"))


@pytest.fixture
def slack(vendors):
    return vendors.add("slack", token="xoxb-1")


def test_each_row_is_told_once_in_its_channel(lab, vendors, slack):
    lab.customers(9)
    lab.sql("update c set name = 'Zoë \"Z\" O''Neil 🚀' where id = 3")
    project(lab, slack)
    slack.fail(Throttle(retry_after=1))
    slack.fail(html(502))
    slack.fail(Cut(applied=False))
    slack.refuse(model(lab, "id = 7")[0])
    first = lab.run()
    assert first.rc == 1 and first.counts("planned", "succeeded", "rejected", "failed") == (9, 8, 1, 0)
    assert messages(slack) == model(lab, "id <> 7") and slack.kinds() == ["messages:C0", "messages:C1", "messages:C2"]

    slack.pardon()
    lab.customers(2, first=10)
    lab.sql("delete from c where id = 1")
    kept = messages(slack)
    second = lab.good_run()
    assert second.counts("added", "succeeded", "quarantined") == (2, 2, 1)
    assert messages(slack) == sorted(kept + model(lab, "id >= 10"))
    vendors.assert_clean()


def test_a_channel_that_is_gone_refuses_its_messages_alone(lab, vendors):
    slack = vendors.add("slack", token="xoxb-1", channels={"C0", "C1"})
    lab.customers(6)
    project(lab, slack)
    done = lab.run()
    assert done.rc == 1 and done.counts("succeeded", "rejected") == (4, 2) and "channel_not_found" in lab.command("errors", "s").out
    assert messages(slack) == model(lab, "channel <> 'C2'")
    vendors.assert_clean()


def test_a_token_that_is_refused_ends_the_run_and_loses_nothing(lab, slack):
    lab.customers(3)
    project(lab, slack, destination={"token": "xoxb-old"})
    done = lab.run()
    assert done.rc == 2 and done.counts("succeeded", "cancelled", "rejected") == (0, 3, 0)
    project(lab, slack)
    lab.good_run()
    assert messages(slack) == model(lab)
