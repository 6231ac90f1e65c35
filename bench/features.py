"""Point-in-time joins against Feast, Polars, DuckDB, pandas and the floor: `make bench NAME=features`.

Generated rows (a year of 10 M events of 100,000 entities, 1 M labels) are asked for the latest row of one view and of
three, with and without a ttl, and for count, sum, mean and max over windows of an hour, a day, a week and 30 days;
then once more unsorted, with text keys, two keys, nulls, ties in time, 1,000 entities, and with as many labels as
events. Every side is a process of its own that reads the same Parquet files and writes its answer as Parquet.

All ratios are of `seconds`: the second call in a process, from reading the files to the written answer, for imports and
compiled kernels are not what is compared; `cpu_s` is its CPU, of all threads, which a busy machine tells better. A side
whose first call takes longer than `--patience` is not called again: its first call counts. `process_s` and `peak_mb`
are of the whole process, seen from outside. `floor` reads the same columns into DuckDB's memory and writes Lichen's
answer, so it computes nothing.

Every answer is compared with Lichen's, label by label; the benchmark ends with an error where one differs. `make peers`
installs Feast, Polars and pandas outside the project; one that is not there is null.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench._feature_cases import (
    CASES,
    ENGINES,
    FLOOR,
    HERE,
    LICHEN,
    LOSING,
    SIDES,
    Case,
    Side,
    World,
    growth,
    world_facts,
)
from bench.measure import Failed, Spent, attempted, child, finish, middle, rounded

KEYS = (
    "answers_equal", "latest_ratio_to_floor", "latest_times_best_engine", "latest_times_feast",
    "windows_times_best_engine", "peak_mb", "memory_to_feast", "heavy_times_feast", "heavy_times_best_engine",
    "heavy_windows_to_windows", "least_times_best_engine", "feast_3003_s", "feast_3003_peak_mb", "cases", "sides",
    "machine",
)  # fmt: skip
TINY = 0.002
TINY_CASES = ("latest_3_ttl", "windows", "composite_keys", "nulls", "feast_3003")
GROWTH = (100_000, 1_000_000, 10_000_000, 100_000_000)


@dataclass(frozen=True)
class Asked:
    """How the benchmark is run."""

    sides: tuple[Side, ...]
    repeat: int
    warm: int
    patience: float
    limit: float
    threads: int
    must: tuple[str, ...]
    """The sides without whose answer the benchmark ends with an error."""


@dataclass
class Answers:
    """What the sides took for a case, and why some did not answer."""

    case: Case
    spent: dict[str, list[Spent]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    compared: dict[str, dict[str, Any]] = field(default_factory=dict)

    def calls(self, side: str, clock: str = "calls") -> list[list[float]]:
        return [json.loads(spent.last_line)[clock] for spent in self.spent[side]]

    def seconds(self, side: str, clock: str = "calls") -> float | None:
        """The median over the processes of each one's calls after the first, or its first where that was the only."""
        if side not in self.spent:
            return None
        return middle([median(calls[1:] or calls) for calls in self.calls(side, clock)])

    def peak(self, side: str) -> float | None:
        return round(median(spent.peak_mb for spent in self.spent[side]), 1) if side in self.spent else None

    @property
    def best_engine(self) -> str | None:
        taken = {side: seconds for side in ENGINES if (seconds := self.seconds(side)) is not None}
        return min(taken, key=taken.__getitem__) if taken else None

    def figures(self) -> dict[str, Any]:
        best = self.best_engine
        return {
            **self.case.sizes,
            "ratio_to_floor": _ratio(self.seconds("lichen"), self.seconds("floor")),
            "best_engine": best,
            "times_best_engine": _ratio(best and self.seconds(best), self.seconds("lichen")),
            "times_feast": _ratio(self.seconds("feast"), self.seconds("lichen")),
            "memory_to_feast": _ratio(self.peak("lichen"), self.peak("feast")),
            "sides": {side.name: self._of(side.name) for side in SIDES},
            "left_out": self.missing,
            "compared": self.compared,
        }

    def _of(self, side: str) -> dict[str, Any] | None:
        if side not in self.spent:
            return None
        spent = self.spent[side]
        return {
            "seconds": self.seconds(side),
            "cpu_s": self.seconds(side, "cpu"),
            "peak_mb": self.peak(side),
            "calls_s": [rounded(calls) for calls in self.calls(side)],
            "process_s": rounded([one.wall for one in spent]),
            "process_cpu_s": rounded([one.cpu for one in spent]),
        }

    def __str__(self) -> str:
        parts = [
            f"{side} {self.seconds(side):.2f} s ({self.seconds(side, 'cpu'):.2f} of CPU) {self.peak(side):,.0f} MB"
            for side in self.spent
        ]
        return f"{self.case.name}: {', '.join([*parts, *(f'{side} -' for side in self.missing)])}"


