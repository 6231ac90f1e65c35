from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from lichen.cli.document import Document, Grid, Mark, aligned, cell, columns, harmless

WILD = "<script>alert('x')</script>|`\\|\n\x1b[31m\x9b2J\u202eevil [a](http://b) *c* &amp; 北京"


def document() -> Document:
    made = Document(WILD)
    made.section("", "before any heading")
    made.section(WILD, WILD, Mark(WILD), Grid(("name", WILD), [(WILD, "1"), ("b", "20")], frozenset({1})))
    return made


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_page_holds_nothing_that_runs_or_comes_from_elsewhere() -> None:
    page = Tags()
    page.feed(document().as_html())
    assert {tag for tag, _ in page.tags} == {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "tr", "th", "td")
    }
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert {name for _, attributes in page.tags for name in attributes} <= {
        *("lang", "charset", "http-equiv", "content", "name", "class")
    }
    assert sum("<script>alert('x')</script>" in text for text in page.texts) == 7  # the title stands twice
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", document().as_html())


def test_a_markdown_table_keeps_its_cells_whatever_they_hold() -> None:
    text = document().as_markdown()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    # As GitHub's Markdown splits a row: at a pipe that no odd run of backslashes stands before.
    cells = [re.split(r"(?<!\\)(?:\\\\)*\|", row)[1:-1] for row in rows]
    assert [len(row) for row in cells] == [2, 2, 2, 2]
    assert rows[1] == "| --- | ---: |"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("<b>&amp;", "\\<b>\\&amp;"),
        ("[a](http://b)", "\\[a](http://b)"),
        ("`a*b` is *c", "`a*b` is \\*c"),
        ("one ` alone", "one \\` alone"),
        ("two\nlines", "two lines"),
    ],
)
def test_what_is_active_in_markdown_is_shown_as_it_is(said: str, written: str) -> None:
    assert Document(said).as_markdown() == f"# {written}\n"


def test_pipes_in_markdown_cells() -> None:
    made = Document("t")
    made.section("", Grid(("a",), [("x|y",), ("x\\|y",)]))
    assert made.as_markdown().splitlines()[-2:] == ["| x\\|y |", "| x\\\\\\\\\\|y |"]


def test_text_for_a_terminal() -> None:
    made = Document("title")
    made.section("heading", "said " * 40, Mark("look"), Grid(("", ""), [("a", "1"), ("bc", "20")], frozenset({1})))
    made.section("empty", Grid(("", ""), []))
    lines = made.as_text().splitlines()
    assert lines[:5] == ["title", "=====", "", "heading", "-------"]
    assert max(map(len, lines)) <= 110
    assert lines[7:10] == ["  ! look", "  a    1", "  bc  20"]


def test_what_commands_a_terminal_is_shown_instead() -> None:
    assert harmless("a\x1b[2J\x07\x9b\u202e\ud800\tb\n") == "a\\x1b[2J\\x07\\x9b\\u202e\\ud800\tb\n"
    assert cell("a\r\n\tb") == "a\\r\\n\\tb"


def test_wide_and_combining_characters_are_aligned() -> None:
    assert columns("a北é\u0301") == 4
    assert aligned([("北京", "1"), ("abc", "20")], numbers=[1]) == ["北京   1", "abc   20"]
    assert aligned([]) == []
    assert aligned([("two\nlines", "x")]) == ["two\\nlines  x"]
