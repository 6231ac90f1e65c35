"""What a run does and does not do again, and what each mistake is answered with, through the real command line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from facts import audit_is_whole, face_equals_release, released, tables_hold_what_was_sent, visits_of_face
from processes import Ended, Nursery
from small_project import SmallProject

TABLES_AND_BELOW = {"feature.shop_visits", "model.buys", "service.buys", "monitor.buys"}


@dataclass
class Shop:
    """A small project that has been run, and the command line in it."""

    small: SmallProject
    nursery: Nursery

    @property
    def root(self) -> Path:
        return self.small.root

    def lichen(self, *args: str, code: int = 0) -> Ended:
        ended = self.nursery.lichen(self.root, *args)
        assert ended.code == code, ended
        assert "Traceback" not in ended.out + ended.err, ended
        return ended

    def run(self) -> dict[str, str]:
        """Run, and tell the state of each step."""
        facts = self.lichen("run", "--json").facts
        return {outcome["asset"]: outcome["state"] for outcome in facts["outcomes"]}

    def versions(self) -> dict[str, str]:
        return dict(released(self.root)[0].versions)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> tuple[SmallProject, Path]:
    """A project that has been run, and a copy of its folder to restore it from."""
    small = SmallProject(tmp_path_factory.mktemp("shop"), seed=21)
    ended = nursery.lichen(small.root, "run")
    assert ended.code == 0, ended
    saved = small.root.with_name(f"{small.root.name}-saved")
    shutil.copytree(small.root, saved)
    return small, saved


@pytest.fixture
def shop(ready: tuple[SmallProject, Path], nursery: Nursery) -> Iterator[Shop]:
    small, saved = ready
    batches, sent, now = small.batches, list(small.sent), small.now
    yield Shop(small, nursery)
    small.batches, small.sent, small.now = batches, sent, now
    shutil.rmtree(small.root)
    shutil.copytree(saved, small.root)


# ------------------------------------------------------------------------------------- what is done again


def test_a_second_run_does_nothing_and_says_so(shop: Shop) -> None:
    assert shop.lichen("run").out == "nothing to do: `prod` is at release 1, and nothing changed since\n"
    facts = shop.lichen("run", "--json").facts
    assert (facts["nothing"], facts["release"], facts["outcomes"]) == (True, 1, [])
    assert shop.lichen("plan", "--json").facts["steps"] == []


def test_a_real_process_of_its_own_says_the_same(shop: Shop) -> None:
    command = [sys.executable, "-m", "lichen", "run"]
    ended = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "nothing to do: `prod` is at release 1, and nothing changed since\n"


def test_a_changed_comment_or_layout_plans_nothing(shop: Shop) -> None:
    shop.small.edit("tables/daily.sql", "SELECT shop,", "-- by day\nSELECT\n  shop /* whose */,")
    shop.small.edit("models/buys.yaml", "learner: logistic", "learner: logistic   # for now")
    assert shop.lichen("plan").out == "nothing to do: `prod` is at release 1, and nothing changed since\n"
    assert shop.run() == {}


def test_a_changed_expression_rebuilds_what_depends_on_it_and_no_more(shop: Shop) -> None:
    before = shop.versions()
    shop.small.edit("tables/daily.sql", "sum(cents)::BIGINT", "sum(cents + 1)::BIGINT")
    assert shop.run() == {"table.daily": "built", "table.totals": "built"}
    after = shop.versions()
    assert {name for name in after if after[name] != before[name]} == {"table.daily", "table.totals"}
    expected = [[name, visits, cents + visits] for name, visits, cents in shop.small.totals()]
    assert shop.lichen("query", "--json", "FROM totals ORDER BY shop").facts["rows"] == expected


def test_a_changed_table_below_a_model_rebuilds_the_model(shop: Shop) -> None:
    before = shop.versions()
    shop.small.edit("tables/purchases.sql", "v.cents,", "v.cents + 0 AS cents,")
    assert set(shop.run()) == {"table.purchases", "table.daily", "table.totals", *TABLES_AND_BELOW}
    after = shop.versions()
    same = {name for name in after if after[name] == before[name]}
    # The rows of `purchases` are the same, so no interval of `daily` is another, nor what reads it.
    assert same == {"source.visits", "source.shops", "feature.shop", "feature.asking", "table.daily", "table.totals"}


def test_an_edit_taken_back_reuses_what_was_built(shop: Shop) -> None:
    before = shop.versions()
    shop.small.edit("tables/purchases.sql", "v.cents,", "v.cents + 0 AS cents,")
    shop.run()
    shop.small.edit("tables/purchases.sql", "v.cents + 0 AS cents,", "v.cents,")
    states = shop.run()
    assert {name for name, state in states.items() if state == "same"} == {"table.daily", "table.totals"}
    assert set(states.values()) == {"reused", "same"}
    assert shop.versions() == before
    tables_hold_what_was_sent(shop.small)
    face_equals_release(shop.root)


def test_rows_that_come_again_change_nothing(shop: Shop) -> None:
    newest = sorted(shop.small.sent, key=lambda visit: visit.sent_at)[-3:]
    shop.small.send(newest)
    before = shop.versions()
    states = shop.run()
    assert states["source.visits"] == "same"
    assert set(states.values()) == {"same"}
    assert shop.versions() == before


def test_a_removed_asset_is_dropped(shop: Shop) -> None:
    (shop.root / "tables/totals.sql").unlink()
    assert shop.run() == {"table.totals": "dropped"}
    assert "table.totals" not in shop.versions()
    error = shop.lichen("query", "--json", "FROM totals", code=1).error
    assert (error["code"], error["what"]) == ("LCH-2101", "the release has no table `totals`")
    face_equals_release(shop.root)
    audit_is_whole(shop.root)


# --------------------------------------------------------------------------------------------- mistakes


@dataclass(frozen=True)
class Mistake:
    """Something a person gets wrong, the answer to it, and how it is mended."""

    name: str
    make: Callable[[SmallProject], None]
    mend: Callable[[SmallProject], None]
    code: str
    what: str
    file: str
    line: int | None
    fix: str
    code_of_exit: int = 1


def _edited(name: str, file: str, old: str, new: str, code: str, what: str, line: int, fix: str) -> Mistake:
    """A mistake in a file of the project; one in the data is told where the source names them."""
    told_at = "sources/shops.yaml" if file.startswith("data/") else file
    return Mistake(
        name, lambda s: s.edit(file, old, new), lambda s: s.edit(file, new, old), code, what, told_at, line, fix
    )


def _gone(small: SmallProject) -> None:
    (small.root / "data/shops.csv").rename(small.root / "data/away")


def _back(small: SmallProject) -> None:
    path = small.root / "data/shops.csv"
    if path.is_dir():
        path.rmdir()
    (small.root / "data/away").rename(path)


def _folder(small: SmallProject) -> None:
    _gone(small)
    (small.root / "data/shops.csv").mkdir()


MISTAKES = [
    Mistake(
        "missing file",
        _gone,
        _back,
        "LCH-3101",
        "there is no file",
        "sources/shops.yaml",
        2,
        "it is one of",
        code_of_exit=3,
    ),
    Mistake(
        "a folder for a file",
        _folder,
        _back,
        "LCH-3101",
        "is a folder",
        "sources/shops.yaml",
        2,
        "glob",
        code_of_exit=3,
    ),
    _edited(
        "renamed column",
        "data/shops.csv",
        "shop,size,city",
        "shop,area,city",
        "LCH-2201",
        "no column `size`",
        7,
        "area",
    ),
    _edited("wrong column", "tables/daily.sql", "sum(cents)", "sum(sents)", "LCH-2301", "the SQL is wrong", 5, "cents"),
    _edited(
        "unknown table", "tables/daily.sql", "FROM purchases", "FROM purchase", "LCH-2101", "`purchase`", 6, "purchases"
    ),
    _edited("wrong key", "models/buys.yaml", "learner:", "lerner:", "LCH-1001", "unknown key `lerner`", 5, "`learner`"),
    _edited("bad yaml", "models/buys.yaml", "features: [", "features: [[", "LCH-1002", "this is not YAML", 4, "check"),
    _edited("bad sql", "tables/totals.sql", "BY ALL", "GROUP ALL", "LCH-2001", "this is not SQL", 4, "check the word"),
    _edited(
        "wrong type",
        "sources/visits.yaml",
        "cents: {type: bigint",
        "cents: {type: bigit",
        "LCH-2223",
        "`bigit`",
        14,
        "bigint",
    ),
    _edited(
        "no feature",
        "models/buys.yaml",
        "[shop_visits,",
        "[shop_visit,",
        "LCH-2102",
        "`shop_visit`",
        3,
        "`shop_visits`",
    ),
    _edited(
        "bad expression",
        "features/asking.yaml",
        "cents > 5000",
        "cent > 5000",
        "LCH-2402",
        "reads `cent`",
        5,
        "`cents`",
    ),
    _edited("no learner", "models/buys.yaml", "logistic", "logistics", "LCH-2504", "`logistics`", 5, "`logistic`"),
]


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake(mistake: Mistake, verb: str, shop: Shop) -> None:
    before = shop.versions()
    shop.small.grow(5)
    mistake.make(shop.small)
    code = mistake.code_of_exit if verb == "run" else 1
    facts = shop.lichen(verb, "--json", code=code).facts
    (error,) = facts["errors"]
    assert (error["code"], error["where"]["file"], error["where"]["line"]) == (mistake.code, mistake.file, mistake.line)
    assert mistake.what in error["what"]
    assert mistake.fix in error["fix"]
    told = shop.lichen(verb, code=code).err
    assert told.startswith(f"{error['code']}: {error['what']}\n  at {mistake.file}:{mistake.line}:")
    assert told.count("LCH-") == 1
    assert f"  fix: {error['fix']}\n" in told
    mistake.mend(shop.small)
    assert shop.versions() == before
    if verb == "check":
        shop.lichen("check")
        return
    shop.run()
    tables_hold_what_was_sent(shop.small)
    face_equals_release(shop.root)


def test_a_contract_that_stops(shop: Shop) -> None:
    shop.small.edit("sources/shops.yaml", "contract:\n", "contract:\n  on_breach: stop\n")
    error = shop.lichen("run", "--json", code=1).error
    assert error["code"] in ("LCH-2222", "LCH-2228")
    assert error["where"] == {"file": "sources/shops.yaml", "line": 4, "column": 3}
    assert "on_breach is stop" in error["why"]
    assert "on_breach: quarantine" in error["fix"]
    assert released(shop.root)[0].number == 1
    assert shop.lichen("query", "--json", "SELECT count(*) FROM quarantine").facts["rows"] == [[4]]
    shop.small.write("data/shops.csv", "shop,size,city\nnorth,120,Ulm\n")
    states = shop.run()
    assert states["source.shops"] == "built"
    assert shop.lichen("query", "--json", "SELECT count(*) FROM quarantine").facts["rows"] == [[0]]


def test_a_gate_that_holds(shop: Shop) -> None:
    before = shop.versions()
    shop.small.grow(5)
    shop.small.edit("models/buys.yaml", "min: 0.55", "min: 0.99")
    ended = shop.lichen("run", "--json", code=1)
    assert ended.facts["held"] == ["model.buys"]
    assert ended.facts["release"] is None
    assert shop.versions() == before
    said = shop.lichen("run", code=1).out
    assert "held by its gate: model.buys; `prod` stays at release 1\n" in said
    assert "HELD by its gate" in said
    face_equals_release(shop.root)
    shop.small.edit("models/buys.yaml", "min: 0.99", "min: 0.5")
    states = shop.run()
    assert states["source.visits"] == "reused"
    assert states["model.buys"] == "built"
    tables_hold_what_was_sent(shop.small)


def test_outside_a_project(nursery: Nursery, tmp_path: Path) -> None:
    ended = nursery.lichen(tmp_path, "run", "--json")
    assert (ended.code, ended.err) == (2, "")
    assert ended.error["code"] == "LCH-1009"
    assert ended.error["fix"] == "go to a project's folder, or make one: lichen init my_project"


@pytest.mark.parametrize("args", [("run", "--colour"), ("rnu",), ("replay", "buys"), ("query", "a", "b")])
def test_wrong_usage(args: tuple[str, ...], shop: Shop) -> None:
    ended = shop.lichen(*args, code=2)
    assert ended.out == ""
    assert "Usage: lichen" in ended.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(shop: Shop) -> None:
    path = shop.root / "data/shops.csv"
    path.write_text(path.read_text() + "more,1,Ulm\n")
    path.chmod(0)
    error = shop.lichen("run", "--json", code=3).error
    assert (error["code"], error["where"]["file"]) == ("LCH-3002", str(path))


# --------------------------------------------------------------------------------- rows left out, files lost


def test_rows_that_come_too_late_are_counted_and_told(shop: Shop) -> None:
    first, *_, last = sorted(shop.small.sent, key=lambda visit: visit.sent_at)
    kept = shop.small.expected()
    late = [replace(first, visit_id=900_001), replace(first, visit_id=900_002, shop="east")]
    shop.small.send([*late, last])
    facts = shop.lichen("run", "--json").facts
    (visits,) = (outcome for outcome in facts["outcomes"] if outcome["asset"] == "source.visits")
    assert (visits["late"], visits["rows"]) == (2, len(kept))
    assert shop.lichen("status", "--json").facts["tables"]["visits"]["late"] == 2
    assert "2 late rows left out" in shop.lichen("status").out
    shop.small.send([last])
    assert "2 late rows left out: below the cursor less `lateness`, which may be longer" in shop.lichen("run").out
    # A longer `lateness` reads the source anew, and they come in.
    shop.small.edit("sources/visits.yaml", "lateness: 3h", "lateness: 900d")
    shop.run()
    assert len(visits_of_face(shop.root)) == len(kept) + 2
    assert shop.lichen("status", "--json").facts["tables"]["visits"]["late"] == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("sources/shops.yaml", "range: [1, 1000]", "range: [999, 1000]", "all 8 were set aside, 7 of them because"),
        ("tables/daily.sql", "grain: [shop, day]", "contract: {columns: {visits: {range: [-2, -1]}}}", "visits: it is"),
    ],
)
def test_a_run_of_which_nothing_is_kept_fails(file: str, old: str, new: str, told: str, shop: Shop) -> None:
    shop.small.edit(file, old, new)
    before = shop.versions()
    error = shop.lichen("run", "--json", code=1).error
    assert (error["code"], error["where"]["file"]) == ("LCH-2229", file)
    assert told in error["what"]
    assert shop.versions() == before
    tables_hold_what_was_sent(shop.small)
    assert "the last run failed: LCH-2229" in shop.lichen("status").out


def test_lost_files_are_written_anew(shop: Shop) -> None:
    release, versions = released(shop.root)
    model = versions["model.buys"]
    artifact = shop.root / ".lichen/artifacts" / model.facts["artifact"]
    for name in ("source.visits", "table.daily", "model.buys"):
        version = versions[name]
        (shop.root / ".lichen/lake" / version.relation / version.files[0].path).unlink()
    short = versions["table.totals"]
    (shop.root / ".lichen/lake/totals" / short.files[0].path).write_bytes(b"PAR1")
    next(path for path in (artifact / "model").rglob("*") if path.is_file()).unlink()
    planned = {step["asset"]: step["reason"] for step in shop.lichen("plan", "--json").facts["steps"]}
    gone = "a file of table `{}` is not what was written: it is missing"
    assert planned["source.visits"] == gone.format("visits")
    assert planned["table.daily"] == gone.format("daily")
    assert planned["model.buys"] == gone.format("training_buys")
    assert planned["table.totals"].startswith("a file of table `totals` is not what was written: it has 4 bytes")
    assert set(shop.run().values()) == {"same"}
    assert shop.versions() == dict(release.versions)
    tables_hold_what_was_sent(shop.small)
    face_equals_release(shop.root)
    audit_is_whole(shop.root)
    assert shop.lichen("run", "--json").facts["nothing"]
    shop.lichen("replay", "--from", "2024-01-15")


def test_lost_rows_that_a_source_no_longer_gives_are_told_and_not_passed_over(shop: Shop) -> None:
    shop.small.grow(5)
    shop.run()
    (first, *_), before = sorted((shop.root / "data").glob("visits-*.csv")), shop.versions()
    away = first.rename(first.with_suffix(".away"))
    _, versions = released(shop.root)
    lost = shop.root / ".lichen/lake/visits" / versions["source.visits"].files[0].path
    saved = lost.read_bytes()
    lost.unlink()
    error = shop.lichen("run", "--json", code=3).error
    assert (error["code"], error["where"]["file"]) == ("LCH-3913", "sources/visits.yaml")
    assert error["what"].startswith("rows of `visits` would be lost: it had 2,005, `sent_at` from 2024-01-01 ")
    assert shop.versions() == before
    lost.write_bytes(saved)
    assert shop.run()["source.visits"] == "same"
    tables_hold_what_was_sent(shop.small)
    away.rename(first)


def test_an_edit_of_a_source_does_not_lose_the_rows_whose_files_went_away(shop: Shop) -> None:
    shop.small.grow(5)
    shop.run()
    (first, *_), before = sorted((shop.root / "data").glob("visits-*.csv")), shop.versions()
    away, source = first.rename(first.with_suffix(".away")), shop.root / "sources/visits.yaml"
    written = source.read_text()
    source.write_text(re.sub(r"lateness: \w+", "lateness: 9d", written))
    assert source.read_text() != written
    error = shop.lichen("run", "--json", code=3).error
    assert (error["code"], error["where"]["file"]) == ("LCH-3913", "sources/visits.yaml")
    assert shop.versions() == before
    source.write_text(written)
    away.rename(first)
    assert shop.lichen("run", "--json").facts["nothing"]


def test_a_file_whose_columns_differ_is_named_before_a_run(shop: Shop) -> None:
    shop.small.write("data/visits-odd.csv", "visit_id,shop,asked_at,sent_at,cents,paid\n")
    error = shop.lichen("check", "--json", code=1).error
    assert (error["code"], error["where"]["file"], error["where"]["line"]) == ("LCH-2214", "sources/visits.yaml", 2)
    assert "visits-odd.csv` lacks `bought` and has besides `paid`, unlike the first file, " in error["what"]
