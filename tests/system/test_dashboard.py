"""The dashboard, in a browser, served by a scheduler that does real work."""
import hashlib
import re

import pytest
from selenium.webdriver.common.keys import Keys

from harness.dashboard import BATCH, HOSTILE, ROWS, browser, chromium, open_sync, refusing, serve, watch_a_run  # noqa: F401
from harness.sink import refuse

ENDED = ("success", "warning", "failed", "cancelled", "superseded")


def shown_number(browser, pattern, selector="main"):
    """The number that the pattern's group finds in the words shown; None where it finds none."""
    found = re.search(pattern, browser.text(selector))
    return int(found[1].replace(",", "")) if found else None


def answered(run):
    return sum(run["counts"][verdict] for verdict in ("succeeded", "rejected", "failed", "cancelled"))


# ---- runs ----

@pytest.mark.parametrize("stream", ["events", "polling"])
def test_a_run_goes_by_without_a_reload(lab, serve, browser, stream):
    service = serve()
    serve.sink.hold(lambda request: len(serve.sink.log) >= 10)  # some are answered, the others wait
    if stream == "polling":
        browser.expected += ["api/v1/events"]
        browser.block("*/api/v1/events")
    open_sync(browser, service)
    browser.wait_text("live" if stream == "events" else "polling", "#live")
    browser.run("window.neverReloaded = true")
    run = watch_a_run(browser)
    browser.wait_text("sending", ".facts")
    half = 9 * BATCH
    browser.wait(lambda: shown_number(browser, r"([\d,]+) of 2,000 changes answered") == half, f"{half} records answered")
    assert answered(service.get(f"/api/v1/runs/{run}")) == half and serve.sink.count_held()
    bar = browser.all("[role=progressbar]")[0]
    assert int(bar.get_attribute("aria-valuenow")) == 100 * half // ROWS
    assert f"{ROWS - half:,} open" in browser.text(".funnel"), "what is open is in the balance"
    assert set(browser.run("return [...document.querySelectorAll('[data-balance]')].map((e) => e.dataset.balance)")) == {"holds"}
    serve.sink.release()
    browser.wait_text("success", ".facts")
    assert "2,000 planned = 2,000 succeeded + 0 rejected + 0 failed + 0 cancelled ✓ balances" in browser.text(".funnel")
    assert "2,000 rows = 2,000 added" in browser.text(".funnel")
    assert not browser.all("[role=progressbar]") and not browser.button("Cancel")
    assert "success" in browser.run("return document.getElementById('announce').textContent"), "told to screen readers"
    assert browser.run("return window.neverReloaded"), "the page was reloaded"
    lab.assert_same(serve.sink.state)


def test_a_run_is_cancelled(serve, browser):
    service = serve()
    serve.sink.hold()
    open_sync(browser, service)
    run = watch_a_run(browser)
    browser.wait_text("sending", ".facts")
    browser.press("Cancel", "main")
    browser.press("Leave it", "dialog")
    assert service.get(f"/api/v1/runs/{run}")["phase"] == "sending", "nothing is done without a confirmation"
    browser.press("Cancel", "main")
    browser.press("Cancel the run", "dialog")
    service.wait_run(run, lambda r: r["phase"] != "sending")
    serve.sink.release()
    browser.wait_text("cancelled", ".facts .badge")
    ended = service.get(f"/api/v1/runs/{run}")
    assert ended["status"] == "cancelled" and ended["counts"]["cancelled"] > 0
    assert f"{ended['counts']['cancelled']:,} cancelled ✓ balances" in browser.text(".funnel")


def held_run(lab, service, browser):
    """A sync whose model lost most of its rows, as a person finds it: from the list to the plan."""
    assert service.run("s")["status"] == "success"
    lab.sql(f"delete from c where id > {ROWS // 10}")
    held = service.run("s")
    assert held["status"] == "held"
    browser.open(service.url)
    browser.wait(lambda: browser.button("Held 1"), "a held sync in the list")
    browser.press("Held 1")
    browser.wait_count("tbody tr", 1)
    browser.press("s", "tbody")
    browser.press("Look at the plan, approve or reject it")
    browser.wait_text("Held for approval")
    assert held["reason"] in browser.text(".reason")
    assert f"0 added, 0 changed, {ROWS * 9 // 10:,} removed of {ROWS // 10:,} rows read" in browser.text(".held")
    return held


