"""What every state store must do."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lichen.ground.clock import FixedClock
from lichen.ports import Append, Conflict, Forget, Put, StateStore
from lichen.testing import child

ODD_NAMES = ("a b", "ключ", "\u00e9", "e\u0301", "😀", "a/b", "..", "'; DROP TABLE x; --", "%_", "x" * 2000, "")
ODD_VALUES: tuple[dict[str, Any], ...] = (
    {},
    {"n": None, "b": True, "i": 2**60, "f": 0.1, "s": '"quoted" \\ \n 😀 ключ', "l": [1, [2, {"x": []}]], "": {"": 0}},
    {"big": "ä" * 300_000},
    {"f": [1e300, -0.0, 5e-324, 1.0]},
)


class StateStoreSuite(ABC):
    """Subclass it, say how to `make` your store, and arm its failpoints by naming them in `before` and `after`."""

    before: tuple[str, ...] = ()
    """Failpoints within a write, at which nothing of it is durable yet."""

    after: tuple[str, ...] = ()
    """Failpoints at which a write is durable, though it has not returned."""

    @abstractmethod
    def make(self, folder: Path) -> StateStore:
        """A store that keeps what it holds in `folder`."""

    def make_at(self, folder: Path, clock: FixedClock) -> StateStore | None:
        """A store that reads its time from `clock`; None where the store's clock is not the caller's to set."""
        del folder, clock
        return None

    @pytest.fixture
    def store(self, tmp_path: Path) -> StateStore:
        """A fresh store."""
        return self.make(tmp_path)

    def test_what_was_never_written_is_absent(self, store: StateStore) -> None:
        assert store.get("c", "k") is None
        assert list(store.scan("c")) == []
        assert store.entries("j") == []

    @pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
    def test_a_value_comes_back_as_it_was(self, store: StateStore, value: dict[str, object]) -> None:
        store.write(Put("c", "k", value), Append("j", value))
        assert store.get("c", "k") == value
        assert store.entries("j") == [(1, value)]

    def test_any_text_is_a_name(self, store: StateStore) -> None:
        store.write(*(Put(name, name, {"name": name}) for name in ODD_NAMES))
        store.write(*(Append(name, {"name": name}) for name in ODD_NAMES))
        for name in ODD_NAMES:
            assert list(store.scan(name)) == [(name, {"name": name})]
            assert store.entries(name) == [(1, {"name": name})]
            assert store.lease(name, name, 60) is None

    def test_a_scan_goes_by_key_and_keeps_to_its_collection(self, store: StateStore) -> None:
        store.write(*(Put("c", key, {"k": key}) for key in ("b", "a", "B", "10", "9")), Put("d", "x", {}))
        assert [key for key, _ in store.scan("c")] == ["10", "9", "B", "a", "b"]

    def test_a_scan_shows_what_was_there_when_it_was_asked(self, store: StateStore) -> None:
        store.write(*(Put("c", f"{n}", {"n": n}) for n in range(5)))
        rows = store.scan("c")
        store.write(Put("c", "0", {"n": 100}), Put("c", "9", {}))
        assert [value["n"] for _, value in rows] == [0, 1, 2, 3, 4]

    def test_a_put_replaces(self, store: StateStore) -> None:
        store.write(Put("c", "k", {"n": 1}))
        store.write(Put("c", "k", {"m": 2}))
        assert store.get("c", "k") == {"m": 2}

    def test_what_is_forgotten_is_absent(self, store: StateStore) -> None:
        """A document goes with the other writes of its transaction; to forget what is not there does nothing."""
        store.write(Put("c", "k", {"n": 1}), Put("c", "l", {"n": 2}), Put("d", "k", {"n": 3}))
        assert store.write(Forget("c", "k"), Append("j", {}), Forget("c", "never")) == [1]
        assert [key for key, _ in store.scan("c")] == ["l"]
        assert store.get("d", "k") == {"n": 3}
        with pytest.raises(Conflict):
            store.write(Forget("c", "l"), Put("c", "l", {}, expect={"n": 2}))
        assert store.get("c", "l") == {"n": 2}
        store.write(Forget("c", "l"), Put("c", "l", {"n": 4}, expect=None))
        assert store.get("c", "l") == {"n": 4}

    def test_changing_what_was_read_changes_nothing_stored(self, store: StateStore) -> None:
        store.write(Put("c", "k", {"l": [1]}))
        read = dict(store.get("c", "k") or {})
        read["l"].append(2)
        assert store.get("c", "k") == {"l": [1]}

    def test_nothing_to_write_is_no_write(self, store: StateStore) -> None:
        assert store.write() == []

    def test_journals_are_numbered_from_one_each_on_its_own(self, store: StateStore) -> None:
        assert store.write(Append("j", {}), Put("c", "k", {}), Append("i", {}), Append("j", {})) == [1, 1, 2]
        assert store.write(Append("j", {"n": 3})) == [3]

    def test_a_journal_is_read_by_number(self, store: StateStore) -> None:
        store.write(*(Append("j", {"n": n}) for n in range(1, 8)))
        assert [number for number, _ in store.entries("j")] == [1, 2, 3, 4, 5, 6, 7]
        assert [number for number, _ in store.entries("j", after=5)] == [6, 7]
        assert [number for number, _ in store.entries("j", last=2)] == [6, 7]
        assert [number for number, _ in store.entries("j", after=6, last=3)] == [7]
        assert store.entries("j", last=0) == []
        assert store.entries("j", after=7) == []

    def test_expecting_absence(self, store: StateStore) -> None:
        store.write(Put("c", "k", {"n": 1}, expect=None))
        with pytest.raises(Conflict):
            store.write(Put("c", "k", {"n": 2}, expect=None))
        assert store.get("c", "k") == {"n": 1}

    def test_expecting_a_value(self, store: StateStore) -> None:
        with pytest.raises(Conflict):
            store.write(Put("c", "k", {"n": 2}, expect={"n": 1}))
        store.write(Put("c", "k", {"n": 1, "m": [1, {}]}))
        store.write(Put("c", "k", {"n": 2}, expect={"m": [1, {}], "n": 1}))
        for wrong in ({"n": 1}, {}, {"n": "2"}, {"n": 2, "m": None}):
            with pytest.raises(Conflict):
                store.write(Put("c", "k", {"n": 3}, expect=wrong))
        assert store.get("c", "k") == {"n": 2}

    def test_a_conflict_undoes_the_whole_write(self, store: StateStore) -> None:
        store.write(Append("j", {"n": 1}))
        with pytest.raises(Conflict):
            store.write(Put("c", "a", {}), Append("j", {"n": 2}), Put("c", "b", {}, expect={"x": 1}))
        assert list(store.scan("c")) == []
        assert store.write(Append("j", {"n": 3})) == [2]

    def test_a_value_that_is_not_json_is_refused_and_nothing_is_written(self, store: StateStore) -> None:
        for wrong in (float("nan"), float("inf"), object(), b"bytes"):
            with pytest.raises((TypeError, ValueError)):
                store.write(Append("j", {}), Put("c", "k", {"v": wrong}))
        assert store.entries("j") == []

    def test_what_was_written_is_there_after_opening_anew(self, store: StateStore, tmp_path: Path) -> None:
        store.write(Put("c", "k", {"n": 1}), Append("j", {}))
        store.lease("r", "me", 60)
        store.close()
        again = self.make(tmp_path)
        assert again.get("c", "k") == {"n": 1}
        assert again.lease("r", "you", 60) == "me"

    def test_a_lease_has_one_holder(self, store: StateStore) -> None:
        assert store.lease("r", "me", 60) is None
        assert store.lease("r", "you", 60) == "me"
        assert store.lease("r", "me", 60) is None
        assert store.lease("other", "you", 60) is None

    def test_only_the_holder_frees_a_lease(self, store: StateStore) -> None:
        store.lease("r", "me", 60)
        store.free("r", "you")
        assert store.lease("r", "you", 60) == "me"
        store.free("r", "me")
        store.free("r", "me")
        assert store.lease("r", "you", 60) is None

    def test_who_holds_a_lease_is_told_while_it_lasts(self, store: StateStore) -> None:
        assert store.holder("r") is None
        store.lease("r", "me", 60)
        store.lease("short", "me", 0.05)
        assert store.holder("r") == "me"
        time.sleep(0.1)
        assert store.holder("short") is None
        store.free("r", "me")
        assert store.holder("r") is None

    def test_a_lease_lapses(self, store: StateStore) -> None:
        store.lease("r", "me", 0.05)
        time.sleep(0.1)
        assert store.lease("r", "you", 60) is None
        assert store.lease("r", "me", 60) == "you"

    def test_a_lease_lapses_by_the_stores_clock_from_its_last_renewal(self, tmp_path: Path, clock: FixedClock) -> None:
        store = self.make_at(tmp_path, clock)
        if store is None:
            pytest.skip("the store's clock is not ours to set")
        start = clock.instant
        store.lease("r", "me", 10)
        clock.instant = start + timedelta(seconds=9)
        assert store.lease("r", "me", 10) is None
        clock.instant = start + timedelta(seconds=18.999)
        assert store.lease("r", "you", 10) == "me"
        clock.instant = start + timedelta(seconds=19)
        assert store.lease("r", "you", 10) is None

    def test_threads_lose_no_increment(self, store: StateStore) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: _increment(store, 25), range(4)))
        assert store.get("c", "n") == {"n": 100}
        assert [number for number, _ in store.entries("j")] == list(range(1, 101))

    def test_processes_lose_no_increment(self, store: StateStore, tmp_path: Path) -> None:
        children = [child.start(self, tmp_path, "increment", "40") for _ in range(3)]
        for process in children:
            child.finish(process)
        assert store.get("c", "n") == {"n": 120}
        entries = store.entries("j")
        assert [number for number, _ in entries] == list(range(1, 121))
        assert [value["n"] for _, value in entries] == list(range(1, 121))

    def test_processes_that_make_one_store_at_once_share_it(self, tmp_path: Path) -> None:
        children = [child.start(self, tmp_path, "increment", "1") for _ in range(4)]
        for process in children:
            child.finish(process)
        assert self.make(tmp_path).get("c", "n") == {"n": 4}

    def test_a_lease_goes_to_one_of_many_processes(self, store: StateStore, tmp_path: Path) -> None:
        children = [child.start(self, tmp_path, "claim", name) for name in ("a", "b", "c")]
        answers = [child.finish(process) for process in children]
        assert answers.count("None") == 1
        assert store.lease("r", "d", 60) in ("a", "b", "c")

    def test_a_write_killed_before_it_is_durable_left_nothing(self, store: StateStore, tmp_path: Path) -> None:
        store.write(Put("c", "k", {"n": 0}), Append("j", {"n": 0}))
        for point in self.before:
            child.run_to_death(self, tmp_path, "write_many", point=point)
            assert store.get("c", "k") == {"n": 0}
            assert len(store.entries("j")) == 1
        assert child.run(self, tmp_path, "write_many") == "[2, 3]"

    def test_a_write_killed_after_it_is_durable_is_whole(self, store: StateStore, tmp_path: Path) -> None:
        for done, point in enumerate(self.after, 1):
            child.run_to_death(self, tmp_path, "write_many", point=point)
            assert store.get("c", "k") == {"n": 1}
            assert len(store.entries("j")) == 2 * done

    def test_writers_killed_at_any_moment_leave_whole_writes(self, store: StateStore, tmp_path: Path) -> None:
        for wait in (0.0, 0.01, 0.03):
            seen = len(store.entries("j"))
            process = child.start(self, tmp_path, "write_pairs")
            _wait_for_entries(store, seen + 5)
            time.sleep(wait)
            child.kill(process)
        entries = store.entries("j")
        assert [number for number, _ in entries] == list(range(1, len(entries) + 1))
        assert store.get("c", "pair") == entries[-1][1]

    @pytest.fixture
    def clock(self) -> FixedClock:
        """A clock that stands still."""
        return FixedClock(datetime(2013, 12, 1, tzinfo=UTC))

    def increment(self, store: StateStore, times: str) -> None:
        """In a process of its own: count up."""
        _increment(store, int(times))

    def claim(self, store: StateStore, owner: str) -> str | None:
        """In a process of its own: take a lease."""
        return store.lease("r", owner, 60)

    def write_many(self, store: StateStore) -> list[int]:
        """In a process of its own: write several things at once."""
        return store.write(Put("c", "k", {"n": 1}), Append("j", {"n": 1}), Put("c", "l", {}), Append("j", {"n": 2}))

    def write_pairs(self, store: StateStore) -> None:
        """In a process of its own: write a document and an entry together, until killed."""
        n = 0
        while True:
            n += 1
            store.write(Put("c", "pair", {"n": n}), Append("j", {"n": n}))


def _increment(store: StateStore, times: int) -> None:
    done = 0
    while done < times:
        present = store.get("c", "n")
        n = 1 if present is None else int(present["n"]) + 1
        try:
            store.write(Put("c", "n", {"n": n}, expect=present), Append("j", {"n": n}))
        except Conflict:
            continue
        done += 1


def _wait_for_entries(store: StateStore, many: int) -> None:
    deadline = time.monotonic() + 30
    while len(store.entries("j")) < many:
        assert time.monotonic() < deadline, "waited 30 s in vain"
        time.sleep(0.005)
