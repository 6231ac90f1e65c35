"""What every online store must do."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lichen.errors import SystemFailed
from lichen.ports import OnlineStore
from lichen.testing import child

ODD_BYTES = (b"", b"\x00", b"\x00\x00", b"\xff\xfe", "ключ 😀".encode(), b"'; DROP TABLE x; --", bytes(range(256)))
ODD_VIEWS = ("plane@3f", "ключ@1", "\u00e9", "e\u0301", "a b", "a/b", "'; DROP TABLE x; --", "%", "")


class OnlineStoreSuite(ABC):
    """Subclass it, say how to `make` your store, and arm its failpoints by naming them in `before` and `after`."""

    before: tuple[str, ...] = ()
    """Failpoints within `replace`, at which the new generation is not visible yet."""

    after: tuple[str, ...] = ()
    """Failpoints within `replace`, at which the new generation is visible."""

    @abstractmethod
    def make(self, folder: Path) -> OnlineStore:
        """A store that keeps what it holds in `folder`."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> OnlineStore:
        """A fresh store."""
        return self.make(tmp_path)

    def test_a_view_never_materialised_is_unknown(self, store: OnlineStore) -> None:
        assert store.generation("v") is None
        assert store.views() == []
        store.drop("v")

    def test_states_come_back_by_key_in_the_order_asked(self, store: OnlineStore) -> None:
        number = store.replace("v", [(b"b", b"2"), (b"a", b"1")], "cursor")
        assert number == 1
        assert store.generation("v") == (1, "cursor")
        assert store.get("v", 1, [b"a", b"none", b"b", b"a"]) == [b"1", None, b"2", b"1"]
        assert store.get("v", 1, []) == []

    def test_any_bytes_are_a_key_and_a_state(self, store: OnlineStore) -> None:
        store.replace("v", [(odd, odd) for odd in ODD_BYTES], "")
        assert store.get("v", 1, ODD_BYTES) == list(ODD_BYTES)
        assert store.generation("v") == (1, "")

    def test_any_text_is_a_view(self, store: OnlineStore) -> None:
        for view in ODD_VIEWS:
            store.replace(view, [(b"k", view.encode())], view)
        assert sorted(store.views()) == sorted(ODD_VIEWS)
        for view in ODD_VIEWS:
            assert store.get(view, 1, [b"k"]) == [view.encode()]

    def test_a_large_state_comes_back(self, store: OnlineStore) -> None:
        large = bytes(range(256)) * 4096
        store.replace("v", [(b"k" * 10_000, large)], "c")
        assert store.get("v", 1, [b"k" * 10_000]) == [large]

    def test_a_generation_of_nothing_is_a_generation(self, store: OnlineStore) -> None:
        assert store.replace("v", [], "c") == 1
        assert store.generation("v") == (1, "c")
        assert store.get("v", 1, [b"k"]) == [None]
        assert store.views() == ["v"]

    def test_a_new_generation_replaces_the_whole_of_the_old(self, store: OnlineStore) -> None:
        store.replace("v", [(b"a", b"1"), (b"b", b"1")], "c1")
        assert store.replace("v", [(b"b", b"2"), (b"c", b"2")], "c2") == 2
        assert store.generation("v") == (2, "c2")
        assert store.get("v", 2, [b"a", b"b", b"c"]) == [None, b"2", b"2"]

    def test_the_generation_before_the_visible_one_is_kept_for_its_readers(self, store: OnlineStore) -> None:
        for n in range(1, 4):
            store.replace("v", [(b"k", b"%d" % n), (b"only%d" % n, b"")], f"{n}")
        assert store.get("v", 2, [b"k", b"only1", b"only2", b"only3"]) == [b"2", None, b"", None]

    def test_views_do_not_touch_each_other(self, store: OnlineStore) -> None:
        store.replace("v", [(b"k", b"v")], "v")
        store.replace("w", [(b"k", b"w")], "w")
        store.replace("v", [(b"k", b"v2")], "v2")
        assert store.get("w", 1, [b"k"]) == [b"w"]
        store.drop("v")
        assert store.views() == ["w"]
        assert store.generation("v") is None
        assert store.get("w", 1, [b"k"]) == [b"w"]

    def test_a_dropped_view_starts_anew(self, store: OnlineStore) -> None:
        store.replace("v", [(b"a", b"1")], "c1")
        store.drop("v")
        store.drop("v")
        assert store.replace("v", [(b"b", b"2")], "c2") == 1
        assert store.get("v", 1, [b"a", b"b"]) == [None, b"2"]

    def test_items_are_read_as_a_stream(self, store: OnlineStore) -> None:
        ahead: list[int] = []
        store.replace("v", ((b"%d" % n, bytes(100)) for n in _counted(30_000, ahead)), "c")
        assert len(ahead) == 30_000
        assert store.get("v", 1, [b"0", b"29999", b"30000"]) == [bytes(100), bytes(100), None]

    def test_items_that_fail_leave_the_old_generation(self, store: OnlineStore) -> None:
        store.replace("v", [(b"k", b"old")], "old")
        with pytest.raises(ZeroDivisionError):
            store.replace("v", ((b"%d" % (1 // (20_000 - n)), b"") for n in (1, 20_000)), "new")
        assert store.generation("v") == (1, "old")
        assert store.get("v", 1, [b"k"]) == [b"old"]
        assert store.replace("v", [(b"k", b"new")], "new") == 2

    def test_what_was_written_is_there_after_opening_anew(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("v", [(b"k", b"s")], "c")
        store.close()
        again = self.make(tmp_path)
        assert again.generation("v") == (1, "c")
        assert again.get("v", 1, [b"k"]) == [b"s"]

    def test_another_store_on_the_same_place_sees_the_flip(self, store: OnlineStore, tmp_path: Path) -> None:
        reader = self.make(tmp_path)
        assert reader.generation("v") is None
        store.replace("v", [(b"k", b"1")], "1")
        assert reader.get("v", 1, [b"k"]) == [b"1"]
        store.replace("v", [(b"k", b"2")], "2")
        assert reader.generation("v") == (2, "2")
        assert reader.get("v", 2, [b"k"]) == [b"2"]

    def test_threads_read_whole_generations_while_one_is_replaced(self, store: OnlineStore) -> None:
        keys = [b"%d" % n for n in range(50)]
        store.replace("v", [(key, b"1") for key in keys], "1")
        done = threading.Event()
        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(_read_until, store, keys, done) for _ in range(3)]
            try:
                for n in range(2, 12):
                    store.replace("v", [(key, b"%d" % n) for key in keys], f"{n}")
                    time.sleep(0.005)
            finally:
                done.set()
            assert all(reader.result() > 0 for reader in readers)

    def test_processes_that_replace_one_view_leave_one_whole(self, store: OnlineStore, tmp_path: Path) -> None:
        children = [child.start(self, tmp_path, "replace_often", name) for name in ("a", "b", "c")]
        for process in children:
            child.finish(process)
        number, cursor = store.generation("v") or (0, "")
        assert number >= 1
        assert set(store.get("v", number, [b"%d" % n for n in range(200)])) == {cursor.encode()}

    def test_processes_that_replace_different_views_do_not_disturb_each_other(
        self, store: OnlineStore, tmp_path: Path
    ) -> None:
        children = [child.start(self, tmp_path, "replace_own", name) for name in ("a", "b", "c")]
        assert [child.finish(process) for process in children] == ["10", "10", "10"]
        for name in ("a", "b", "c"):
            assert store.get(name, 10, [b"k"]) == [b"9"]

    def test_a_generation_killed_before_it_is_visible_never_is(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("v", [(b"0", b"old")], "old")
        for point in self.before:
            child.run_to_death(self, tmp_path, "replace_large", point=point)
            assert store.generation("v") == (1, "old")
            assert store.get("v", 1, [b"0", b"1"]) == [b"old", None]
        assert child.run(self, tmp_path, "replace_large") == "2"
        assert store.get("v", 2, [b"0", b"19999", b"20000"]) == [b"large", b"large", None]

    def test_a_generation_killed_after_it_is_visible_is_whole(self, store: OnlineStore, tmp_path: Path) -> None:
        for number, point in enumerate(self.after, 1):
            child.run_to_death(self, tmp_path, "replace_large", point=point)
            assert store.generation("v") == (number, "large")
            assert store.get("v", number, [b"0", b"19999", b"20000"]) == [b"large", b"large", None]

    def test_writers_killed_at_any_moment_leave_whole_generations(self, store: OnlineStore, tmp_path: Path) -> None:
        for wait in (0.0, 0.02, 0.05):
            before = store.generation("v")
            process = child.start(self, tmp_path, "replace_for_ever")
            deadline = time.monotonic() + 30
            while store.generation("v") == before:
                assert time.monotonic() < deadline, "waited 30 s in vain"
                time.sleep(0.002)
            time.sleep(wait)
            child.kill(process)
            number, cursor = store.generation("v") or (0, "")
            states = store.get("v", number, [b"%d" % n for n in range(2000)])
            assert set(states) == {cursor.encode()}

    def replace_often(self, store: OnlineStore, name: str) -> None:
        """In a process of its own: replace a view that others replace too; being overtaken is no failure."""
        for n in range(10):
            state = f"{name}{n}".encode()
            try:
                store.replace("v", [(b"%d" % key, state) for key in range(200)], state.decode())
            except SystemFailed:
                continue

    def replace_own(self, store: OnlineStore, view: str) -> int:
        """In a process of its own: replace a view of its own."""
        return [store.replace(view, [(b"k", b"%d" % n)], f"{n}") for n in range(10)][-1]

    def replace_large(self, store: OnlineStore) -> int:
        """In a process of its own: replace a view by many states."""
        return store.replace("v", ((b"%d" % n, b"large") for n in range(20_000)), "large")

    def replace_for_ever(self, store: OnlineStore) -> None:
        """In a process of its own: replace a view until killed."""
        while True:
            cursor = f"{time.monotonic()}"
            store.replace("v", ((b"%d" % n, cursor.encode()) for n in range(2000)), cursor)


def _counted(most: int, ahead: list[int]) -> Iterator[int]:
    for n in range(most):
        ahead.append(n)
        yield n


def _read_until(store: OnlineStore, keys: list[bytes], done: threading.Event) -> int:
    """Read whole generations; one that was replaced twice since may be refused, but never in part."""
    read = 0
    while not done.is_set():
        number, cursor = store.generation("v") or (0, "")
        try:
            states = store.get("v", number, keys)
        except SystemFailed:
            continue
        assert set(states) == {cursor.encode()}
        read += 1
    return read