def test_a_held_run_is_looked_at_and_approved(lab, serve, browser):
    service = serve()
    held = held_run(lab, service, browser)
    browser.press("Approve", "main")
    browser.press("Leave it", "dialog")
    assert service.get(f"/api/v1/runs/{held['id']}")["status"] == "held"
    browser.press("Approve", "main")
    browser.wait_text(f"{ROWS * 9 // 10:,} removed", "dialog[open]")  # the question says what will be done
    browser.press("Approve and send", "dialog")
    browser.wait_text("success", ".facts .badge")
    lab.assert_same(serve.sink.state)


def test_a_held_run_is_rejected(lab, serve, browser):
    service = serve()
    held = held_run(lab, service, browser)
    browser.expected += ["/plan - Failed to load resource: the server responded with a status of 404"]  # asked for as it was dropped
    browser.press("Reject", "main")
    browser.press("Reject the plan", "dialog")
    browser.wait_text("cancelled", ".facts .badge")
    assert service.get(f"/api/v1/runs/{held['id']}")["status"] == "cancelled"
    assert not service.sync("s")["held"] and len(serve.sink.state) == ROWS, "nothing of it was sent"


def test_a_plan_is_looked_at_before_it_is_sent(lab, serve, browser):
    service = serve(rows=20)
    open_sync(browser, service)
    browser.press("Plan", "main")
    browser.wait_text("Planned, to be looked at")
    assert "20 added, 0 changed, 0 removed of 20 rows read" in browser.text(".held") and not serve.sink.log
    browser.wait_text("To add", "[aria-label='Samples of the plan']")
    assert '{"id":1}' in browser.text("[aria-label='Samples of the plan']")
    assert not service.sync("s")["held"], "a plan stands in no schedule's way"
    browser.press("Approve", "main")
    browser.press("Approve and send", "dialog")
    browser.wait_text("success", ".facts .badge")
    lab.assert_same(serve.sink.state)


def test_the_history_of_runs_is_filtered_and_charted(lab, serve, browser):
    service = serve(syncs=("orders", "people"), rows=20)
    for turn in range(3):
        service.run("people")
        lab.sql(f"update c set amount = amount + 1 where id <= {5 + turn}")
    service.run("orders")
    browser.open(service.url, "runs")
    browser.wait_count("tbody tr", 4)
    browser.write("#search", "people" + Keys.ENTER)
    browser.wait_count("tbody tr", 3)
    assert "sync=people" in browser.place, "the filter can be shared"
    browser.choose("#status", "failed")
    browser.wait_text("No runs.")
    browser.go("syncs/people")
    browser.wait_count(".chart", 2)
    assert "3 runs: 31 succeeded, 0 rejected" in browser.text(".chart"), "20, then 5, then 6"
    assert browser.count(".chart a[data-run]") == 3
    browser.driver.back()
    browser.wait_text("Runs", "h1")


# ---- syncs and destinations ----

def test_a_sync_is_paused_and_resumed(serve, browser):
    service = serve(rows=5, schedule={"every": "1h"})
    browser.open(service.url)
    browser.press("Pause s")
    browser.wait_text("paused", "tbody")
    assert service.sync("s")["paused"]
    browser.open(service.url, "syncs/s")
    browser.press("Resume", "main")
    browser.wait(lambda: browser.button("Pause", "main"), "a sync that goes on")
    assert not service.sync("s")["paused"]
    assert browser.focused()["text"] == "Pause", "the focus stays where the button was"


def test_a_destination_is_paused_and_shows_the_use_of_its_limits(serve, browser):
    service = serve(limits=[{"requests": 1000, "per": "1h"}])
    serve.sink.hold(lambda request: len(serve.sink.log) >= 10)
    run = service.post("/api/v1/syncs/s/run")["run"]
    used = service.wait(lambda: serve.sink.count_held() and service.get("/api/v1/destinations")["destinations"][0]["limits"][0]["used"], "a limit in use")
    browser.open(service.url, "destinations")
    browser.wait(lambda: (shown_number(browser, r"(\d+) of 1,000 requests per 1h") or 0) >= used, "the limit's use")
    assert int(browser.all("[role=meter]")[0].get_attribute("aria-valuenow")) >= used
    serve.sink.release()
    service.wait_run(run, lambda r: r["status"] == "success")
    browser.press("Pause hook")
    browser.wait_text("paused", ".card")
    assert service.get("/api/v1/destinations")["destinations"][0]["paused"]
    browser.go("syncs")
    browser.wait_text("destination paused", "tbody")
    browser.go("destinations")
    browser.press("Resume hook")
    browser.wait(lambda: browser.button("Pause hook"), "a destination that receives again")
    assert not service.get("/api/v1/destinations")["destinations"][0]["paused"]


