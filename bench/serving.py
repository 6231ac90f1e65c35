"""One row through the whole path, against what people glue today and against an echo: `make bench NAME=serving`.

A generated project is built and released by `lichen run` and served by `lichen serve`: 20 features of a customer are
looked up in the online store (SQLite), ten request expressions computed, 500 trees scored, the answer recorded. Beside
it:

- `echo`: bare uvicorn with httptools and uvloop, whose reply is as long as Lichen's. The floor.
- `on_disk`: Lichen with `record: {ack: true}`: each answer waits for the disk.
- `fastapi_sklearn`: features as rows of SQLite, a frame, a scikit-learn pipeline with the same trees.
- `glue`: Feast's online store on SQLite and an MLflow model in one FastAPI process, as their documentation has it.
- `lean_glue`: the same with request expressions in plain Python and a model without a signature.

The sides are asked in turn, `--rounds` times, by one load generator on the same cores: over one connection, then over
16, each of which asks again as soon as it was answered; all figures are medians of the rounds. `unasked_p50_us` is of
customers whose states are not in memory yet. Before that every side answers the same questions, and each answer is held
against one made by hand (`serving_rows.py`, DuckDB, and LightGBM's own predict): to the bit for Lichen.

`limit_share` is the share of 1 / (echo + work in process) that was reached over 16 connections, where echo is 1 / its
requests a second and the work is `in_process_us.request`. `batch_ratio` is a batch over HTTP to LightGBM's own predict
of the same rows with all threads or with one, whichever is faster. `generator_us` is the generator's CPU for a request.

`make peers` installs FastAPI, scikit-learn, Feast and MLflow outside the project; a side that is not there is null.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Self

import duckdb
import lightgbm
import numpy as np

from bench._feature_cases import Side
from bench._serving_world import SERVICE, TINY, Sizes, make, questions, released
from bench.measure import finish
from bench.sides.ask import Line, request
from bench.sides.serving_rows import vector

KEYS = (
    "answers_equal", "p50_ratio_to_echo", "p50_times_glue", "rps_times_glue", "p50_times_fastapi_sklearn",
    "batch_ratio", "cold_start_s", "ack_share", "limit_share", "sides", "in_process_us", "rounds", "machine",
)  # fmt: skip
HERE = Path(__file__).parent / "sides"
PEERS = Side("serving", "serving")
CLOSE = 1e-12
"""How far a peer's answer may be from the one by hand: numpy's logarithm is another than Python's."""

LOADS = {"1": 1, "16": 16}
TOOK = ("p50_us", "p99_us")


class Child:
    """A process that ends with the benchmark; what it complains of is in its log."""

    def __init__(self, argv: Sequence[str | Path], log: Path) -> None:
        self.log, self.argv = log, [*map(str, argv)]

    def __enter__(self) -> Self:
        with open(self.log, "w") as complaints:
            self.process = subprocess.Popen(
                self.argv, cwd=self.log.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints,
                text=True,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()

    def line(self) -> str:
        """The next line that it prints; the benchmark ends where there is none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.argv} ended with {self.process.wait()}\n{self.log.read_text()}")
        return line

    def asked(self, **said: Any) -> Any:
        """What it answers to a line of JSON."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        return json.loads(self.line())


@dataclass
class Served:
    """A side that answers: its port, and what was measured of it, a list by load."""

    port: int
    found: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {load: [] for load in LOADS})
    unasked: list[float] = field(default_factory=list)

    def middle(self, load: str, what: str) -> float:
        return median(one[what] for one in self.found[load])

    @property
    def p50(self) -> float:
        return self.middle("1", "p50_us")

    @property
    def rps(self) -> float:
        return median(one["count"] / one["seconds"] for one in self.found["16"])

    def figures(self) -> dict[str, Any]:
        told = {f"{what}_{load}": round(self.middle(load, what), 1) for load in LOADS for what in TOOK}
        raw = {f"raw_p50_us_{load}": [round(one["p50_us"], 1) for one in self.found[load]] for load in LOADS}
        return {
            **told,
            "rps": round(self.rps, 1),
            "unasked_p50_us": round(median(self.unasked), 1),
            "generator_us": round(self.middle("16", "generator_us"), 1),
            **raw,
            "raw_rps": [round(one["count"] / one["seconds"], 1) for one in self.found["16"]],
        }


