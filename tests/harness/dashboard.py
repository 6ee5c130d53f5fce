"""The dashboard in a browser: fixtures that tests of it import."""
import re

import pytest

from .browser import Browser
from .service import Service
from .sink import record_errors

ROWS = 2000
BATCH = 50


@pytest.fixture(scope="module")
def chromium():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """Afterwards: nothing was asked of any other server, and nothing of this one that its document does not name."""
    chromium.forget()
    chromium.expected = []
    chromium.service = None
    yield chromium
    said = chromium.complaints(*chromium.expected)
    assert said == [], said
    if chromium.service:
        check_requests(chromium.requests(), chromium.service)


def check_requests(requests, service):
    foreign = [url for _, url in requests if not url.startswith(service.url + "/")]
    assert not foreign, f"asked elsewhere: {foreign[:5]}"
    paths = service.get("/api/v1/openapi.json")["paths"]
    named = [(method.upper(), re.compile(re.sub(r"\{[^/]*\}", "[^/]+", path) + "$")) for path, methods in paths.items() for method in methods]
    for method, url in requests:
        path = url[len(service.url):].split("?")[0]
        if path == "/" or path.startswith("/assets/"):
            continue
        assert any(m == method and pattern.match(path) for m, pattern in named), f"{method} {path} is not in openapi.json"


@pytest.fixture
def serve(lab, sinks, browser):
    """serve(syncs, …) starts a scheduler whose syncs read the table c and write to one receiver."""
    def start(syncs=("s",), rows=ROWS, settings=None, token=None, limits=None, **sync):
        start.sink = sinks()
        if rows:
            lab.customers(rows)
        lab.project({"m": {"sql": "select * from c"}}, {"hook": {"url": start.sink.url, "batch_size": BATCH, **({"rate_limits": limits} if limits else {})}},
                    {name: {"model": "m", "destination": "hook", **sync} for name in syncs},
                    {"listen": "127.0.0.1:0", **(settings or {})})
        browser.service = Service(lab, token)
        return browser.service
    return start


def open_sync(browser, service, name="s"):
    browser.open(service.url, f"syncs/{name}")
    browser.wait_text(name, "h1")


def watch_a_run(browser):
    """Presses Run on a sync's page and follows the link to the run; gives the run's id."""
    browser.press("Run", "main")
    browser.press("Watch", "#toasts")
    browser.wait(lambda: browser.place.startswith("#/runs/"), "the page of the run")
    return browser.place.rsplit("/", 1)[1]


HOSTILE = "no <img src=x onerror=\"document.title='owned'\"> & <b>phone</b>"


def refusing(*ids):
    bad = set(ids)

    def behave(request):
        errors = [(n, HOSTILE, False) for n, i in enumerate(request.ids) if i in bad]
        return record_errors(*errors) if errors else None
    return bad, behave
