"""Files dropped day by day into a table in intervals: only what changed is built, whenever a run is killed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from facts import released
from processes import KILLED, Nursery

from lichen import Project

FILES = {
    "lichen.yaml": "name: drops\npublish: prod\nmemory: 512MB\n",
    "sources/readings.yaml": """\
path: data/day-*.csv
cursor: sent_at
lateness: 60d
contract:
  key: [reading]
  columns:
    reading: {type: bigint}
    read_at: {type: timestamptz, null_share: 0}
    sent_at: {type: timestamptz, null_share: 0}
    amount: {type: bigint}
""",
    "tables/clean.sql": """\
/* ---
grain: [reading]
intervals: {by: read_at, every: 1d, lateness: 2d}
--- */
SELECT reading, read_at, amount FROM readings
""",
    "tables/daily.sql": """\
/* ---
grain: [day]
intervals: {by: day, every: 1d, lateness: 2d}
--- */
SELECT read_at::DATE AS day, count(*) AS readings, sum(amount)::BIGINT AS amount FROM clean GROUP BY ALL
""",
}
START = datetime(2024, 3, 1, tzinfo=UTC)
A_DAY = 8


class Drops:
    """The project, and what each day holds."""

    def __init__(self, root: Path, nursery: Nursery) -> None:
        self.root, self.nursery, self.dropped = root, nursery, 0
        self.amounts: dict[int, int] = {}
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        (root / "data").mkdir()

    def drop(self, readings: dict[int, int], sent: int) -> None:
        """A file of readings, sent on a day; a reading's number says when it was read."""
        lines = [
            f"{one},{(START + timedelta(days=one // A_DAY, hours=one % A_DAY)).isoformat()},"
            f"{(START + timedelta(days=sent, hours=20, minutes=self.dropped)).isoformat()},{amount}"
            for one, amount in readings.items()
        ]
        text = "\n".join(["reading,read_at,sent_at,amount", *lines, ""])
        (self.root / f"data/day-{self.dropped:03}.csv").write_text(text, encoding="utf-8")
        self.dropped += 1
        self.amounts |= readings

    def day(self, number: int) -> None:
        self.drop({one: one for one in range(number * A_DAY, (number + 1) * A_DAY)}, number)

    def run(self, *args: str) -> dict[str, Any]:
        ended = self.nursery.lichen(self.root, "run", "--json", *args)
        assert (ended.code, ended.err) == (0, ""), ended
        return {outcome["asset"]: outcome for outcome in ended.facts["outcomes"]}

    def built(self, asset: str) -> list[list[str]]:
        built: list[list[str]] = released(self.root)[1][asset].facts["in_intervals"]["built"]
        return built

    def holds(self) -> None:
        """The tables hold what was dropped."""
        days: dict[str, list[int]] = {}
        for one, amount in self.amounts.items():
            days.setdefault(str((START + timedelta(days=one // A_DAY)).date()), []).append(amount)
        ended = self.nursery.lichen(self.root, "query", "--json", "FROM daily ORDER BY day")
        assert ended.facts["rows"] == [[day, len(days[day]), sum(days[day])] for day in sorted(days)]


@pytest.fixture
def drops(tmp_path: Path, nursery: Nursery) -> Drops:
    made = Drops(tmp_path, nursery)
    for number in range(10):
        made.day(number)
    made.run()
    return made


def test_a_day_at_a_time(drops: Drops) -> None:
    for number in (10, 11):
        before = {file.path for file in released(drops.root)[1]["table.clean"].files}
        drops.day(number)
        outcomes = drops.run()
        day = str((START + timedelta(days=number)).date())
        assert drops.built("table.clean") == drops.built("table.daily") == [[day, day]]
        assert outcomes["table.daily"]["notes"] == [f"1 interval: {day}"]
        version = released(drops.root)[1]["table.clean"]
        assert before < {file.path for file in version.files}
        assert version.facts["balance"]["kept"] == (number + 1) * A_DAY
        drops.holds()
    assert drops.nursery.lichen(drops.root, "run", "--json").facts["nothing"]


def test_rows_that_come_late(drops: Drops) -> None:
    drops.drop({8 * A_DAY: 1000, 3 * A_DAY + 1: 1000, 3 * A_DAY + 2: 1000}, 10)
    outcomes = drops.run()
    late = "2 late rows in 1 closed interval; lichen run --backfill 2024-03-04..2024-03-04 brings them in"
    assert outcomes["table.clean"]["notes"] == ["1 interval: 2024-03-09", late]
    assert outcomes["table.daily"]["notes"] == ["1 interval: 2024-03-09"]
    drops.day(10)
    assert drops.run()["table.clean"]["notes"] == ["1 interval: 2024-03-11", late]
    (step, below) = drops.nursery.lichen(drops.root, "plan", "--json", "--backfill", "2024-03-04..2024-03-04").facts[
        "steps"
    ]
    assert (step["asset"], step["intervals"]) == ("table.clean", "1 interval: 2024-03-04")
    assert below["intervals"] == "1 interval: 2024-03-04, and the intervals that changed rows reach"
    outcomes = drops.run("--backfill", "2024-03-04..2024-03-04")
    assert {name: one["state"] for name, one in outcomes.items()} == {"table.clean": "built", "table.daily": "built"}
    drops.holds()
    outcomes = drops.run("--backfill", "2024-03-01..2024-03-11")
    assert {one["state"] for one in outcomes.values()} == {"same"}


def test_late_rows_alone_change_nothing_below(drops: Drops) -> None:
    before = released(drops.root)[0].versions
    drops.drop({1: 1000}, 10)
    outcomes = drops.run()
    assert outcomes["table.clean"]["notes"][0] == "no interval to build"
    assert {name: one["state"] for name, one in outcomes.items() if name != "source.readings"} == {
        "table.clean": "same",
        "table.daily": "same",
    }
    after = released(drops.root)[0].versions
    assert {name for name in after if after[name] != before[name]} == {"source.readings"}
    assert drops.nursery.lichen(drops.root, "run", "--json").facts["nothing"]


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_run_that_is_killed_between_intervals(drops: Drops, nth: int) -> None:
    number = released(drops.root)[0].number
    drops.drop({9 * A_DAY: 1000, 7 * A_DAY: 1000}, 10)
    killed = drops.nursery.lichen(drops.root, "run", failpoints=f"transform.interval_written=kill@{nth}")
    assert killed.code == KILLED
    assert released(drops.root)[0].number == number
    drops.run()
    assert drops.built("table.clean") == [["2024-03-08", "2024-03-08"], ["2024-03-10", "2024-03-10"]]
    drops.holds()


def test_another_environment_goes_on_from_what_is_published(drops: Drops) -> None:
    drops.day(10)
    ended = drops.nursery.lichen(drops.root, "run", "--json", "--env", "dev", "--backfill", "2024-03-10..2024-03-10")
    assert ended.code == 0, ended
    with Project(drops.root, environment="dev") as project:
        versions = project.releases.versions(project.releases.current("dev"))
        assert "2024-03-10" in str(versions["table.clean"].facts["in_intervals"]["built"])
    drops.run()
    drops.holds()


def test_a_table_without_a_range_is_refused(drops: Drops) -> None:
    ended = drops.nursery.lichen(drops.root, "run", "--json", "daily")
    assert (ended.code, ended.error["code"]) == (2, "LCH-1065")
    assert ended.error["what"] == "which intervals of `daily` is not said"
    ended = drops.nursery.lichen(drops.root, "plan", "--json", "--preview", "--backfill", "2024-03-04..2024-03-04")
    assert (ended.code, ended.error["code"]) == (2, "LCH-1066")
    assert ended.error["what"].startswith("--preview shows what a change of the project does to its models")
    ended = drops.nursery.lichen(drops.root, "run", "--json", "--backfill", "2024-03-04..2024-03-04", "readings")
    assert (ended.code, ended.error["code"]) == (2, "LCH-1017")
