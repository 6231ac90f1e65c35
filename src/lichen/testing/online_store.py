"""What every online store must do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import OnlineStore
from lichen.testing import child
from lichen.testing.online_origin import ODD_BYTES, OriginSuite

ODD_VIEWS = ("plane@3f", "ключ@1", "\u00e9", "e\u0301", "a b", "a/b", "'; DROP TABLE x; --", "%", "")


class OnlineStoreSuite(OriginSuite):
    """Subclass it, say how to `make` your store, and arm its failpoints by naming them in `before` and `after`."""

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

    def test_a_change_replaces_the_states_it_is_given_and_no_other(self, store: OnlineStore) -> None:
        store.replace("v", [(b"a", b"1"), (b"b", b"1"), (b"c", b"1")], "c1")
        assert store.change("v", 1, [(b"b", b"2"), (b"c", None), (b"d", b"2"), (b"none", None)], "c2") == 2
        assert store.generation("v") == (2, "c2")
        asked = [b"a", b"b", b"c", b"d", b"none", b"c"]
        assert store.get("v", 2, asked) == [b"1", b"2", None, b"2", None, None]
        assert store.get("v", 1, asked) == [b"1", b"1", b"1", None, None, b"1"]
        assert store.change("v", 2, [(b"c", b"3"), (b"d", None)], "c3") == 3
        assert store.get("v", 3, asked) == [b"1", b"2", b"3", None, None, b"3"]
        assert store.get("v", 2, asked) == [b"1", b"2", None, b"2", None, None]
        assert store.views() == ["v"]

    def test_a_change_of_nothing_moves_the_cursor(self, store: OnlineStore) -> None:
        store.replace("v", [(b"k", b"1")], "c1")
        assert store.change("v", 1, [], "c2") == 2
        assert store.generation("v") == (2, "c2")
        assert [store.get("v", number, [b"k"]) for number in (1, 2)] == [[b"1"], [b"1"]]

    def test_a_change_of_any_bytes(self, store: OnlineStore) -> None:
        store.replace("v", [(odd, b"old") for odd in ODD_BYTES], "c1")
        store.change("v", 1, [(odd, odd) for odd in ODD_BYTES], "c2")
        assert store.get("v", 2, ODD_BYTES) == list(ODD_BYTES)
        assert store.get("v", 1, ODD_BYTES) == [b"old"] * len(ODD_BYTES)
        store.change("v", 2, [(odd, None) for odd in ODD_BYTES], "c3")
        assert store.get("v", 3, ODD_BYTES) == [None] * len(ODD_BYTES)
        assert store.get("v", 2, ODD_BYTES) == list(ODD_BYTES)

    def test_only_the_visible_generation_is_changed(self, store: OnlineStore) -> None:
        with pytest.raises(SystemFailed, match=r"LCH-3024: view `v`: generation 1 .*not the visible one"):
            store.change("v", 1, [(b"k", b"2")], "c")
        assert store.generation("v") is None
        for n in (1, 2):
            store.replace("v", [(b"k", b"%d" % n)], f"{n}")
        for other in (0, 1, 3):
            with pytest.raises(SystemFailed, match="the visible one is 2"):
                store.change("v", other, [(b"k", b"no")], "no")
        assert store.generation("v") == (2, "2")
        assert [store.get("v", number, [b"k"]) for number in (1, 2)] == [[b"1"], [b"2"]]

    def test_a_key_given_twice_changes_nothing(self, store: OnlineStore) -> None:
        store.replace("v", [(b"k", b"old"), (b"w", b"old")], "old")
        for twice in ([(b"k", b"1"), (b"w", b"1"), (b"k", b"2")], [(b"k", None), (b"k", b"1")], [(b"k", None)] * 2):
            with pytest.raises(FoundWrong, match="LCH-3022: view `v`: a key was given twice"):
                store.change("v", 1, twice, "new")
        assert store.generation("v") == (1, "old")
        assert store.get("v", 1, [b"k", b"w"]) == [b"old", b"old"]
        assert store.change("v", 1, [(b"k", b"new")], "new") == 2
        assert store.get("v", 2, [b"k", b"w"]) == [b"new", b"old"]

    def test_items_of_a_change_that_fail_are_never_seen(self, store: OnlineStore) -> None:
        store.replace("v", [(b"%d" % n, b"old") for n in range(10)], "old")
        with pytest.raises(ZeroDivisionError):
            store.change("v", 1, ((b"%d" % (n + 0 * (1 // (9_000 - n))), b"no") for n in range(10_000)), "no")
        assert store.generation("v") == (1, "old")
        assert store.change("v", 1, [(b"3", b"new")], "new") == 2
        keys = [b"2", b"3", b"8999"]
        assert store.get("v", 2, keys) == [b"old", b"new", None]
        assert store.get("v", 1, keys) == [b"old", b"old", None]

    def test_a_change_copies_nothing(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("v", ((b"%d" % n, b"1") for n in range(3_000)), "1")
        during: list[int] = []

        def items() -> Iterator[tuple[bytes, bytes]]:
            yield from ((b"%d" % n, b"2") for n in range(10))
            during.append(self.held(tmp_path))

        store.change("v", 1, items(), "2")
        assert during[0] <= 3_010
        assert self.held(tmp_path) == 3_010
        assert store.get("v", 1, [b"0", b"2999"]) == [b"1", b"1"]
        assert store.get("v", 2, [b"0", b"2999"]) == [b"2", b"1"]

    def test_what_is_held_does_not_grow_with_the_number_of_changes(self, store: OnlineStore, tmp_path: Path) -> None:
        keys = [b"%d" % n for n in range(100)]
        number = store.replace("v", [(key, b"0") for key in keys], "0")
        for n in range(1, 30):
            gone = [(b"only%d" % n, b""), (b"only%d" % (n - 1), None)]
            number = store.change("v", number, [*((key, b"%d" % n) for key in keys[:20]), *gone], f"{n}")
        assert self.held(tmp_path) <= 100 + 20 + 4
        assert store.get("v", number, [b"19", b"20", b"only28", b"only29"]) == [b"29", b"0", None, b""]
        assert store.get("v", number - 1, [b"19", b"20", b"only28", b"only29"]) == [b"28", b"0", b"", None]
        with pytest.raises(SystemFailed, match="LCH-3021"):
            store.get("v", number - 2, [b"19"])
        store.replace("v", [(b"k", b"")], "r")
        store.replace("v", [(b"k", b"")], "r")
        assert self.held(tmp_path) == 2
        store.drop("v")
        assert self.held(tmp_path) == 0

    def test_replacing_and_changing_take_turns(self, store: OnlineStore) -> None:
        model: dict[bytes, bytes] = {}
        before: dict[bytes, bytes] = {}
        keys = [b"%d" % n for n in range(7)]
        for n in range(1, 25):
            before, model = model, dict(model)
            state = b"%d" % n
            if n % 5 == 1:
                model = {key: state for key in keys if key != b"%d" % (n % 7)}
                store.replace("v", model.items(), f"{n}")
            else:
                given = {keys[n % 7]: state, keys[(n * 3 + 1) % 7]: None if n % 2 else state}
                store.change("v", n - 1, given.items(), f"{n}")
                model = {key: made for key, made in {**model, **given}.items() if made is not None}
            assert store.get("v", n, keys) == [model.get(key) for key in keys]
            assert n == 1 or store.get("v", n - 1, keys) == [before.get(key) for key in keys]

    def test_of_two_writers_of_a_view_one_wins(self, store: OnlineStore, tmp_path: Path) -> None:
        other = self.make(tmp_path)
        store.replace("v", [(b"a", b"0"), (b"b", b"0")], "0")

        def overtaken(by: Callable[[], int]) -> Iterator[tuple[bytes, bytes]]:
            yield b"a", b"first"
            by()

        changed_first = overtaken(lambda: other.change("v", 1, [(b"b", b"1")], "1"))
        with pytest.raises(SystemFailed, match="LCH-3023"):
            store.change("v", 1, changed_first, "first")
        assert store.generation("v") == (2, "1")
        replaced_first = overtaken(lambda: other.replace("v", [(b"a", b"2"), (b"b", b"2")], "2"))
        with pytest.raises(SystemFailed, match="LCH-3023"):
            store.change("v", 2, replaced_first, "first")
        assert store.generation("v") == (3, "2")
        replaces = overtaken(lambda: other.change("v", 3, [(b"a", b"3")], "3"))
        with pytest.raises(SystemFailed, match="LCH-3023"):
            store.replace("v", replaces, "first")
        assert store.generation("v") == (4, "3")
        assert store.get("v", 4, [b"a", b"b"]) == [b"3", b"2"]
        assert store.get("v", 3, [b"a", b"b"]) == [b"2", b"2"]
        other.close()

    def test_threads_read_whole_generations_while_changes_go_on(self, store: OnlineStore) -> None:
        keys = [b"%d" % n for n in range(50)]
        store.replace("v", [(key, b"1") for key in keys], "1")
        done = threading.Event()
        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(_read_until, store, keys, done) for _ in range(3)]
            try:
                for n in range(2, 30):
                    store.change("v", n - 1, [(key, b"%d" % n) for key in keys], f"{n}")
                    time.sleep(0.002)
            finally:
                done.set()
            assert all(reader.result() > 0 for reader in readers)

    def test_processes_that_change_one_view_lose_no_change(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("v", [(b"%d" % key, b"start") for key in range(50)], "start")
        children = [child.start(self, tmp_path, "change_often", name) for name in ("a", "b", "c")]
        reader = child.start(self, tmp_path, "read_often")
        made = [child.finish(process).split() for process in children]
        assert int(child.finish(reader)) > 0
        number, cursor = store.generation("v") or (0, "")
        assert number == 1 + sum(int(changes) for changes, _ in made)
        assert set(store.get("v", number, [b"%d" % n for n in range(50)])) == {cursor.encode()}
        last = store.get("v", number, [b"last-a", b"last-b", b"last-c"])
        assert last == [None if name == "none" else name.encode() for _, name in made]
        assert self.held(tmp_path) <= 2 * 53

    def test_a_change_killed_before_it_is_visible_never_is(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("v", [(b"0", b"old"), (b"kept", b"old")], "old")
        for point in self.before:
            child.run_to_death(self, tmp_path, "change_large", point=point)
            assert store.generation("v") == (1, "old")
            assert store.get("v", 1, [b"0", b"1", b"kept"]) == [b"old", None, b"old"]
        assert store.change("v", 1, [(b"new", b"new")], "new") == 2
        assert store.get("v", 2, [b"0", b"1", b"19999", b"kept", b"new"]) == [b"old", None, None, b"old", b"new"]
        assert self.held(tmp_path) == 3
        assert child.run(self, tmp_path, "change_large") == "3"
        assert store.get("v", 3, [b"0", b"19999", b"20000", b"kept"]) == [b"large", b"large", None, b"old"]

    def test_a_change_killed_after_it_is_visible_is_whole(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("v", [(b"kept", b"old")], "old")
        for number, point in enumerate(self.after, 2):
            child.run_to_death(self, tmp_path, "change_large", point=point)
            assert store.generation("v") == (number, "large")
            assert store.get("v", number, [b"0", b"19999", b"kept"]) == [b"large", b"large", b"old"]

    def test_changes_killed_at_any_moment_leave_whole_generations(self, store: OnlineStore, tmp_path: Path) -> None:
        keys = [b"%d" % n for n in range(2000)]
        store.replace("v", [(key, b"old") for key in keys], "old")
        for wait in (0.0, 0.02, 0.05):
            before = store.generation("v")
            process = child.start(self, tmp_path, "change_for_ever")
            deadline = time.monotonic() + 30
            while store.generation("v") == before:
                assert time.monotonic() < deadline, "waited 30 s in vain"
                time.sleep(0.002)
            time.sleep(wait)
            child.kill(process)
            number, cursor = store.generation("v") or (0, "")
            assert set(store.get("v", number, keys)) == {cursor.encode()}
            assert len(set(store.get("v", number - 1, keys))) == 1
        store.change("v", number, [], "end")
        store.change("v", number + 1, [], "end")
        assert self.held(tmp_path) == 2000

    def change_often(self, store: OnlineStore, name: str) -> str:
        """In a process of its own: change a view that others change too; being overtaken is no failure."""
        made, last = 0, "none"
        for n in range(15):
            state = f"{name}{n}"
            items = [*((b"%d" % key, state.encode()) for key in range(50)), (f"last-{name}".encode(), state.encode())]
            try:
                store.change("v", (store.generation("v") or (0, ""))[0], items, state)
            except SystemFailed:
                continue
            made, last = made + 1, state
        return f"{made} {last}"

    def read_often(self, store: OnlineStore) -> int:
        """In a process of its own: read whole generations."""
        done = threading.Event()
        timer = threading.Timer(0.5, done.set)
        timer.start()
        return _read_until(store, [b"%d" % n for n in range(50)], done)

    def change_large(self, store: OnlineStore) -> int:
        """In a process of its own: change many states of the visible generation."""
        number, _ = store.generation("v") or (0, "")
        return store.change("v", number, ((b"%d" % n, b"large") for n in range(20_000)), "large")

    def change_for_ever(self, store: OnlineStore) -> None:
        """In a process of its own: change a view until killed."""
        while True:
            number, _ = store.generation("v") or (0, "")
            cursor = f"{time.monotonic()}"
            store.change("v", number, ((b"%d" % n, cursor.encode()) for n in range(2000)), cursor)

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