@dataclass
class World:
    """The project that is served, what is asked, and what is right."""

    folder: Path
    sizes: Sizes
    rounds: int
    seconds: float

    def __post_init__(self) -> None:
        self.asks = questions(self.sizes.known, self.sizes.batch, seed=2)
        self.bodies = [json.dumps(ask) for ask in self.asks]
        unasked = [json.dumps(ask) for ask in questions(self.sizes.unasked, len(self.sizes.unasked), seed=3)]
        # The first part is for the side's first answers, which are no measure.
        many = len(unasked) // (self.rounds + 1)
        self.unasked = [unasked[many * turn : many * (turn + 1)] for turn in range(self.rounds + 1)]
        self.batch = json.dumps({"rows": self.asks})
        model, names = released(self.folder)
        vectors = [vector(ask, of, names) for ask, of in zip(self.asks, self._features(), strict=True)]
        self.right = lightgbm.Booster(model_file=str(model)).predict(np.array(vectors)).tolist()
        (self.folder / "scratch").mkdir()
        self.job = self.folder / "job.json"
        told = {"names": names, "model": str(model), "features": str(self.folder / "features.parquet")}
        more = {"scratch": str(self.folder / "scratch"), "project": str(self.folder)}
        self.job.write_text(json.dumps({**told, **more, "rows": vectors, "bodies": self.bodies}))

    def _features(self) -> list[dict[str, Any]]:
        """The features of each question's customer, by DuckDB alone."""
        rows = duckdb.sql(f"SELECT * FROM '{self.folder}/features.parquet'")
        every = [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]
        of = {row.pop("customer"): row for row in every}
        return [of[ask["customer"]] for ask in self.asks]

    def started(self, name: str, *argv: str | Path) -> Child:
        """A process of the benchmark."""
        return Child(argv, self.folder / f"{name}.log")

    def serving(self, service: str) -> Child:
        """A process that serves."""
        return self.started(service, sys.executable, "-m", "lichen", "serve", service, "--port", "0", "--json")


def port_of(child: Child) -> int:
    """The port of a process of Lichen's."""
    return int(json.loads(child.line())["address"].rpartition(":")[2])


def cold_start(world: World) -> float:
    """Seconds from starting `lichen serve` to the whole first answer."""
    begun = time.perf_counter()
    with world.serving(SERVICE) as child:
        line = Line(port_of(child))
        line.asked(request(world.bodies[0]))
        taken = time.perf_counter() - begun
        line.socket.close()
    return taken


@contextmanager
def all_sides(world: World) -> Iterator[dict[str, Served]]:
    """Every side there is, ready to be asked."""
    with ExitStack() as stack:
        ours = {name: stack.enter_context(world.serving(name)) for name in (SERVICE, f"{SERVICE}_on_disk")}
        sides = dict(zip(("lichen", "on_disk"), (Served(port_of(child)) for child in ours.values()), strict=True))
        size = len(json.dumps(Line(sides["lichen"].port).asked(request(world.bodies[0])), separators=(",", ":")))
        echo = stack.enter_context(world.started("echo", sys.executable, HERE / "serve_echo.py", str(size)))
        sides = {"echo": Served(int(echo.line())), **sides}
        peers = {
            "fastapi_sklearn": ("serve_fastapi.py", ""),
            "glue": ("serve_glue.py", "documented"),
            "lean_glue": ("serve_glue.py", "lean"),
        }
        for name, (script, way) in peers.items():
            if PEERS.python is None:
                print(f"{name}: not installed: make peers")
                continue
            child = stack.enter_context(world.started(name, PEERS.python, HERE / script, world.job, way))
            sides[name] = Served(int(child.line()))
        yield sides


