from __future__ import annotations

import json
from typing import Any

import pytest

from lichen.errors import SystemFailed, WrongUsage
from lichen.run.serving import LIVE, app, child_command


def test_a_service_that_no_release_holds_is_refused(fresh: Any) -> None:
    with pytest.raises(WrongUsage) as refused:
        fresh.open().serve(port=0)
    assert str(refused.value) == (
        "LCH-1018: no release holds the service `late_payment` yet\n  fix: build one: lichen run"
    )


def test_only_loopback_is_listened_on(shop: Any) -> None:
    with pytest.raises(WrongUsage, match="is not a loopback address"):
        shop.open().serve(host="0.0.0.0", port=0)


def test_the_release_answers_whatever_the_files_say(shop: Any) -> None:
    shop.edit("features/invoice.yaml", "log_amount: ln(amount)", "log_amount: ln(amount) * 0")
    project = shop.open()
    made = app("late_payment", project.releases, "prod", project.workshop, record=LIVE, online=None)
    try:
        answer = made.path.answer({"customer": "C01", "amount": 100.0, "terms_days": 14}, None, 0.0)
        names = [column.name for column in made.path.deployed.features]
        assert answer.features[names.index("invoice.log_amount")] == pytest.approx(4.605, abs=1e-3)
    finally:
        made.record.close()


def test_two_servers_cannot_record_into_one_folder(shop: Any) -> None:
    project = shop.open()
    made = app("late_payment", project.releases, "prod", project.workshop, record=LIVE, online=None)
    try:
        with pytest.raises(SystemFailed):
            app("late_payment", project.releases, "prod", project.workshop, record=LIVE, online=None)
    finally:
        made.record.close()


def test_a_child_is_told_everything_on_its_command_line(shop: Any) -> None:
    workshop = shop.open().workshop
    command = child_command("s", "prod", workshop, record="r", online=shop.root / "o", told=shop.root / "t")
    assert command[1:3] == ["-m", "lichen.run.serving"]
    assert json.loads(command[3])["settings"]["name"] == "shop"
