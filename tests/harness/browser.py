"""A headless Chromium that sees the dashboard as people do, and what only a browser knows: its console, every request it
made, what the content security policy stopped.

Elements are asked for anew at every look: the page replaces them while it is looked at.
"""
import json
import os
import shutil
import tempfile

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

from .sink import wait_until

DEADLINE_S = int(os.environ.get("SLUICE_DEADLINE_S", "120"))

# What never belongs to the pages: no network of the browser's own, no sandbox (tests run as root), little shared memory.
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--disable-extensions",
             "--disable-default-apps", "--lang=en-GB")

WATCH_POLICY = """window.stoppedByPolicy = [];
document.addEventListener("securitypolicyviolation", (e) => window.stoppedByPolicy.push(`${e.violatedDirective} ${e.blockedURI}`));"""


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="slchrome-")
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in (*ARGUMENTS, f"--user-data-dir={self.folder}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH_POLICY})
        self.origin = None
        self.forget()

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.folder, ignore_errors=True)

    def forget(self):
        """As a browser that was never here, on a desk, by day."""
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        if self.origin:
            self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": self.origin, "storageTypes": "all"})
        self.block()
        self.screen()
        self.media()
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.seen = []

    # ---- what it looks like ----

    def screen(self, width=1280, height=900):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def media(self, scheme="light", motion="no-preference"):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]})

    def block(self, *patterns):
        """Requests whose URL fits fail, as behind a proxy that does not let them pass."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": list(patterns)})

    def screenshot(self, path):
        self.driver.save_screenshot(str(path))

    # ---- where it is ----

    def open(self, origin, place=""):
        """A page of the dashboard, loaded anew."""
        self.origin = origin
        self.driver.get("about:blank")
        self.driver.get(f"{origin}/{'#/' + place if place else ''}")

    def go(self, place):
        """The same page, another view, as a link to it does."""
        self.run("location.hash = arguments[0]", f"#/{place}")

    @property
    def place(self):
        return self.run("return location.hash")

    # ---- what is there ----

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        """The elements that can be seen, or would be if the page were scrolled to them."""
        return self.run("return [...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility({visibilityProperty: true}))", selector)

    def count(self, selector):
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def text(self, selector="main"):
        """The words of the first such element, as they are shown; empty where there is none."""
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def texts(self, selector):
        """The words of each, also of those that are off the screen."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def wait(self, condition, what):
        def holds():
            try:
                return condition()
            except StaleElementReferenceException:
                return None  # replaced between two looks
        try:
            return wait_until(holds, DEADLINE_S, what)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; {self.place} shows:\n{self.text('body')[:3000]}") from None

    def wait_text(self, words, selector="main"):
        self.wait(lambda: words in self.text(selector), f"{words!r} in {selector}")

    def wait_count(self, selector, count):
        self.wait(lambda: self.count(selector) == count, f"{count} of {selector}")

    # ---- what a person does ----

    def button(self, words, within="body"):
        """The first visible button or link of these words, by what is shown or what a screen reader says."""
        return self.run("""const [words, places] = arguments;
            return [...document.querySelectorAll(places)].find((e) =>
                (e.textContent.trim() === words || e.ariaLabel === words) && e.checkVisibility({visibilityProperty: true}))""",
                        words, f"{within} button, {within} a")

    def press(self, words, within="body"):
        def pressed():
            element = self.button(words, within)
            if element:
                element.click()
            return bool(element)
        self.wait(pressed, f"a button {words!r} in {within}")

    def choose(self, selector, value):
        self.wait(lambda: self.count(f"{selector} option"), f"choices of {selector}")
        self.run("const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change', {bubbles: true}))",
                 selector, value)

    def type(self, *keys):
        """To whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def write(self, selector, text):
        element = self.wait(lambda: self.all(selector), selector)[0]
        element.send_keys(Keys.CONTROL, "a")
        element.send_keys(text)

    def focused(self):
        """Tag, words and whether the focus can be seen, of what has it."""
        return self.run("""const e = document.activeElement, style = getComputedStyle(e);
            return {tag: e.tagName.toLowerCase(), id: e.id, text: (e.getAttribute("aria-label") ?? e.innerText).slice(0, 200),
                    ringed: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0}""")

    # ---- what only a browser knows ----

    def requests(self):
        """(method, URL) of every request since forget()."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                request = message["params"]["request"]
                self.seen.append((request["method"], request["url"]))
        return [(method, url) for method, url in self.seen if not url.startswith(("about:", "chrome:"))]

    def complaints(self, *expected):
        """What the console says is wrong, and what the policy stopped; not those that hold one of the expected words."""
        said = [e["message"] for e in self.driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
        return [m for m in said + (self.run("return window.stoppedByPolicy ?? []")) if not any(words in m for words in expected)]
