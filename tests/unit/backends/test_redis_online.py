# ruff: noqa: ISC004 (texts in a table are read line by line)

from __future__ import annotations

import hashlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis_there import ADDRESS, asked, clear, needs_redis, private_server

from lichen.backends import redis_server
from lichen.backends.redis_online import RedisOnlineStore
from lichen.errors import FoundWrong, SystemFailed
from lichen.ground.secret import Secret
from lichen.ports import OnlineStore
from lichen.testing.online_store import OnlineStoreSuite

pytestmark = needs_redis


def _prefix(folder: Path) -> str:
    """A prefix of a test's own, the same in the processes that it starts."""
    return "test-" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def _url(prefix: str) -> str:
    return f"{ADDRESS}?prefix={prefix}"


class TestRedisOnlineStore(OnlineStoreSuite):
    before = ("redis.begun", "redis.added@1", "redis.added@7", "redis.written")
    copying = ("redis.taken@1", "redis.taken@30", "redis.tidied")
    after = ("redis.flipped",)

    @pytest.fixture(autouse=True)
    def _nothing_stays(self, tmp_path: Path) -> Iterator[None]:
        yield
        clear(_prefix(tmp_path))

    def make(self, folder: Path) -> OnlineStore:
        return RedisOnlineStore(Secret(_url(_prefix(folder))), project="unused")

    def held(self, folder: Path) -> int:
        return sum(_versions(value) for value in _values(_prefix(folder)))


def _values(prefix: str) -> Iterator[bytes]:
    with asked() as client:
        for line in client.scan_iter(f"lichen:{prefix}:states:*"):
            for key, value in client.hgetall(line).items():
                if key:
                    yield value


def _versions(value: bytes) -> int:
    """How many states stand in a value; what was removed and is still seen by some counts too."""
    count = at = 0
    while at < len(value):
        at += 12 + max(int.from_bytes(value[at + 8 : at + 12], "little") - 1, 0)
        count += 1
    return count


def _keys(prefix: str) -> set[str]:
    with asked() as client:
        return {key.decode().split(":")[2] for key in client.scan_iter(f"lichen:{prefix}:*")}


@pytest.fixture
def prefix(tmp_path: Path) -> Iterator[str]:
    yield _prefix(tmp_path)
    clear(_prefix(tmp_path))


@pytest.fixture
def store(prefix: str) -> Iterator[RedisOnlineStore]:
    made = RedisOnlineStore(Secret(_url(prefix)), project="unused")
    yield made
    made.close()


def test_projects_that_share_a_server_do_not_touch_each_other(prefix: str, store: RedisOnlineStore) -> None:
    other = RedisOnlineStore(Secret(ADDRESS), project=f"{prefix}.other")
    try:
        store.replace("v", [(b"k", b"one")], "one")
        assert other.views() == []
        other.replace("v", [(b"k", b"other")], "other")
        other.drop("v")
        assert store.get("v", 1, [b"k"]) == [b"one"]
    finally:
        other.close()
        clear(f"{prefix}.other")


