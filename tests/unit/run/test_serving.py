from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest

from lichen.errors import SystemFailed, WrongUsage
from lichen.ground.instant import from_us
from lichen.run.serving import LIVE, app, child_command


def test_a_service_that_no_release_holds_is_refused(fresh: Any) -> None:
    with pytest.raises(WrongUsage) as refused:
        fresh.open().serve(port=0)
    assert str(refused.value) == (
        "LCH-1018: no release holds the service `late_payment` yet\n  fix: build one: lichen run"
    )


def test_only_loopback_is_listened_on_unless_it_is_safe(shop: Any) -> None:
    with pytest.raises(WrongUsage, match="is not a loopback address"):
        shop.open().serve(host="0.0.0.0", port=0)
    with pytest.raises(WrongUsage, match="there is no valid token"):
        shop.open().serve(host="0.0.0.0", port=0, behind_proxy=True)


def test_the_release_answers_whatever_the_files_say(shop: Any) -> None:
    shop.edit("features/invoice.yaml", "log_amount: ln(amount)", "log_amount: ln(amount) * 0")
    project = shop.open()
    made = app("late_payment", project.releases, "prod", project.workshop, record=LIVE, online=None)
    try:
        answer = made.follower.serving.path.answer({"customer": "C01", "amount": 100.0, "terms_days": 14}, None, 0.0)
        names = [column.name for column in made.follower.serving.path.deployed.features]
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


def test_a_child_is_told_what_it_needs_on_its_command_line(shop: Any) -> None:
    workshop = shop.open().workshop
    command = child_command("s", "prod", workshop, record="r", online=shop.root / "o", told=shop.root / "t")
    assert command[1:3] == ["-m", "lichen.run.serving"]
    settings = json.loads(command[3])["settings"]
    assert settings["name"] == "shop"
    assert "online" not in settings, "a command line is no place for the address of a server"


def ready(made: Any) -> dict[str, Any]:
    """What the service tells of itself, looking at its environment first."""
    made.follower.look()
    told: dict[str, Any] = json.loads(asyncio.run(made._ready({}, None)).body)
    return told


def test_it_tells_when_a_newer_release_would_answer_otherwise(shop: Any) -> None:
    project = shop.open()
    made = app("late_payment", project.releases, "prod", project.workshop, record=LIVE, online=None)
    try:
        told = ready(made)
        assert (told["release"], told["newest_release"], told["behind"]) == (1, 1, False)
        known = shop.rows("SELECT epoch_us(max(known_at)) FROM payments")[0][0]
        assert datetime.fromisoformat(told["features"]["customer_payments"]["known_until"]) == from_us(known)
        assert told["features"]["customer_payments"]["age_seconds"] > 0
        shop.write("tables/extra.sql", "SELECT 1 AS n")
        shop.open().run()
        told = ready(made)
        assert (told["newest_release"], told["behind"]) == (2, False)
        assert told["release"] == 1, "what answers did not change"
        shop.edit("features/customer_payments.yaml", "windows: [", "windows: [77d, ")
        shop.open().run()
        told = ready(made)
        assert (told["release"], told["newest_release"], told["behind"]) == (3, 3, False)
        shop.open().rollback()
        told = ready(made)
        assert (told["release"], told["newest_release"], told["behind"]) == (4, 4, False)
        names = [column.name for column in made.follower.serving.path.deployed.features]
        assert not [name for name in names if name.endswith("_77d")]
    finally:
        made.record.close()


def test_a_release_whose_model_is_not_what_was_trained_is_not_taken_up(
    shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    project = shop.open()
    made = app("late_payment", project.releases, "prod", project.workshop, record=LIVE, online=None)
    try:
        shop.edit("models/late_payment.yaml", "params: {C: 0.1}", "params: {C: 0.2}")
        shop.open().run()
        trained = project.releases.versions(project.releases.current("prod"))["model.late_payment"]
        files = shop.root / ".lichen/artifacts" / trained.facts["artifact"] / "model"
        damaged = max(files.iterdir(), key=lambda path: path.stat().st_size)
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
        for _ in range(2):
            told = ready(made)
            assert (told["release"], told["newest_release"], told["behind"]) == (1, 2, True)
            why = "the model's files are not the ones that were trained"
            assert told["not_taken"] == {"release": 2, "code": "LCH-2920", "what": why}
        assert (
            'lichen_release_not_taken{service="late_payment"} 1' in asyncio.run(made._metrics({}, None)).body.decode()
        )
        assert caplog.text.count("release 2 is not taken up, release 1 answers on") == 1
        assert made.follower.serving.path.answer({"customer": "C01"}, None, 0.0).score
        shop.open().rollback()
        told = ready(made)
        assert (told["release"], told["behind"], "not_taken" in told) == (1, False, False)
    finally:
        made.record.close()


def test_where_the_state_cannot_be_read_nothing_is_said_of_it(shop: Any, caplog: pytest.LogCaptureFixture) -> None:
    project = shop.open()
    made = app("late_payment", project.releases, "prod", project.workshop, record=LIVE, online=None)
    try:
        made.follower._environment.standing = lambda: project.releases.numbered(99)
        assert "behind" not in ready(made)
        assert "behind" not in ready(made)
        assert caplog.text.count("release 99 is not in the state store") == 1
    finally:
        made.record.close()
