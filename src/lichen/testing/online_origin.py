"""What every online store must do where a view is written from another's generation, its origin."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import OnlineStore
from lichen.testing import child

ODD_BYTES = (b"", b"\x00", b"\x00\x00", b"\xff\xfe", "ключ 😀".encode(), b"'; DROP TABLE x; --", bytes(range(256)))


class OriginSuite(ABC):
    """The part of `OnlineStoreSuite` that is about origins; subclass that one."""

    before: tuple[str, ...] = ()
    """Failpoints within `replace` and `change` of 20,000 items, at which the new generation is not visible yet."""

    copying: tuple[str, ...] = ()
    """Failpoints within `replace` of 10,000 items and a base of 20,000, at which a part of the base is copied."""

    after: tuple[str, ...] = ()
    """Failpoints within them, at which the new generation is visible."""

    @abstractmethod
    def make(self, folder: Path) -> OnlineStore:
        """A store that keeps what it holds in `folder`, or under a name that is made of it."""

    @abstractmethod
    def held(self, folder: Path) -> int:
        """How many states the store of `folder` holds, whoever can see them: a key with two versions counts twice."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> OnlineStore:
        """A fresh store."""
        return self.make(tmp_path)

    def test_a_view_is_written_from_another(self, store: OnlineStore) -> None:
        store.replace("old", [(b"a", b"1"), (b"b", b"1"), (b"c", b"1"), (b"", b"1")], "c1")
        items = [(b"b", b"2"), (b"c", None), (b"d", b"2"), (b"none", None)]
        assert store.replace("new", items, "c2", ("old", 1)) == 1
        assert store.generation("new") == (1, "c2")
        asked = [b"a", b"b", b"c", b"d", b"none", b""]
        assert store.get("new", 1, asked) == [b"1", b"2", None, b"2", None, b"1"]
        assert store.get("old", 1, asked) == [b"1", b"1", b"1", None, None, b"1"]
        store.drop("old")
        assert store.get("new", 1, asked) == [b"1", b"2", None, b"2", None, b"1"]
        assert store.change("new", 1, [(b"a", None), (b"c", b"3")], "c3") == 2
        assert store.get("new", 2, asked) == [None, b"2", b"3", b"2", None, b"1"]
        assert store.views() == ["new"]

    def test_an_origin_is_taken_at_its_generation(self, store: OnlineStore) -> None:
        store.replace("old", [(odd, b"1") for odd in ODD_BYTES], "c1")
        store.change("old", 1, [(odd, odd) for odd in ODD_BYTES[:4]], "c2")
        store.replace("first", [], "f", ("old", 1))
        store.replace("second", [], "s", ("old", 2))
        assert store.get("first", 1, ODD_BYTES) == [b"1"] * len(ODD_BYTES)
        assert store.get("second", 1, ODD_BYTES) == [*ODD_BYTES[:4], *[b"1"] * len(ODD_BYTES[4:])]
        store.change("old", 2, [(ODD_BYTES[0], None), (b"later", b"3")], "c3")
        store.replace("second", [(ODD_BYTES[1], None)], "s2", ("old", 2))
        assert store.get("second", 2, [*ODD_BYTES[:2], b"later"]) == [ODD_BYTES[0], None, None]
        store.replace("third", [], "t", ("old", 3))
        assert store.get("third", 1, [*ODD_BYTES[:2], b"later"]) == [None, ODD_BYTES[1], b"3"]

    def test_a_view_may_be_its_own_origin(self, store: OnlineStore) -> None:
        store.replace("v", [(b"a", b"1"), (b"b", b"1")], "1")
        assert store.replace("v", [(b"b", b"2")], "2", ("v", 1)) == 2
        assert [store.get("v", number, [b"a", b"b"]) for number in (1, 2)] == [[b"1", b"1"], [b"1", b"2"]]

    def test_of_an_origin_only_its_states_are_held(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("old", ((b"%d" % n, b"1") for n in range(12_000)), "1")
        gone = [(b"%d" % n, None) for n in range(6_000)]
        store.replace("new", [*gone, (b"more", b"2"), *((b"no%d" % n, None) for n in range(10))], "2", ("old", 1))
        assert self.held(tmp_path) == 12_000 + 6_001
        assert store.get("new", 1, [b"5999", b"6000", b"11999", b"more", b"no1"]) == [None, b"1", b"1", b"2", None]
        store.drop("old")
        assert self.held(tmp_path) == 6_001

    def test_large_states_of_an_origin_come_along(self, store: OnlineStore) -> None:
        large = bytes(range(256)) * 4096
        store.replace("old", ((b"%d" % n, large) for n in range(40)), "1")
        store.replace("new", [(b"7", b"small")], "2", ("old", 1))
        assert store.get("new", 1, [b"0", b"7", b"39"]) == [large, b"small", large]

    def test_an_origin_that_is_not_kept_is_refused(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("v", [(b"k", b"old")], "old")
        with pytest.raises(SystemFailed, match="LCH-3021: view `none`: generation 1 is no longer kept"):
            store.replace("v", [(b"k", b"new")], "new", ("none", 1))
        for n in range(3):
            store.replace("old", [(b"k", b"%d" % n)], f"{n}")
        with pytest.raises(SystemFailed, match="LCH-3021: view `old`: generation 1 is no longer kept"):
            store.replace("v", [(b"k", b"new")], "new", ("old", 1))
        assert store.generation("v") == (1, "old")
        assert store.replace("v", [(b"w", b"new")], "new", ("old", 2)) == 2
        assert store.get("v", 2, [b"k", b"w"]) == [b"1", b"new"]
        assert self.held(tmp_path) == 2 + 1 + 2

    def test_an_origin_that_goes_meanwhile_is_refused(self, store: OnlineStore, tmp_path: Path) -> None:
        other = self.make(tmp_path)

        def anew() -> None:
            other.drop("old")
            other.replace("old", [(b"a", b"anew")], "anew")

        def overtaken() -> None:
            number, _ = other.generation("old") or (0, "")
            for n in range(number, number + 2):
                other.change("old", n, [(b"a", b"%d" % n)], "")

        def items(by: Callable[[], None]) -> Iterator[tuple[bytes, bytes]]:
            yield b"b", b"new"
            by()

        store.replace("v", [(b"v", b"0")], "0")
        for by in (lambda: other.drop("old"), anew, overtaken):
            number = store.replace("old", [(b"a", b"old"), (b"b", b"old")], "old")
            with pytest.raises(SystemFailed, match=r"LCH-3021: view `old`: generation \d is no longer kept"):
                store.replace("v", items(by), "new", ("old", number))
            assert store.generation("v") == (1, "0")
        other.close()
        # Of a base that was changed once the generation before is kept.
        number = store.replace("old", [(b"a", b"old"), (b"b", b"old")], "old")
        changed = items(lambda: (store.change("old", number, [(b"a", b"no"), (b"c", b"no")], ""), None)[1])
        store.replace("v", changed, "new", ("old", number))
        assert store.get("v", 2, [b"a", b"b", b"c", b"v"]) == [b"old", b"new", None, None]

    def test_a_key_given_twice_over_an_origin_is_refused(self, store: OnlineStore) -> None:
        store.replace("old", [(b"k", b"1")], "1")
        for twice in ([(b"k", b"1"), (b"k", b"2")], [(b"k", None), (b"k", b"1")], [(b"k", None)] * 2):
            with pytest.raises(FoundWrong, match="LCH-3022: view `v`: a key was given twice"):
                store.replace("v", twice, "new", ("old", 1))
        assert store.generation("v") is None

    def test_a_copy_killed_before_it_is_visible_never_is(self, store: OnlineStore, tmp_path: Path) -> None:
        store.replace("old", ((b"%d" % n, b"old") for n in range(20_000)), "old")
        for point in (*self.before, *self.copying):
            child.run_to_death(self, tmp_path, "copy_large", point=point)
            assert store.generation("v") is None
        assert child.run(self, tmp_path, "copy_large") == "1"
        asked = [b"0", b"7999", b"8000", b"9999", b"10000", b"19999", b"20000"]
        assert store.get("v", 1, asked) == [b"new", b"new", None, None, b"old", b"old", None]
        assert self.held(tmp_path) == 20_000 + 18_000
        for number, point in enumerate(self.after, 2):
            child.run_to_death(self, tmp_path, "copy_large", point=point)
            assert (store.generation("v") or (0, ""))[0] == number
            assert store.get("v", number, asked) == [b"new", b"new", None, None, b"old", b"old", None]

    def test_copies_of_an_origin_that_others_change_are_whole(self, store: OnlineStore, tmp_path: Path) -> None:
        keys = [b"%d" % n for n in range(2000)]
        store.replace("v", [(key, b"old") for key in keys], "old")
        process = child.start(self, tmp_path, "change_for_ever")
        copied = 0
        deadline = time.monotonic() + 60
        while copied < 5 or (store.generation("v") or (0, ""))[0] < 5:
            assert time.monotonic() < deadline, "waited 60 s in vain"
            number, cursor = store.generation("v") or (0, "")
            try:
                made = store.replace("w", [(b"own", b"own")], "w", ("v", number))
            except SystemFailed as gone:
                if gone.code != "LCH-3021":
                    raise
                continue
            assert set(store.get("w", made, keys)) == {cursor.encode()}
            copied += 1
        child.kill(process)

    def copy_large(self, store: OnlineStore) -> int:
        """In a process of its own: write a view from another, some of its states anew and some removed."""
        items = ((b"%d" % n, b"new" if n < 8_000 else None) for n in range(10_000))
        return store.replace("v", items, "new", ("old", 1))