def test_nothing_is_left_of_a_view_that_was_dropped(prefix: str, store: RedisOnlineStore) -> None:
    store.replace("v", [(b"k", b"1")], "1")
    with pytest.raises(ZeroDivisionError):
        store.change("v", 1, ((b"k%d" % (1 // (600 - n)), b"") if n else (b"k", b"2") for n in (0, 600)), "2")
    store.change("v", 1, [(b"k", b"2")], "2")
    assert _keys(prefix) == {"states", "changed", "view", "views", "format"}
    store.drop("v")
    assert _keys(prefix) == {"format"}


def test_a_line_that_the_server_lost_is_gone_and_not_empty(prefix: str, store: RedisOnlineStore) -> None:
    store.replace("v", [(b"k", b"1")], "1")
    with asked() as client:
        for key in client.scan_iter(f"lichen:{prefix}:states:*"):
            client.delete(key)
    assert store.generation("v") is None
    with pytest.raises(SystemFailed) as caught:
        store.get("v", 1, [b"k"])
    assert str(caught.value) == (
        f"LCH-3021: view `v`: generation 1 is no longer kept\n  at {ADDRESS}\n"
        "  fix: ask for the visible generation; run `lichen run` if the release names this one"
    )
    with pytest.raises(SystemFailed, match="LCH-3024"):
        store.change("v", 1, [(b"k", b"2")], "2")
    assert store.replace("v", [(b"k", b"2")], "2") == 2
    assert store.get("v", 2, [b"k"]) == [b"2"]


def test_a_view_that_another_store_dropped_and_wrote_anew_is_read_anew(prefix: str, store: RedisOnlineStore) -> None:
    store.replace("v", [(b"k", b"1")], "1")
    other = RedisOnlineStore(Secret(_url(prefix)), project="unused")
    other.drop("v")
    other.replace("v", [(b"k", b"2")], "2")
    other.close()
    assert store.get("v", 1, [b"k"]) == [b"2"]


def test_a_batch_is_bounded_in_bytes_too(store: RedisOnlineStore) -> None:
    large = bytes(700_000)
    store.replace("v", ((b"%d" % n, large) for n in range(5)), "1")
    assert store.get("v", 1, [b"4"]) == [large]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", "LCH-2251: `redis://` is no address of a Redis server\n"
         "  why: it names no host, or a port that is none\n"
         "  fix: write redis://host:port/number, as in redis://127.0.0.1:6379/0?prefix=word"),
        ("redis://u:hidden-word@h:port/0", "LCH-2251: `redis://h:port/0` is no address of a Redis server\n"),
        ("redis://u:hidden-word@h/one", "LCH-2251: `redis://h/one` is no address of a Redis server\n"
         "  why: what stands after the host is the number of a database\n"),
        ("redis://h/0?prefx=a", "LCH-2251: `redis://h/0` is no address of a Redis server\n"
         "  why: it has no option `prefx`\n  fix: did you mean `prefix`?"),
        ("redis://h/0?prefix=a:b", "LCH-2251: `redis://h/0` is no address of a Redis server\n"
         "  why: `prefix=a:b` is not of letters, digits and _ . -\n"),
    ],
)  # fmt: skip
def test_an_address_that_is_none(url: str, said: str) -> None:
    with pytest.raises(FoundWrong) as caught:
        RedisOnlineStore(Secret(url), project="p")
    assert str(caught.value).startswith(said)
    assert "hidden" not in str(caught.value)


def test_the_password_is_in_no_text() -> None:
    address = redis_server.Address.of(Secret("rediss://me:pass%2Fword@h:1/2?ssl_ca_certs=ca.pem&prefix=x"), "p")
    assert (str(address.url), address.prefix) == ("rediss://h:1/2", "x")
    assert address.url.reveal() == "rediss://me:pass%2Fword@h:1/2?ssl_ca_certs=ca.pem"
    assert address.url.mask("pass/word, as pass%2Fword") == "***, as ****"


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SystemFailed) as caught:
            RedisOnlineStore(Secret(f"redis://me:hidden-word@127.0.0.1:{port}/3"), project="p").views()
    assert str(caught.value).startswith(
        f"LCH-3031: the Redis server of the online store cannot be reached\n  at redis://127.0.0.1:{port}/3\n  why: "
    )
    assert str(caught.value).endswith(
        "\n  fix: look whether it runs and listens there: redis-cli -h HOST -p PORT ping; then run again"
    )
    assert "hidden" not in str(caught.value)


def test_a_server_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        with pytest.raises(SystemFailed, match="LCH-3031"):
            RedisOnlineStore(Secret(url), project="p", patience=0.2).views()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server of the test's own with a password, to be killed, filled up or set otherwise."""
    with private_server(tmp_path, "--requirepass", "hidden-word") as made:
        yield made


def test_a_server_that_refuses_the_password(own: tuple[str, subprocess.Popen[bytes]]) -> None:
    at = own[0].removeprefix("redis://")
    for user in ("", ":wrong-word@"):
        with pytest.raises(SystemFailed) as caught:
            RedisOnlineStore(Secret(f"redis://{user}{at}"), project="p").views()
        assert str(caught.value).startswith(
            f"LCH-3032: the Redis server refuses what the online store asks\n  at {own[0]}\n  why: "
        )
        assert str(caught.value).endswith(
            "\n  fix: give the right user and password in `online:`, of a user who may read and write there"
        )
        assert "wrong-word" not in str(caught.value)


def _opened(own: tuple[str, subprocess.Popen[bytes]]) -> RedisOnlineStore:
    return RedisOnlineStore(Secret(own[0].replace("//", "//:hidden-word@")), project="p")


def _own_client(own: tuple[str, subprocess.Popen[bytes]]) -> Redis:
    return Redis.from_url(own[0].replace("//", "//:hidden-word@"))


def test_a_server_that_is_killed_and_comes_back(tmp_path: Path, own: tuple[str, subprocess.Popen[bytes]]) -> None:
    store = _opened(own)
    store.replace("v", [(b"k", b"1")], "1")
    with _own_client(own) as client:
        client.save()
    own[1].kill()
    own[1].wait()
    with pytest.raises(SystemFailed, match="LCH-3031"):
        store.get("v", 1, [b"k"])
    with pytest.raises(SystemFailed, match="LCH-3031"):
        store.replace("v", [], "")
    with private_server(tmp_path, "--requirepass", "hidden-word", port=int(own[0].split(":")[2].split("/")[0])):
        assert store.generation("v") == (1, "1")
        assert store.get("v", 1, [b"k"]) == [b"1"]
        assert store.change("v", 1, [(b"k", b"2")], "2") == 2
    store.close()


