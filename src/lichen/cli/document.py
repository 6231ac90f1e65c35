"""A short document for people: said once, shown as text on a terminal, as Markdown and as a page."""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

WIDTH = 110
"""The longest line of a paragraph on a terminal."""

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1d2621}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:2px solid #9db8a0}"
    "table{border-collapse:collapse;margin:.7rem 0}"
    "th,td{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}"
    "th{color:#5b6b5f;font-weight:600}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}"
    "p.mark{border-left:4px solid #c8743a;padding-left:.7rem}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that command a terminal or turn the direction of writing, and halves of characters."""

_CODE = re.compile(r"(`[^`]+`)")
_ACTIVE = re.compile(r"[\\`*<&\[]")
_PIPE = re.compile(r"(\\*)\|")


@dataclass(frozen=True)
class Grid:
    """Rows under a head; the columns in `numbers` are set flush right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Mark:
    """A paragraph that should not be overlooked."""

    text: str


@dataclass
class Section:
    """A heading with what stands under it: paragraphs, marks and grids, in order."""

    heading: str
    parts: list[str | Mark | Grid] = field(default_factory=list)


@dataclass
class Document:
    """A title and its sections."""

    title: str
    sections: list[Section] = field(default_factory=list)

    def section(self, heading: str, *parts: str | Mark | Grid) -> Section:
        """Add a section."""
        made = Section(heading, list(parts))
        self.sections.append(made)
        return made

    def as_text(self) -> str:
        """The document for a terminal."""
        lines = [self.title, "=" * len(self.title)]
        for section in self.sections:
            if section.heading:
                lines += ["", section.heading, "-" * len(section.heading)]
            for part in section.parts:
                lines += _text_lines(part)
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """The document as Markdown."""
        blocks = [f"# {_plain(self.title)}"]
        for section in self.sections:
            blocks += [f"## {_plain(section.heading)}"] if section.heading else []
            blocks += [_markdown(part) for part in section.parts]
        return "\n\n".join(blocks) + "\n"

    def as_html(self) -> str:
        """The document as one self-contained page: no script, nothing from elsewhere, every text escaped."""
        body = [f"<h1>{_escaped(self.title)}</h1>"]
        for section in self.sections:
            body += [f"<h2>{_escaped(section.heading)}</h2>"] if section.heading else []
            body += [_html(part) for part in section.parts]
        head = (
            f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            f'<meta name="viewport" content="width=device-width"><title>{_escaped(self.title)}</title>'
        )
        page = f"<head>{head}<style>{_STYLE}</style></head><body>{''.join(body)}</body>"
        return f'<!doctype html><html lang="en">{page}</html>\n'


def harmless(text: str) -> str:
    r"""Text whose control characters are shown instead of obeyed; line ends and tabs stay.

    >>> print(harmless("a\x1b[31mb"))
    a\x1b[31mb
    """
    return _UNSEEN.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def cell(text: str) -> str:
    r"""Text on one line, harmless: a line end or a tab is shown as it is written in a program.

    >>> print(cell("two\nlines"))
    two\nlines
    """
    return harmless(text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r"))


def columns(text: str) -> int:
    r"""How many columns of a terminal a text takes: wide characters take two, combining ones none.

    >>> columns("ab"), columns("北京"), columns("e\u0301")
    (2, 4, 1)
    """
    if text.isascii():
        return len(text)
    unseen = ("Mn", "Me", "Cf")
    return sum(
        0 if unicodedata.category(one) in unseen else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def aligned(rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> list[str]:
    """Rows as lines of aligned text; the columns in `numbers` are set flush right.

    >>> aligned([("a", "1"), ("bc", "20")], numbers=[1])
    ['a    1', 'bc  20']
    """
    cells, right = [list(map(cell, row)) for row in rows], set(numbers)
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = []
        for place, (text, width) in enumerate(zip(row, widths, strict=True)):
            room = " " * (width - columns(text))
            padded.append(room + text if place in right else text + room)
        lines.append("  ".join(padded).rstrip())
    return lines


def _text_lines(part: str | Mark | Grid) -> list[str]:
    if isinstance(part, Grid):
        rows = [part.head, *part.rows] if any(part.head) else list(part.rows)
        return ["  " + line for line in aligned(rows, part.numbers)] if rows else []
    if isinstance(part, Mark):
        return textwrap.wrap(part.text, WIDTH, initial_indent="  ! ", subsequent_indent="    ")
    return textwrap.wrap(part, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _markdown(part: str | Mark | Grid) -> str:
    if isinstance(part, Mark):
        return f"> **{_plain(part.text)}**"
    if isinstance(part, str):
        return _plain(part)
    rule = ["---:" if place in part.numbers else "---" for place in range(len(part.head))]
    rows = [[_PIPE.sub(r"\1\1\\|", _plain(text)) for text in row] for row in (part.head, *part.rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:]))


def _plain(text: str) -> str:
    """Text on one line in which nothing is a tag, a link or emphasis; what stands between backquotes is code."""
    parts = _CODE.split(harmless(" ".join(text.split())))
    return "".join(part if place % 2 else _ACTIVE.sub(r"\\\g<0>", part) for place, part in enumerate(parts))


def _escaped(text: str) -> str:
    return html.escape(harmless(text))


def _html(part: str | Mark | Grid) -> str:
    if isinstance(part, Mark):
        return f'<p class="mark">{_escaped(part.text)}</p>'
    if isinstance(part, str):
        return f"<p>{_escaped(part)}</p>"

    def row(cells: Sequence[str], tag: str) -> str:
        made = (
            f"<{tag}{' class=number' if place in part.numbers else ''}>{_escaped(text)}</{tag}>"
            for place, text in enumerate(cells)
        )
        return "<tr>" + "".join(made) + "</tr>"

    head = row(part.head, "th") if any(part.head) else ""
    return "<table>" + head + "".join(row(cells, "td") for cells in part.rows) + "</table>"