def test_a_destination_that_throttles_says_for_how_long(serve, browser):
    service = serve()
    serve.sink.behave = lambda request: refuse(429, "slow down", Retry_After="300")
    service.post("/api/v1/syncs/s/run")
    browser.open(service.url, "destinations")
    browser.wait(lambda: 0 < (shown_number(browser, r"throttled, (\d+) min left") or 0) <= 5, "a destination that throttles")
    browser.wait(lambda: 0 < (shown_number(browser, r"(\d+) % while it throttles") or 0) < 100, "lowered limits")


def test_a_thousand_syncs_are_all_there_and_found(serve, browser):
    names = [f"sync_{n:04d}" for n in range(1000)]
    service = serve(syncs=names, rows=5)
    service.run("sync_0500")
    browser.open(service.url)
    browser.wait_count("tbody tr", 1000)
    assert browser.texts("tbody tr td:first-child a") == names
    browser.write("#search", "0500 hook")
    browser.wait_count("tbody tr", 1)
    browser.wait_text("success", "tbody tr")
    assert "1 of 1,000 syncs" in browser.text()
    browser.type(Keys.ESCAPE)
    browser.wait_count("tbody tr", 1000)
    browser.press("Last run", "thead")
    browser.press("Last run", "thead")
    assert browser.texts("tbody tr td:first-child a")[0] == "sync_0500", "the only one that ran comes first"
    assert browser.all("th[aria-sort=descending]")
    browser.press("Never ran 999")
    browser.wait_count("tbody tr", 999)
    browser.run("window.kept = document.querySelector('tr[data-id=sync_0001]')")
    service.post("/api/v1/syncs/sync_0002/pause")
    browser.wait_text("paused", "tr[data-id=sync_0002]")
    assert browser.run("return window.kept === document.querySelector('tr[data-id=sync_0001]')"), "rows that did not change stay"


@pytest.mark.long
def test_a_thousand_runs_at_once_are_followed_to_their_end(serve, browser):
    """More is told at once than a listener may leave unread: it is dropped, asks again and misses nothing."""
    service = serve(syncs=[f"sync_{n:04d}" for n in range(1000)], rows=5)
    browser.expected += ["ERR_INCOMPLETE_CHUNKED_ENCODING"]
    browser.open(service.url)
    browser.wait_count("tbody tr", 1000)
    assert len(service.post("/api/v1/runs")["started"]) == 1000
    browser.wait(lambda: browser.button("Fine 1,000"), "a thousand syncs that ran")
    browser.wait(lambda: not browser.button("Running 1,000") and browser.text(".chips").count("Running") == 0, "none that still runs")
    assert {words.strip() for words in browser.texts("tbody tr td:nth-child(2)")} == {"success"}
    browser.wait_text("live", "#live")


# ---- errors ----

def test_a_group_of_errors_is_looked_at_and_tried_again(lab, serve, browser):
    service = serve(rows=20)
    bad, serve.sink.behave = refusing(3, 7)
    assert service.run("s")["status"] == "warning"
    browser.open(service.url, "errors")
    browser.wait_count("tbody tr", 1)
    assert HOSTILE in browser.text("tbody"), "the destination's words, as text"
    assert browser.count("img") == 0 and "owned" not in browser.driver.title
    assert sorted(browser.texts(".samples a")) == ['{"id":3}', '{"id":7}']
    browser.press(HOSTILE, "tbody")
    browser.wait_count("tbody tr", 2)
    browser.driver.back()
    browser.wait_text("Errors", "h1")
    bad.clear()
    browser.press(f"Retry s: {HOSTILE}")
    browser.wait_text("2 refusals forgotten", "#toasts")
    browser.press("Run now", "#toasts")
    browser.wait(lambda: len(serve.sink.state) == 20, "all records at the destination")
    browser.wait_text("Nothing was refused")
    lab.assert_same(serve.sink.state)


