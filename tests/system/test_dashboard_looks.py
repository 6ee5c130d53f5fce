"""How the dashboard looks and is used: sizes, themes, motion, the keyboard alone."""
from selenium.webdriver.common.keys import Keys

from harness.dashboard import browser, chromium, open_sync, refusing, serve, watch_a_run  # noqa: F401

VIEWS = ["syncs", "syncs/s", "runs", "runs/{run}", "destinations", "errors", "errors/records?sync=s&kind=rejected", "quarantine",
         "records?sync=s&key=7", "audit"]


def test_every_view_fits_a_phone_and_follows_the_system_into_the_dark(serve, browser):
    service = serve(rows=20, syncs=["s", "a_sync_with_a_name_that_is_longer_than_a_phone_is_wide_by_far_and_has_no_space"])
    _, serve.sink.behave = refusing(7)
    run = service.run("s")["id"]
    lightness = "const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number); return r + g + b"
    for view in VIEWS:
        place = view.format(run=run)
        browser.open(service.url, place)
        browser.wait(lambda: browser.all("h1") and not browser.all("main[aria-busy]"), f"the view {place}")
        assert browser.complaints() == [], place
        for scheme in ("light", "dark"):
            browser.media(scheme)
            for width in (360, 1280):
                browser.screen(width, 740)
                assert browser.run("return document.documentElement.scrollWidth") <= width, f"{place} scrolls sideways at {width}"
            assert (browser.run(lightness) < 200) == (scheme == "dark"), f"{place} in {scheme}"


def test_a_chosen_theme_overrules_the_system_and_stays(serve, browser):
    service = serve(rows=5)
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser.open(service.url)
    light = browser.run(ground)
    browser.press("Theme: auto")
    browser.press("Theme: light")
    assert browser.button("Theme: dark") and browser.run(ground) != light
    dark = browser.run(ground)
    browser.open(service.url)
    assert browser.button("Theme: dark") and browser.run(ground) == dark
    browser.media("dark")
    browser.press("Theme: dark")
    browser.press("Theme: auto")
    assert browser.button("Theme: light") and browser.run(ground) == light


def test_whoever_wants_less_motion_gets_none(serve, browser):
    service = serve()
    serve.sink.hold()
    browser.media(motion="reduce")
    open_sync(browser, service)
    watch_a_run(browser)
    browser.wait(lambda: browser.all("[role=progressbar]"), "a run under way")
    moving = "return [...document.querySelectorAll('*')].filter((e) => { const s = getComputedStyle(e);"
    moving += " return s.animationName !== 'none' || s.transitionDuration.split(', ').some((d) => d !== '0s') }).length"
    assert browser.run(moving) == 0
    serve.sink.release()
    browser.wait_text("success", ".facts")


def tab_to(browser, words, most=40):
    """Presses Tab until what has the focus says the words; every stop on the way shows that it has it."""
    for _ in range(most):
        browser.type(Keys.TAB)
        focused = browser.focused()
        assert focused["ringed"], f"no ring around {focused}"
        if (focused["text"] or "").strip() == words:
            return focused
    raise AssertionError(f"no {words!r} within {most} stops; the last was {focused}")


def test_everything_is_reached_by_keyboard_alone(serve, browser):
    service = serve(syncs=["first", "second"], rows=5)
    browser.open(service.url)
    browser.wait_count("tbody tr", 2)
    browser.type(Keys.TAB)
    assert browser.focused()["text"] == "Skip to content"
    browser.type(Keys.ENTER)
    assert browser.focused()["id"] == "main" and browser.place == "", "the view stays"
    browser.type("/")
    assert browser.focused()["id"] == "search"
    browser.type("second")
    browser.wait_count("tbody tr", 1)
    tab_to(browser, "second")
    browser.type(Keys.ENTER)
    browser.wait_text("second", "h1")
    browser.wait(lambda: browser.button("Full run"), "the sync's buttons")
    assert browser.focused()["tag"] == "h1", "a new view is told to screen readers"
    tab_to(browser, "Full run")
    browser.type(Keys.ENTER)
    browser.wait(lambda: browser.all("dialog"), "a question")
    browser.type(Keys.ESCAPE)
    browser.wait(lambda: not browser.all("dialog"), "no question")
    assert browser.focused()["text"] == "Full run", "the focus comes back"
    browser.type(Keys.ENTER)
    browser.wait(lambda: browser.focused()["text"] == "Run in full", "a question again")
    browser.type(Keys.ENTER)
    browser.wait(lambda: len(serve.sink.state) == 5, "a run")
    assert browser.all("table caption, nav[aria-label], main, header, footer")
    unnamed = "return [...document.querySelectorAll('button, a, input, select')].filter((e) => e.offsetParent"
    unnamed += " && !(e.innerText || e.labels?.length || e.ariaLabel)).length"
    assert browser.run(unnamed) == 0
