"""One row through the whole path, against what people glue today and against an echo: `make bench NAME=serving`.

A generated project is built and released by `lichen run` and served by `lichen serve`: 20 features of a customer are
looked up, ten request expressions computed, 500 trees scored, the answer recorded. Beside it:

- `echo`: bare uvicorn with httptools and uvloop, whose reply is as long as Lichen's. The floor.
- `on_disk`: Lichen with `record: {ack: true}`: each answer waits for the disk.
- `fastapi_sklearn`: features as rows of SQLite, a frame, a scikit-learn pipeline with the same trees.
- `glue`: Feast's online store on SQLite and an MLflow model in one FastAPI process, as their documentation has it.
- `lean_glue`: the same with request expressions in plain Python and a model without a signature.

The sides are asked in turn, `--rounds` times, by one load generator on the same cores: over one connection, then over
16, each of which asks again as soon as it was answered. Figures are medians of the rounds. Before that every side
answers the same questions, and each answer is held against one computed by hand (`serving_rows.py`, DuckDB, and
LightGBM's own predict).
`limit_share` is how much of 1 / (echo + work in process) was reached, where echo is 1 / its requests a second.

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
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import lightgbm
import numpy as np

from bench._serving_world import Sizes, make, questions, released
from bench.measure import finish
from bench.sides.serving_rows import vector

SIDES = Path(__file__).parent / "sides"
LICHEN = [sys.executable, "-m", "lichen"]
REPLY_BYTES = 290
BATCH = 1000
CLOSE = 1e-12
"""How far an answer may be from the one by hand: the sums of a window are added up in another order."""
LOADS = {"1": 1, "16": 16}


def python_of(peers: str) -> str | None:
    """The Python of a peers' environment, if it is installed."""
    found = Path(os.environ.get("LICHEN_PEERS", ".peers")).absolute() / peers / "bin/python"
    return str(found) if found.exists() else None


@dataclass
class Served:
    """A side that answers: its port, and what was measured of it, a list by load."""

    port: int
    found: dict[str, list[dict[str, float]]]

    def middle(self, load: str, what: str) -> float:
        return median(one[what] for one in self.found[load])

    @property
    def rps(self) -> float:
        return median(one["count"] / one["seconds"] for one in self.found["16"])

    def figures(self) -> dict[str, float]:
        told = {f"{what}_{load}": round(self.middle(load, what), 1) for load in LOADS for what in ("p50_us", "p99_us")}
        return {**told, "rps": round(self.rps)}


