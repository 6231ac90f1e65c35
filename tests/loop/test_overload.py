"""Three times as much as can be answered, by a generator in another process that does not wait for answers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from generator import generator

from lichen.deploy.child import Child

HERE = Path(__file__).parent.parent
SERVICE = HERE / "unit/deploy/serving_process.py"


@pytest.mark.soak
@pytest.mark.parametrize("cost_us", [0, 300])
def test_three_times_the_most_it_can_answer(cost_us: int, tmp_path: Path) -> None:
    command = [sys.executable, str(SERVICE), str(tmp_path / "record"), str(tmp_path / "told")]
    with (
        Child([*command, "--spin-us", str(cost_us)], told=tmp_path / "told", log=tmp_path / "log") as child,
        generator(child.url) as load,
    ):
        load(seconds=1, connections=16)
        most = load(seconds=5, connections=16)["200"]["rate"]
        unloaded = load(rate=most / 10, seconds=20, connections=200)
        overloaded = load(rate=3 * most, seconds=20, connections=200)
    assert set(unloaded) == {"200"}
    assert set(overloaded) == {"200", "429"}
    goodput = overloaded["200"]["rate"] / most
    slower = overloaded["200"]["p99_ms"] / unloaded["200"]["p99_ms"]
    print(
        f"\n{cost_us} us a model: {most:.0f}/s at most; at 3 times that goodput {goodput:.2f}, p99 of the accepted "
        f"{overloaded['200']['p99_ms']:.2f} ms, {slower:.2f} times the unloaded; "
        f"p99 of those sent away {overloaded['429']['p99_ms']:.2f} ms"
    )
    assert goodput > 0.9
    assert slower < 3