def checked(world: World, sides: dict[str, Served], generator: Child) -> dict[str, float]:
    """The largest difference of each side's answers from those by hand; ends the benchmark where one is too large."""
    answers: dict[str, list[float]] = {}
    for name, side in sides.items():
        if name != "echo":
            replies = generator.asked(port=side.port, bodies=world.bodies)["replies"]
            answers[name] = [reply["score"] for reply in replies]
    (reply,) = generator.asked(port=sides["lichen"].port, bodies=[world.batch])["replies"]
    answers["batch"] = [answer["score"] for answer in reply["predictions"]]
    differ = {name: max(abs(a - b) for a, b in zip(given, world.right, strict=True)) for name, given in answers.items()}
    ours = ("lichen", "on_disk", "batch")
    if wrong := {name: most for name, most in differ.items() if not most <= (0 if name in ours else CLOSE)}:
        sys.exit(f"answers differ from those by hand: {wrong}")
    return differ


def measured(world: World) -> dict[str, Any]:
    """All figures of a project that is built."""
    cold = [cold_start(world) for _ in range(world.rounds)]
    batches, models = [], []
    with (
        world.started("ask", sys.executable, HERE / "ask.py") as generator,
        world.started("score_alone", sys.executable, HERE / "score_alone.py", world.job) as model,
        all_sides(world) as sides,
    ):
        differ = checked(world, sides, generator)
        for side in sides.values():
            generator.asked(port=side.port, bodies=world.unasked[0])
        for turn in range(1, world.rounds + 1):
            for name, side in sides.items():
                for load, connections in LOADS.items():
                    asked = {"port": side.port, "bodies": world.bodies, "connections": connections}
                    side.found[load].append(generator.asked(**asked, seconds=world.seconds))
                side.unasked.append(generator.asked(port=side.port, bodies=world.unasked[turn])["p50_us"])
                took = side.found["1"][-1]["p50_us"]
                print(f"round {turn}: {name}: {took:.0f} us, {side.rps:,.0f} a second", flush=True)
            asked = {"port": sides["lichen"].port, "bodies": [world.batch], "seconds": world.seconds}
            batches.append(generator.asked(**asked)["p50_us"])
            models.append(model.asked(seconds=world.seconds / 2))
    with world.started("row_alone", sys.executable, HERE / "row_alone.py", world.job) as alone:
        work = json.loads(alone.line())
    return {
        **ratios(sides, work),
        "batch_ratio": round(median(batches) / median(min(one.values()) for one in models), 3),
        "cold_start_s": round(median(cold), 3),
        "answers_equal": True,
        "largest_difference": differ,
        "sides": {name: side.figures() for name, side in sides.items()},
        "in_process_us": work,
        "batch_us": [round(taken) for taken in batches],
        "model_batch_us": [{name: round(taken) for name, taken in one.items()} for one in models],
        "cold_starts_s": [round(taken, 3) for taken in cold],
        "rounds": world.rounds,
        "seconds": world.seconds,
        "sizes": vars(world.sizes),
    }


def ratios(sides: dict[str, Served], work: dict[str, float]) -> dict[str, Any]:
    """How Lichen's single rows compare with the other sides', null where one is not there."""
    lichen, echo, glue = sides["lichen"], sides["echo"], sides.get("glue")

    def times(name: str) -> float | None:
        return round(sides[name].p50 / lichen.p50, 2) if name in sides else None

    limit = 1e6 / (1e6 / echo.rps + work["request"])
    return {
        "p50_ratio_to_echo": round(lichen.p50 / echo.p50, 3),
        "p50_times_glue": times("glue"),
        "rps_times_glue": round(lichen.rps / glue.rps, 1) if glue else None,
        "p50_times_fastapi_sklearn": times("fastapi_sklearn"),
        "p50_times_lean_glue": times("lean_glue"),
        "limit_share": round(lichen.rps / limit, 3),
        "ack_share": round(sides["on_disk"].rps / lichen.rps, 3),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.serving", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is asked")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each load lasts")
    parser.add_argument("--tiny", action="store_true", help="on few rows, once: whether it works")
    asked = parser.parse_args(arguments)
    sizes, rounds, seconds = (TINY, 1, 0.1) if asked.tiny else (Sizes(), asked.rounds, asked.seconds)
    if asked.tiny:
        # To compile the loops of a fresh project would take longer than all the rest.
        os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parent / "__pycache__" / "kernels"))
    with TemporaryDirectory(prefix="lichen-bench-") as name:
        make(Path(name), sizes)
        finish(measured(World(Path(name), sizes, rounds, seconds)))


if __name__ == "__main__":
    main()