def _ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 3) if one is not None and other else None


def answered(case: Case, files: Path, asked: Asked) -> Answers:
    """All sides in turn, `repeat` times, and the last answer of each held against Lichen's."""
    answers = Answers(case)
    for turn in range(asked.repeat):
        for side in asked.sides:
            if side.name in answers.missing:
                continue
            why = side.cannot(case) or (None if side.python else "not installed: make peers")
            if why is None:
                try:
                    answers.spent.setdefault(side.name, []).append(_run(side, case, files, asked))
                    continue
                except Failed as failure:
                    if side.name in asked.must:
                        sys.exit(str(failure))
                    # Those of its earlier turns, if any, are no longer a figure.
                    del answers.spent[side.name]
                    why = f"failed in turn {turn + 1}: {str(failure).splitlines()[-2:]}"
            answers.missing[side.name] = why
    ours = files / "lichen" / "result.parquet"
    for side in answers.spent:
        if ours.exists() and side != FLOOR.name:
            answers.compared[side] = _compared(side, files, case)
    return answers


def _run(side: Side, case: Case, files: Path, asked: Asked) -> Spent:
    into, scratch = files / side.name, files / f"{side.name}.scratch"
    for folder in (into, scratch):
        rmtree(folder, ignore_errors=True)
        folder.mkdir()
    job = {
        **case.job(files),
        "into": str(into), "scratch": str(scratch), "answer": str(files / "lichen" / "result.parquet"),
        "warm": asked.warm, "patience": asked.patience, "threads": asked.threads,
    }  # fmt: skip
    written = files / f"{side.name}.json"
    written.write_text(json.dumps(job))
    spent = attempted((side.python, side.script, written), files, None if side == LICHEN else asked.limit)
    if side == LICHEN:
        (part,) = into.glob("*.parquet")
        part.rename(into / "result.parquet")
    rmtree(scratch)
    return spent


def _compared(side: str, files: Path, case: Case) -> dict[str, Any]:
    """What differs between a side's answer and Lichen's; ends the benchmark where a value or one of our labels does."""
    ours, theirs = (str(files / name / "result.parquet") for name in ("lichen", side))
    argv = (sys.executable, HERE / "sides" / "compare.py", files / "labels.parquet", ours, theirs, files / "spilled")
    found: dict[str, Any] = json.loads(child(argv, files).last_line)
    ours_whole = found["labels"] == found["ours"] == case.world.labels and not found["out_of_order"]
    theirs_whole = found["theirs"] + found["lost"] == found["labels"] and not found["lost_with_all"]
    if found["differ"] or not ours_whole or not theirs_whole or (found["lost"] and side not in LOSING):
        sys.exit(f"{case.name}: the answers of Lichen and {side} differ: {found}")
    return {"lost": found["lost"]}


def measured(cases: Iterable[Case], asked: Asked) -> dict[str, Answers]:
    """Each world is generated once, its cases are asked, and it is removed."""
    found = {}
    for world, several in groupby(cases, lambda case: case.world):
        with TemporaryDirectory(prefix="lichen-bench-") as folder:
            files = Path(folder)
            _generate(world, files)
            for case in several:
                found[case.name] = answered(case, files, asked)
                print(found[case.name], flush=True)
    return found


def _generate(world: World, files: Path) -> None:
    child((sys.executable, HERE / "sides" / "make_world.py", json.dumps(world_facts(world)), files), files)


