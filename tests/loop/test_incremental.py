"""A run after new rows writes anew what they touch: the store then answers as one that was filled from nothing."""

from __future__ import annotations

import random
import re
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from facts import released
from processes import KILLED, Ended, Nursery
from small_project import SmallProject, Visit

from lichen import Project
from lichen.feature.lookup import Lookup
from lichen.feature.value import key_encoder
from lichen.ports import OnlineStore
from lichen.run.deployed import features_of, fill_online, live_since, view_keys
from lichen.run.online import view_key
from lichen.run.workshop import Workshop

SHOPS = [f"shop{n:03}" for n in range(200)]
ONCE = "once"
"""A shop of one visit, which turns out to have been in another shop: then nothing is known of it."""


class Street(SmallProject):
    """Many shops, each with a line of its own in `shops`; features reach back to the first row."""

    def visits(self, count: int) -> list[Visit]:
        chosen = random.Random(self.batches if hasattr(self, "batches") else 0)
        return [replace(visit, shop=chosen.choice(SHOPS)) for visit in super().visits(count)]

    def furnish(self) -> None:
        self.edit("features/shop_visits.yaml", "[1d, 7d]", "[1d, 7d, all]\nlatest: [cents]")
        self.sizes = {shop: 10 + place for place, shop in enumerate([*SHOPS, ONCE])}
        self.tell_sizes()
        self.send([replace(self.visits(1)[0], shop=ONCE)])

    def tell_sizes(self) -> None:
        lines = [f"{shop},{size},Ulm" for shop, size in self.sizes.items()]
        self.write("data/shops.csv", "\n".join(["shop,size,city", *lines, ""]))

    def move_on(self) -> set[str]:
        """Some new rows, some corrected, a shop without its visit, a shop with another size and one without a line."""
        now = {visit.visit_id: visit for visit in self.expected()}
        newest = max(visit.sent_at for visit in self.sent)
        new = self.visits(20)
        (lost,) = [visit for visit in now.values() if visit.shop == ONCE]
        right = [replace(lost, shop=SHOPS[0], sent_at=newest + timedelta(seconds=1))]
        right += [
            replace(now[n], cents=now[n].cents + 1, sent_at=newest + timedelta(seconds=n)) for n in (7, 500, 1500)
        ]
        self.send([*new, *right])
        self.sizes[SHOPS[3]] += 100
        del self.sizes[SHOPS[4]]
        self.tell_sizes()
        return {visit.shop for visit in (*new, *right)} | {ONCE}


@pytest.fixture
def street(tmp_path: Path, nursery: Nursery) -> Street:
    made = Street(tmp_path / "small", seed=61)
    made.furnish()
    assert nursery.lichen(made.root, "run").code == 0
    return made


def notes(ended: Ended) -> list[str]:
    assert (ended.code, ended.err) == (0, ""), ended
    (service,) = (one for one in ended.facts["outcomes"] if one["asset"] == "service.buys")
    return [note for note in service["notes"] if "written anew" in note]


def keys_of(root: Path) -> dict[str, str]:
    """The names under which the store keeps the views of the release in force."""
    _, versions = released(root)
    return {
        name.partition(".")[2]: view_key(name.partition(".")[2], version.version)
        for name, version in versions.items()
        if name in ("feature.shop_visits", "feature.shop")
    }


def states(store: OnlineStore, key: str) -> dict[str, bytes | None]:
    """What the store holds of every shop there is or was."""
    encode = key_encoder(_shop_column())
    number, _ = store.generation(key) or (0, "")
    found = store.get(key, number, [encode([shop]) or b"" for shop in (*SHOPS, ONCE)])
    return dict(zip((*SHOPS, ONCE), found, strict=True))


def _shop_column() -> Any:
    from lichen.ports import Column

    return (Column("shop", "VARCHAR"),)


def answers_as_from_nothing(root: Path, scratch: Path) -> list[list[Any]]:
    """See that each shop's features are those of a store that was filled from nothing; returns them."""
    _, versions = released(root)
    scratch.unlink(missing_ok=True)
    with Project(root) as project:
        workshop: Workshop = project.workshop
        workshop.prepare_kernels()
        features = features_of(versions["model.buys"].facts["recipe"], workshop)
        keys = view_keys(features, versions)
        with closing(workshop.open_online(scratch)) as fresh:
            told: list[str] = []
            fill_online(features, versions, fresh, workshop, since=live_since(workshop), tell=told.append)
            assert not told
            found = [_rows(Lookup(features, store, keys)) for store in (workshop.online, fresh)]
    assert found[0] == found[1]
    return found[0]