def test_what_happened_to_one_record(lab, serve, browser):
    service = serve(rows=20)
    bad, serve.sink.behave = refusing(7)
    service.run("s")
    browser.open(service.url, "quarantine")
    browser.wait_count("tbody tr", 1)
    browser.press('{"id":7}', "tbody")
    browser.wait_text("refused", "[aria-label=Result]")
    assert HOSTILE in browser.text("[aria-label=Result]") and browser.count("img") == 0
    browser.press("Request")
    browser.wait_text(f"POST {serve.sink.url}", ".history")
    assert '"id": 7' in browser.text(".history") and '"id": 8' not in browser.text(".history")
    browser.write("#search", "8" + Keys.ENTER)
    browser.wait_text("accepted", "[aria-label=Result]")
    browser.expected += ["api/v1/records"]  # the console tells of every 404
    browser.write("#search", "4711" + Keys.ENTER)
    browser.wait_text("no such record")
    bad.clear()
    browser.write("#search", "7" + Keys.ENTER)
    browser.press("Retry", "[aria-label=Result]")
    browser.press("Run now", "#toasts")
    service.wait(lambda: service.sync("s")["last_run"]["status"] == "success", "a run that sends it")
    browser.write("#search", "7" + Keys.ENTER)
    browser.wait_text("The destination accepted its latest values", "[aria-label=Result]")


# ---- who may ----

def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


def test_who_logs_in_sees_what_their_role_may_do(serve, browser):
    tokens = {role: f"token-of-the-{role}" for role in ("viewer", "operator", "admin")}
    service = serve(rows=5, token=tokens["admin"], settings={"tokens": [
        {"name": f"{role}s-name", "role": role, "sha256": digest(token)} for role, token in tokens.items()]})
    browser.expected += ["401"]
    browser.open(service.url, "syncs/s")
    browser.write("#token", "nonsense" + Keys.ENTER)
    browser.wait_text("not known")
    for role, token in tokens.items():
        browser.write("#token", token + Keys.ENTER)
        browser.wait_text(f"{role}s-name ({role})", "#who")
        browser.wait_text("Accepted", "main .facts")
        assert bool(browser.button("Run", "main")) == (role != "viewer")
        assert bool(browser.button("Reload configuration")) == (role == "admin")
        assert bool(browser.button("Audit", "nav")) == (role == "admin")
        assert token not in browser.run("return document.cookie + JSON.stringify(localStorage) + document.documentElement.outerHTML")
        if role == "operator":
            browser.press("Pause", "main")
            browser.wait(lambda: browser.button("Resume", "main"), "a paused sync")
        if role == "admin":
            browser.go("audit")
            browser.wait_text("operators-name (operator)", "tbody")
            assert "pause" in browser.text("tbody")
            browser.go("syncs/s")
        browser.press("Log out")
        browser.wait_text("Log in", "h1")


def test_a_configuration_that_is_refused_is_told(lab, serve, browser):
    service = serve(rows=5)
    good = (lab.project_dir / "sluice.yaml").read_text(encoding="utf-8")
    browser.open(service.url)
    browser.wait_count("tbody tr", 1)
    lab.write(good.replace('"mode": "mirror"', '"mode": "mirorr"'))
    browser.expected += ["422"]
    browser.press("Reload configuration")
    browser.wait_text("sluice.yaml:", "#banner")
    assert "mirorr" in browser.text("#banner")
    lab.write(good)
    browser.press("Reload configuration")
    browser.wait(lambda: not browser.all("#banner"), "a banner that went")


def test_a_scheduler_that_goes_and_comes_back_is_found_again(lab, serve, browser):
    service = serve(rows=5)
    browser.open(service.url)
    browser.wait_text("live", "#live")
    browser.run("window.neverReloaded = true")
    browser.expected += ["ERR_"]  # the console tells of every refused connection
    service.stop()
    place = lab.project_dir / "sluice.yaml"
    place.write_text(place.read_text(encoding="utf-8").replace("127.0.0.1:0", f"127.0.0.1:{service.port}"), encoding="utf-8")
    browser.wait_text("cannot be reached", "#banner")
    browser.wait_text("polling", "#live")
    service.start()
    browser.wait(lambda: not browser.all("#banner"), "a scheduler that is reached")
    browser.wait_text("live", "#live")
    assert service.run("s")["status"] == "success"
    browser.wait_text("success", "tbody")
    assert browser.run("return window.neverReloaded"), "the page was reloaded"
