"""Intervals that a person wants built whatever changed: `--backfill FROM..TO`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from lichen.errors import WrongUsage, did_you_mean
from lichen.graph.build import Graph
from lichen.ground.interval import DAY, END, FIRST, Grid, Spans
from lichen.plan.intervals import has_intervals
from lichen.spec import Table

_FIX = "write FROM..TO, both in it: 2013-01-01..2013-01-05, or 2013-01-01T06:00..2013-01-01T12:00"


def backfill(text: str, table: str | None, graph: Graph) -> dict[str, Spans]:
    """The intervals from FROM's to TO's, both in it, of a table, or of every table that has intervals, by asset.

    A day as TO is that whole day. What has no zone is in UTC.
    """
    first, last = _bounds(text)
    known = {asset.name: asset for asset in graph if has_intervals(asset)}
    if table is not None and table not in known:
        raise WrongUsage(
            "LCH-1063",
            f"`{table}` is no table that is built in intervals",
            why="only intervals can be filled again; a table without them is built whole",
            fix=did_you_mean(table, known) if known else f"write `intervals:` in tables/{table}.sql",
        )
    if not known:
        raise WrongUsage(
            "LCH-1064", "no table of the project is built in intervals", fix="write `intervals:` in a table's file"
        )
    found = {}
    for name, asset in known.items():
        if table in (None, name):
            spec = asset.spec
            assert isinstance(spec, Table)
            assert spec.intervals is not None
            grid = Grid(spec.intervals.every)
            found[asset.id] = Spans(((grid.number(first), grid.number(last)),))
    return found


def told(wanted: Mapping[str, Spans], graph: Graph) -> dict[str, str]:
    """The same in words, for a plan."""
    said = {}
    for asset, spans in wanted.items():
        spec = graph[asset].spec
        assert isinstance(spec, Table)
        assert spec.intervals is not None
        said[asset] = Grid(spec.intervals.every).told(spans)
    return said


def _bounds(text: str) -> tuple[datetime, datetime]:
    begin, _, end = text.partition("..")
    try:
        first, last = (datetime.fromisoformat(part.strip()) for part in (begin, end))
    except ValueError as error:
        raise WrongUsage("LCH-1061", f"--backfill: `{text}` is no range of time", fix=_FIX) from error
    first, last = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in (first, last))
    if re.fullmatch(r"\s*[0-9-]+\s*", end):
        last = min(last, END - DAY) + DAY - timedelta(microseconds=1)
    if first > last:
        raise WrongUsage("LCH-1062", f"--backfill: `{text}` ends before it begins", fix=_FIX)
    return max(first, FIRST), min(last, END - timedelta(microseconds=1))
