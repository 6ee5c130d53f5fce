"""The dashboard's files by themselves: what they name, and what their policy allows."""
import re

from harness.lab import ROOT

PAGES = ROOT / "scheduler" / "api" / "pages"


def page_texts(*endings):
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(PAGES.iterdir()) if path.suffix in endings}
    assert found
    return found


def test_no_page_names_another_server():
    for name, text in page_texts(".html", ".js", ".css", ".svg").items():
        text = text.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1) if name.endswith(".svg") else text  # a name that nobody asks for
        assert not re.search(r"""\w+://|["'(=]\s*//|\bdata:(image|text|font)|@import""", text), name
        assert not re.search(r"""(href|src|url|fetch|EventSource|location)\s*[=(]\s*["'`]?/""", text), f"{name} names a path from the root"


def test_no_page_needs_what_the_policy_stops():
    for name, text in page_texts(".html").items():
        assert not re.search(r"""<[^>]*\s(on\w+|style)\s*=|javascript:|<style|<script(?![^>]*\ssrc=)""", text), name
    for name, text in page_texts(".js").items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|cssText", text), name
        assert not re.search(r"""setAttribute\(\s*["'](style|on)""", text), name


def test_every_file_that_a_page_names_is_there_and_every_file_is_named():
    there = {path.name for path in PAGES.iterdir()}
    named = set(re.findall(r'"assets/([^"]+)"', (PAGES / "index.html").read_text(encoding="utf-8"))) | {"index.html"}
    for text in page_texts(".js").values():
        named |= set(re.findall(r'from "\./([^"]+)"', text))
    assert named == there
    assert all(len(text.splitlines()) <= 500 for text in page_texts(".html", ".js", ".css").values())