def _rows(lookup: Lookup) -> list[list[Any]]:
    now = datetime.now(UTC)
    at = int(now.timestamp()) * 1_000_000
    asked = datetime(2024, 1, 1, tzinfo=UTC)
    return [lookup.row({"shop": shop, "asked_at": asked, "cents": 1}, at)[:-3] for shop in (*SHOPS, ONCE, "none")]


def test_a_run_writes_anew_what_new_rows_touch(street: Street, nursery: Nursery, tmp_path: Path) -> None:
    old = keys_of(street.root)
    before = answers_as_from_nothing(street.root, tmp_path / "fresh.db")
    rows = len(street.expected())
    touched = street.move_on()
    told = notes(nursery.lichen(street.root, "run", "--json"))
    new = keys_of(street.root)
    assert old["shop_visits"] != new["shop_visits"]
    assert old["shop"] != new["shop"]
    # A corrected row came and its old self went.
    assert told == [
        f"shop_visits: {len(touched)} entities written anew, for 28 rows that came or went beside {rows + 20:,} rows",
        "shop: 2 entities written anew, for 3 rows that came or went beside 200 rows",
    ]
    with Project(street.root) as project:
        for view, shops in (("shop_visits", touched), ("shop", {SHOPS[3], SHOPS[4]})):
            was, now = (states(project.workshop.online, keys[view]) for keys in (old, new))
            assert {shop for shop in was if was[shop] != now[shop]} == shops
            gone = ONCE if view == "shop_visits" else SHOPS[4]
            assert [shop for shop, state in now.items() if state is None] == [gone]
    after = answers_as_from_nothing(street.root, tmp_path / "fresh.db")
    assert after != before

    assert nursery.lichen(street.root, "rollback").code == 0
    assert keys_of(street.root) == old
    assert answers_as_from_nothing(street.root, tmp_path / "fresh.db") == before


def test_most_rows_changed_is_everything_anew(street: Street, nursery: Nursery, tmp_path: Path) -> None:
    street.edit("tables/purchases.sql", "v.cents,", "v.cents + 1 AS cents,")
    assert notes(nursery.lichen(street.root, "run", "--json")) == []  # the table means something else
    street.send(street.visits(3000))
    assert notes(nursery.lichen(street.root, "run", "--json")) == []
    answers_as_from_nothing(street.root, tmp_path / "fresh.db")


def test_a_service_made_anew_over_the_same_rows_says_nothing(street: Street, nursery: Nursery) -> None:
    street.edit("services/buys.yaml", "5ms", "6ms")
    assert notes(nursery.lichen(street.root, "run", "--json")) == []
    street.move_on()
    assert len(notes(nursery.lichen(street.root, "run", "--json"))) == 2
    street.edit("services/buys.yaml", "6ms", "7ms")
    assert notes(nursery.lichen(street.root, "run", "--json")) == []


POINTS = ("online.begin", "online.write", "online.committed", "online.written", "online.flipped")


@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_while_it_brings_views_up_is_whole_when_run_again(
    point: str, street: Street, nursery: Nursery, tmp_path: Path
) -> None:
    street.move_on()
    before = keys_of(street.root)
    was = answers_as_from_nothing(street.root, tmp_path / "fresh.db")
    trace = tmp_path / "trace"
    for nth in (2, 1):  # the first of them may have made a view whole
        ended = nursery.lichen(street.root, "run", "--json", failpoints=f"{point}=kill@{nth}", trace=trace)
        assert ended.code == KILLED, ended
        assert keys_of(street.root) == before
        assert answers_as_from_nothing(street.root, tmp_path / "fresh.db") == was
    ended = nursery.lichen(street.root, "run", "--json")
    assert ended.code == 0, ended
    now = answers_as_from_nothing(street.root, tmp_path / "fresh.db")
    assert now != was
    assert all(re.fullmatch(r"shop(_visits)?: \d+ entities written anew, .*", note) for note in notes(ended))
    with Project(street.root) as project:
        assert set(keys_of(street.root).values()) <= set(project.workshop.online.views())