def test_a_connection_that_was_cut_is_made_anew_for_a_reader(own: tuple[str, subprocess.Popen[bytes]]) -> None:
    store = _opened(own)
    store.replace("v", [(b"k", b"1")], "1")
    with _own_client(own) as client:
        client.client_kill_filter(_type="normal", skipme=True)
        assert store.get("v", 1, [b"k"]) == [b"1"]
    store.close()


def test_a_server_whose_memory_is_full(own: tuple[str, subprocess.Popen[bytes]]) -> None:
    store = _opened(own)
    store.replace("v", [(b"k", b"old")], "old")
    with _own_client(own) as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 3_000_000)
        with pytest.raises(SystemFailed) as caught:
            store.replace("v", ((b"%d" % n, bytes(100_000)) for n in range(100)), "new")
        assert str(caught.value).startswith(
            f"LCH-3033: the Redis server's memory is full: the online store cannot be written\n  at {own[0]}\n  why: "
        )
        assert str(caught.value).endswith(
            "\n  fix: raise its maxmemory or remove what it need not hold, then run again: what was there is whole"
        )
        assert store.generation("v") == (1, "old")
        assert store.get("v", 1, [b"k"]) == [b"old"]
        client.config_set("maxmemory", 0)
    assert store.replace("v", [(b"k", b"new")], "new") == 2
    store.close()


def test_a_server_that_throws_keys_away_is_refused(own: tuple[str, subprocess.Popen[bytes]]) -> None:
    with _own_client(own) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(SystemFailed) as caught:
        _opened(own).generation("v")
    assert str(caught.value) == (
        "LCH-3034: the Redis server throws keys away when its memory is full, and a part of the features with them\n"
        f"  at {own[0]}\n  why: its maxmemory-policy is allkeys-lru\n"
        "  fix: set its maxmemory-policy to noeviction or volatile-lru, or name another server"
    )


def test_what_else_a_server_answers_is_told(own: tuple[str, subprocess.Popen[bytes]]) -> None:
    store = _opened(own)
    with _own_client(own) as client:
        client.execute_command("HSET", "lichen:p:views", "a", "b")
    with pytest.raises(SystemFailed) as caught:
        store.views()
    assert str(caught.value) == (
        f"LCH-3035: the Redis server cannot do what the online store asks\n  at {own[0]}\n"
        "  why: WRONGTYPE Operation against a key holding the wrong kind of value\n"
        "  fix: mend what it says; Lichen needs Redis 6 or newer, alone or with replicas, and no cluster"
    )
    store.close()


def test_states_of_a_newer_format_are_refused(prefix: str) -> None:
    with asked() as client:
        client.set(f"lichen:{prefix}:format", 99)
    with pytest.raises(SystemFailed) as caught:
        RedisOnlineStore(Secret(_url(prefix)), project="p").replace("v", [], "")
    assert str(caught.value) == (
        f"LCH-3014: the online store was written by a newer Lichen\n  at {ADDRESS}\n"
        "  why: its format is 99, this Lichen knows up to 1\n  fix: pip install --upgrade lichen"
    )


def test_what_is_asked_does_not_grow_with_the_view(own: tuple[str, subprocess.Popen[bytes]]) -> None:
    store = _opened(own)

    def calls(keys: int) -> int:
        store.drop("v")
        store.replace("v", ((b"%d" % n, b"1") for n in range(keys)), "1")
        with _own_client(own) as client:
            client.config_resetstat()
            store.change("v", 1, [(b"%d" % n, b"2") for n in range(10)], "2")
            store.change("v", 2, [(b"%d" % n, b"3") for n in range(10)], "3")
            done = client.info("commandstats")
        return sum(found["calls"] for name, found in done.items() if not name.startswith("cmdstat_config"))

    calls(10)  # the first time the scripts are not known
    assert calls(100) == calls(10_000)
    store.close()


def test_threads_share_a_store(store: RedisOnlineStore) -> None:
    store.replace("v", [(b"%d" % n, b"%d" % n) for n in range(100)], "1")
    wrong: list[int] = []

    def read(start: int) -> None:
        for n in range(start, start + 300):
            wrong.extend([n] * (store.get("v", 1, [b"%d" % (n % 100)]) != [b"%d" % (n % 100)]))

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
