"""Markdown as GitHub renders it, taken apart again: which tags, and which text in them."""
import html.parser
import subprocess

# What a plan's own layout is made of.
TAGS = {"h3", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "code", "ul", "li", "details", "summary", "pre"}


class Rendered(html.parser.HTMLParser):
    def __init__(self, markdown):
        super().__init__()
        done = subprocess.run(["cmark-gfm", "--unsafe", "-e", "table", "-e", "strikethrough", "-e", "autolink", "-e", "tasklist"],
                              input=markdown, capture_output=True, text=True, check=True)
        self.html, self.tags, self.codes, self.items, self.rows, self.samples, self._open = done.stdout, set(), [], [], [], "", []
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._open.append(tag)
        if tag == "code":
            self.codes.append("")
        elif tag == "li":
            self.items.append("")
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag):]

    def handle_data(self, data):
        if "code" in self._open:
            self.codes[-1] += data
        if "pre" in self._open:
            self.samples += data
        if "li" in self._open:
            self.items[-1] += data
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data

    def row(self, sync):
        """The row of a sync by its columns' names."""
        found = [row for row in self.rows if row[0] == sync]
        assert len(found) == 1, self.html
        return dict(zip(self.rows[0], found[0]))