@contextmanager
def process(argv: Sequence[str | Path], folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the benchmark; what it complains of is in its log."""
    with (
        open(folder / f"{name}.log", "w") as log,
        subprocess.Popen(
            [*map(str, argv)], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as child,
    ):
        try:
            yield child
        finally:
            child.terminate()


def line_of(child: subprocess.Popen[str], folder: Path, name: str) -> str:
    """The next line that a process prints; the benchmark ends where there is none."""
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        sys.exit(f"{name} ended with {child.wait()}\n{(folder / f'{name}.log').read_text()}")
    return line


class Generator:
    """The load generator."""

    def __init__(self, child: subprocess.Popen[str], folder: Path) -> None:
        self.child, self.folder = child, folder

    def load(self, port: int, bodies: Sequence[str], connections: int = 1, seconds: float = 1, **more: Any) -> Any:
        said = {"port": port, "bodies": bodies, "connections": connections, "seconds": seconds, **more}
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps(said) + "\n")
        self.child.stdin.flush()
        return json.loads(line_of(self.child, self.folder, "ask"))


def by_hand(folder: Path, asks: Sequence[dict[str, Any]]) -> tuple[list[float], list[list[float]]]:
    """The score of each question, and the model's rows, without Lichen."""
    model, names = released(folder)
    rows = duckdb.sql(f"SELECT * FROM '{folder}/features.parquet'").df().astype(object)
    of = {row.pop("customer"): row for row in rows.where(rows.notna(), None).to_dict("records")}
    vectors = [vector(ask, of[ask["customer"]], names) for ask in asks]
    return lightgbm.Booster(model_file=str(model)).predict(np.array(vectors)).tolist(), vectors


def lichen_serves(stack: ExitStack, folder: Path, service: str) -> int:
    command = [*LICHEN, "serve", service, "--port", "0", "--json"]
    child = stack.enter_context(process(command, folder, service))
    return int(json.loads(line_of(child, folder, service))["address"].rpartition(":")[2])


def peer_serves(stack: ExitStack, script: str, job: Path, folder: Path, way: str = "") -> int | None:
    python, name = python_of("serving"), f"{Path(script).stem}{way}"
    if python is None:
        print(f"{name}: not installed: make peers")
        return None
    child = stack.enter_context(process([python, SIDES / script, job, way], folder, name))
    return int(line_of(child, folder, name))


def cold_start(folder: Path, body: str) -> float:
    """Seconds from starting `lichen serve` to the first answer."""
    begun = time.perf_counter()
    with ExitStack() as stack:
        port = lichen_serves(stack, folder, "quote")
        generator = Generator(stack.enter_context(process([sys.executable, SIDES / "ask.py"], folder, "ask")), folder)
        told = time.perf_counter() - begun
        generator.load(port, [body], keep=True)
        begun = time.perf_counter()
        generator.load(port, [body], keep=True)
        return told + time.perf_counter() - begun


def checked(answers: dict[str, list[float]], right: Sequence[float]) -> dict[str, float]:
    """The largest difference of each side's answers from those by hand; ends the benchmark where one is too large."""
    differ = {side: max(abs(a - b) for a, b in zip(given, right, strict=True)) for side, given in answers.items()}
    if wrong := {side: most for side, most in differ.items() if not most <= CLOSE}:
        sys.exit(f"answers differ from those by hand: {wrong}")
    return differ


def alone(script: str, job: Path, folder: Path) -> dict[str, float]:
    with process([sys.executable, SIDES / script, job], folder, script) as child:
        found: dict[str, float] = json.loads(line_of(child, folder, script))
        return found


def measured(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """All figures of a project that is built."""
    sizes = Sizes(asked.customers)
    asks = questions(sizes, BATCH)
    bodies, batch = [json.dumps(ask) for ask in asks], json.dumps({"rows": asks})
    right, vectors = by_hand(folder, asks)
    model, names = released(folder)
    job, scratch = folder / "job.json", folder / "scratch"
    scratch.mkdir()
    told = {"names": names, "model": str(model), "features": str(folder / "features.parquet")}
    job.write_text(
        json.dumps({**told, "scratch": str(scratch), "rows": vectors, "bodies": bodies, "project": str(folder)})
    )
    cold = [cold_start(folder, bodies[0]) for _ in range(asked.rounds)]
    with ExitStack() as stack:
        generator = Generator(stack.enter_context(process([sys.executable, SIDES / "ask.py"], folder, "ask")), folder)
        echo = stack.enter_context(process([sys.executable, SIDES / "serve_echo.py", str(REPLY_BYTES)], folder, "echo"))
        ports = {
            "echo": int(line_of(echo, folder, "echo")),
            "lichen": lichen_serves(stack, folder, "quote"),
            "on_disk": lichen_serves(stack, folder, "quote_on_disk"),
            "fastapi_sklearn": peer_serves(stack, "serve_fastapi.py", job, folder),
            "glue": peer_serves(stack, "serve_glue.py", job, folder, "documented"),
            "lean_glue": peer_serves(stack, "serve_glue.py", job, folder, "lean"),
        }
        sides = {name: Served(port, {load: [] for load in LOADS}) for name, port in ports.items() if port is not None}
        answers = {
            name: [reply["score"] for reply in generator.load(side.port, bodies, keep=True)["replies"]]
            for name, side in sides.items()
            if name != "echo"
        }
        (reply,) = generator.load(sides["lichen"].port, [batch], keep=True)["replies"]
        answers["batch"] = [answer["score"] for answer in reply["predictions"]]
        differ = checked(answers, right)
        batches, models = [], []
        for turn in range(asked.rounds):
            for name, side in sides.items():
                for load, connections in LOADS.items():
                    side.found[load].append(generator.load(side.port, bodies, connections, asked.seconds))
                print(f"round {turn + 1}: {name}: {side.found['1'][-1]['p50_us']:.0f} us, {side.rps:,.0f} a second")
            batches.append(generator.load(sides["lichen"].port, [batch], 1, asked.seconds)["p50_us"])
            models.append(1e6 * min(alone("score_alone.py", job, folder).values()))
    return figures(sides, differ, batches, models, cold, alone("row_alone.py", job, folder))


def figures(
    sides: dict[str, Served],
    differ: dict[str, float],
    batches: list[float],
    models: list[float],
    cold: list[float],
    work: dict[str, float],
) -> dict[str, Any]:
    """The ratios, and what they are made of."""
    lichen, echo = sides["lichen"], sides["echo"]

    def times(side: str, load: str = "1") -> float | None:
        one = sides.get(side)
        return round(one.middle(load, "p50_us") / lichen.middle(load, "p50_us"), 2) if one else None

    glue = sides.get("glue")
    limit = 1e6 / (1e6 / echo.rps + work["request"])
    return {
        "answers_equal": True,
        "p50_ratio_to_echo": round(lichen.middle("1", "p50_us") / echo.middle("1", "p50_us"), 2),
        "p50_times_glue": times("glue"),
        "rps_times_glue": round(lichen.rps / glue.rps, 1) if glue else None,
        "p50_times_fastapi_sklearn": times("fastapi_sklearn"),
        "p50_times_lean_glue": times("lean_glue"),
        "limit_share": round(lichen.rps / limit, 3),
        "ack_share": round(sides["on_disk"].rps / lichen.rps, 3),
        "batch_ratio": round(median(batches) / median(models), 3),
        "cold_start_s": round(median(cold), 3),
        "sides": {name: side.figures() for name, side in sides.items()},
        "in_process_us": work,
        "batch_us": round(median(batches)),
        "model_batch_us": round(median(models)),
        "largest_difference": differ,
    }


def main() -> None:
    parse = argparse.ArgumentParser(prog="make bench NAME=serving", description=__doc__.splitlines()[0])
    parse.add_argument("--rounds", type=int, default=5, help="how often each side is asked")
    parse.add_argument("--seconds", type=float, default=3.0, help="how long each load lasts")
    parse.add_argument("--customers", type=int, default=10_000, help="how many customers there are, of 20 events each")
    asked = parse.parse_args()
    with TemporaryDirectory(prefix="lichen-bench-") as name:
        folder = Path(name)
        make(folder, Sizes(asked.customers))
        finish(measured(folder, asked))


if __name__ == "__main__":
    main()