def summed_up(found: dict[str, Answers], sides: Sequence[Side]) -> dict[str, Any]:
    """The figures of a run, by the names that the issue gives them; null where a case or a side was not asked."""
    cases = {name: answers.figures() for name, answers in found.items()}

    def of(case: str, figure: str) -> Any:
        return cases.get(case, {}).get(figure)

    def ours(case: str, figure: str) -> Any:
        return (of(case, "sides") or {}).get("lichen", {}).get(figure) if of(case, "sides") else None

    times = {name: figures["times_best_engine"] for name, figures in cases.items() if figures["times_best_engine"]}
    worst = min(times, key=times.__getitem__, default=None)
    others = {side for answers in found.values() for side in answers.compared if side != LICHEN.name}
    versions = {
        side.name: next(
            (json.loads(a.spent[side.name][-1].last_line)["version"] for a in found.values() if side.name in a.spent),
            None,
        )
        for side in SIDES
    }
    return {
        "answers_equal": True if others else None,
        "latest_ratio_to_floor": of("latest_1", "ratio_to_floor"),
        "latest_times_best_engine": of("latest_1", "times_best_engine"),
        "latest_times_feast": of("latest_1", "times_feast"),
        "windows_times_best_engine": of("windows", "times_best_engine"),
        "peak_mb": ours("latest_1", "peak_mb"),
        "memory_to_feast": of("latest_1", "memory_to_feast"),
        "heavy_times_feast": of("heavy_tenth", "times_feast"),
        "heavy_times_best_engine": of("heavy", "times_best_engine"),
        "heavy_windows_to_windows": _ratio(ours("windows_heavy", "seconds"), ours("windows", "seconds")),
        "least_times_best_engine": {"case": worst, "times": times[worst]} if worst else None,
        "feast_3003_s": ours("feast_3003", "seconds"),
        "feast_3003_peak_mb": ours("feast_3003", "peak_mb"),
        "sides": versions,
        "asked": [side.name for side in sides],
        "cases": cases,
    }


def curve(found: dict[str, Answers]) -> dict[str, Any]:
    """Seconds and memory by the number of events, each question a curve."""
    curves: dict[str, list[dict[str, Any]]] = {"latest": [], "windows": []}
    for name, answers in found.items():
        took = {"seconds": answers.seconds("lichen"), "cpu_s": answers.seconds("lichen", "cpu")}
        point = {**answers.case.sizes, **took, "peak_mb": answers.peak("lichen"), "left_out": answers.missing}
        curves[name.partition("_")[0]].append(point)
    return curves


def main(arguments: list[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    tiny, sides = asked.tiny, tuple(side for side in SIDES if side.name in asked.side or not asked.side)
    how = Asked(
        sides=(LICHEN, *(side for side in sides if side != LICHEN)),
        repeat=1 if tiny else asked.repeat,
        warm=asked.warm, patience=asked.patience, limit=asked.limit, threads=asked.threads,
        must=tuple(side.name for side in SIDES) if tiny else (LICHEN.name,),
    )  # fmt: skip
    if asked.growth:
        sizes = tuple(size for size in GROWTH if size <= asked.most)
        # Where it does not fit, the curve ends.
        how = replace(how, sides=how.sides if asked.side else (LICHEN,), must=how.must if tiny else ())
        found = measured(growth(tuple(size // 100 for size in sizes[:2]) if tiny else sizes), how)
        finish({"growth": curve(found)})
        return
    names = asked.case or (TINY_CASES if tiny else [case.name for case in CASES])
    cases = [case for case in CASES if case.name in names]
    share = TINY if tiny else asked.scale
    scaled = [replace(case, world=case.world.scaled(share)) for case in cases] if share != 1 else cases
    finish(summed_up(measured(scaled, how), how.sides))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.features", description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", default=[], choices=[case.name for case in CASES])
    parser.add_argument("--side", action="append", default=[], choices=[side.name for side in SIDES])
    parser.add_argument("--repeat", type=int, default=1, help="processes of each side, in turn; medians are told")
    parser.add_argument("--warm", type=int, default=1, help="calls in a process after its first")
    parser.add_argument("--patience", type=float, default=20, help="seconds above which a first call is not repeated")
    parser.add_argument("--limit", type=float, default=300, help="seconds that another side's process may take")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for the sides that can be told")
    parser.add_argument("--scale", type=float, default=1, help="the share of the rows that is generated")
    parser.add_argument("--growth", action="store_true", help="the curve from 1e5 to 1e8 events, and nothing else")
    parser.add_argument("--most", type=float, default=GROWTH[-1], help="where the curve ends, in events")
    parser.add_argument("--tiny", action="store_true", help="on few rows, once: whether it works")
    return parser


if __name__ == "__main__":
    main()
