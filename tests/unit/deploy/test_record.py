import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from urllib.parse import urlsplit

import pytest

from lichen.deploy.answer import Answer
from lichen.deploy.record import Record
from lichen.deploy.segment import MAGIC, Heading, numbers, path_of, read, record_of
from lichen.errors import SystemFailed
from lichen.ground import failpoint


def answer(number, size=0):
    return Answer(f"id{number}", number, 2, 3, False, 0.5, ("x" * size,), (1.0,))


def names(folder):
    return [recorded.answer.prediction_id for _, recorded in read(folder)]


@pytest.fixture
def heading(standing):
    return Heading.of(standing.deployed())


def test_what_was_flushed_is_readable_while_the_record_is_open(tmp_path, heading):
    record = Record(tmp_path, heading, 10_000)
    record.append([answer(1), answer(2)])
    assert record.waiting_bytes > 0
    record.flush()
    assert record.waiting_bytes == 0
    assert names(tmp_path) == ["id1", "id2"]
    record.append([answer(3)])
    record.close()
    record.close()
    assert names(tmp_path) == ["id1", "id2", "id3"]
    with pytest.raises(ValueError, match="the record is closed"):
        record.append([answer(4)])


def test_answers_are_synced_by_themselves(tmp_path, heading):
    record = Record(tmp_path, heading, 5)
    record.append([answer(1)])
    assert names(tmp_path) == ["id1"]
    until = time.monotonic() + 10
    while record.waiting_bytes and time.monotonic() < until:
        time.sleep(0.005)
    assert record.waiting_bytes == 0
    record.close()


def test_each_opening_begins_a_segment_and_a_full_one_is_followed(tmp_path, heading):
    for opening in range(2):
        record = Record(tmp_path, heading, 1, segment_bytes=2000)
        for number in range(10):
            record.append([answer(opening * 10 + number, size=500)])
            record.flush()
        record.close()
    assert names(tmp_path) == [f"id{number}" for number in range(20)]
    assert len(numbers(tmp_path)) > 4


def test_many_threads_lose_nothing_though_the_queue_is_small(tmp_path, heading):
    record = Record(tmp_path, heading, 1, waiting_bytes=500)

    def work(first):
        for number in range(200):
            record.append([answer(first + number)])

    threads = [threading.Thread(target=work, args=(start * 1000,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record.close()
    assert sorted(names(tmp_path)) == sorted(f"id{s * 1000 + n}" for s in range(4) for n in range(200))


def test_a_torn_tail_is_moved_aside_at_opening(tmp_path, heading):
    record = Record(tmp_path, heading, 1)
    record.append([answer(1), answer(2)])
    record.close()
    path = path_of(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-3])
    again = Record(tmp_path, heading, 1)
    again.append([answer(3)])
    again.close()
    assert names(tmp_path) == ["id1", "id3"]
    assert again.torn_bytes == path.with_suffix(".torn").stat().st_size > 0


def test_a_segment_torn_at_birth_is_no_damage(tmp_path, heading):
    path_of(tmp_path, 1).write_bytes(b"LICH")
    Record(tmp_path, heading, 1).close()
    Record(tmp_path, heading, 1).close()
    assert names(tmp_path) == []


def test_a_segment_of_another_version_is_refused_and_left_as_it_is(tmp_path, heading):
    record = Record(tmp_path, heading, 1)
    record.append([answer(1)])
    record.close()
    path = path_of(tmp_path, 1)
    content = b"LICHEN\x00\x09" + path.read_bytes()[8:]
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(SystemFailed) as failed:
            Record(tmp_path, heading, 1)
        assert str(failed.value) == (
            "LCH-1833: the record of answers was written by another version of Lichen\n"
            f"  at {path}\n"
            f"  why: it begins with {content[:8]!r}, this version writes {MAGIC!r}\n"
            "  fix: go on with the version that wrote it; where none did, the file is damaged: restore it from a copy"
        )
    assert path.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "lock"]


def test_one_flipped_bit_costs_no_answer_behind_it(tmp_path, heading):
    record = Record(tmp_path, heading, 1)
    record.append([answer(number) for number in range(100)])
    record.close()
    path = path_of(tmp_path, 1)
    positions = [position.offset for position, _ in read(tmp_path)]
    content = bytearray(path.read_bytes())
    content[positions[47] + 15] ^= 1
    path.write_bytes(content)
    with pytest.raises(SystemFailed) as failed:
        Record(tmp_path, heading, 1)
    assert str(failed.value) == (
        f"LCH-1830: the record of answers is damaged at byte {positions[47]}\n"
        f"  at {path}\n"
        f"  why: a frame's checksum does not fit its content, and a whole answer follows at byte {positions[48]}\n"
        "  fix: restore the file from a copy; without one, keep it aside and cut it at that byte: "
        "the answers before stay, those behind are lost"
    )
    assert path.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "lock"]
    path.write_bytes(content[: positions[47]])
    Record(tmp_path, heading, 1).close()
    assert names(tmp_path) == [f"id{number}" for number in range(48)]


def test_a_folder_has_one_record_id_and_one_begun_anew_another(tmp_path, heading):
    for number in range(2):
        record = Record(tmp_path, heading, 1)
        record.append([answer(number)])
        record.close()
    first, last = (position for position, _ in read(tmp_path))
    assert first.record == last.record == record.heading.record == record_of(tmp_path)
    for number in numbers(tmp_path):
        path_of(tmp_path, number).unlink()
    for number in range(3):
        record = Record(tmp_path, heading, 1)
        record.append([answer(number)])
        record.close()
    with pytest.raises(SystemFailed) as failed:
        list(read(tmp_path, last))
    assert str(failed.value) == (
        "LCH-1831: the folder was begun anew: it is not the record that was read\n"
        f"  at {tmp_path}\n"
        f"  why: it holds record `{record_of(tmp_path)}`, the position is one of record `{last.record}`\n"
        "  fix: put the record's folder back as it was, and what is in this one beside it under another name: "
        "both are read then"
    )


def test_two_processes_do_not_record_in_one_folder(tmp_path, heading):
    record = Record(tmp_path, heading, 1)
    with pytest.raises(SystemFailed) as failed:
        Record(tmp_path, heading, 1)
    assert str(failed.value) == (
        f"LCH-1832: another process records answers there\n  at {tmp_path}\n"
        "  why: the same service is being served already\n  fix: stop it, or serve another service"
    )
    record.close()


def test_a_folder_that_cannot_be_is_told(tmp_path, heading):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemFailed) as failed:
        Record(tmp_path / "file", heading, 1)
    assert str(failed.value).startswith("LCH-3002: cannot open the record of answers")


WITH_FAILPOINTS = """
import sys
from pathlib import Path
from lichen.deploy.answer import Answer
from lichen.deploy.record import Record
from lichen.deploy.segment import Heading
from lichen.errors import SystemFailed
from lichen.ground import failpoint
record = Record(Path(sys.argv[1]), Heading("s", "m", "v", 1, (), ()), 1)
failures = 0
for number in range(5):
    while True:
        try:
            record.append([Answer(f"id{number}", 1, 2, 3, None, 0.5, (), ())])
            break
        except SystemFailed:
            failures += 1
    try:
        record.flush()
    except SystemFailed as failed:
        failures += 1
        assert failed.code in ("LCH-3001", "LCH-3002"), failed
    print(f"id{number}", flush=True)
record.close()
print("failures", failures > 0)
"""


@pytest.mark.parametrize("point", ["record.appended", "record.synced"])
@pytest.mark.parametrize("action", ["kill", "enospc", "eio"])
@pytest.mark.parametrize("passage", [1, 3])
def test_at_every_failpoint_nothing_acknowledged_is_lost(tmp_path, heading, point, action, passage):
    environment = {**os.environ, "LICHEN_FAILPOINTS": f"{point}={action}@{passage}"}
    script = textwrap.dedent(WITH_FAILPOINTS)
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = ran.stdout.split()
    acknowledged = [word for word in said if word.startswith("id")]
    if action == "kill":
        assert ran.returncode == -signal.SIGKILL
    elif passage > 1:
        assert ran.returncode == 0, ran.stderr
        assert said[-1] == "True"
    else:
        assert "cannot open the record of answers" in ran.stderr
    Record(tmp_path, heading, 1).close()
    kept = names(tmp_path)
    assert set(acknowledged) <= set(kept)
    if action != "kill" and passage > 1:
        assert set(kept) == {f"id{number}" for number in range(5)}


def test_a_short_write_is_cut_back_and_written_again(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (400, resource.RLIM_INFINITY))\n"
    ran = subprocess.run(
        [sys.executable, "-c", limit + WITH_FAILPOINTS.replace("0.5, (), ()", '0.5, ("x" * 90,), ()'), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[-1] == "True"
    assert len(numbers(tmp_path)) > 1
    assert names(tmp_path) == [f"id{number}" for number in range(5)]


def test_a_file_cut_below_what_was_synced_is_damage_not_silence(tmp_path):
    environment = {**os.environ, "LICHEN_FAILPOINTS": "record.appended=short@3"}
    script = textwrap.dedent(WITH_FAILPOINTS)
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, capture_output=True, timeout=60, check=False
    )
    with pytest.raises(SystemFailed, match="the record of answers is damaged at byte"):
        names(tmp_path)


def ask_until_it_dies(url, first, acknowledged):
    """Ask over one connection until the server is gone; note when each answer came."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as line:
        number = first
        while True:
            body = json.dumps({"carrier": "UA", "prediction_id": f"r{number}"}).encode()
            head = f"POST /predict HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
            try:
                line.sendall(head.encode() + body)
                got = b""
                while not got.endswith(b"}"):
                    piece = line.recv(65536)
                    if not piece:
                        return
                    got += piece
            except OSError:
                return
            assert got.startswith(b"HTTP/1.1 200"), got
            acknowledged[f"r{number}"] = time.monotonic()
            number += 1


def test_kill_nine_loses_no_answer(tmp_path, start):
    durable, acknowledged, safe = 0.02, {}, set()
    for round_ in range(10):
        child = start(tmp_path, "--durable-ms", str(int(durable * 1000)))
        with child:
            asking = threading.Thread(target=ask_until_it_dies, args=(child.url, round_ * 1_000_000, acknowledged))
            asking.start()
            time.sleep(0.1 + 0.037 * round_)
            killed = time.monotonic()
            os.kill(child.process.pid, signal.SIGKILL)
            asking.join()
        safe |= {name for name, when in acknowledged.items() if when < killed - durable}
    kept = names(tmp_path / "record")
    lost = safe - set(kept)
    print(
        f"10 kills: {len(acknowledged)} acknowledged, {len(safe)} older than durable_ms, {len(lost)} of them lost, "
        f"{len(kept) - len(set(kept))} twice, {len(set(acknowledged) - set(kept))} younger ones lost"
    )
    assert len(safe) > 1000
    assert not lost
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))


def test_after_a_power_cut_the_record_opens_and_what_is_behind_a_hole_is_kept_aside(tmp_path, heading):
    record = Record(tmp_path, heading, 1)
    record.append([answer(number) for number in range(1000)])
    record.close()
    path = path_of(tmp_path, 1)
    content = path.read_bytes()
    path.write_bytes(content[:8192] + bytes(4096) + content[12288:])
    path_of(tmp_path, 2).write_bytes(bytes(4096))
    with pytest.raises(SystemFailed, match="and newer segments follow"):
        names(tmp_path)
    path_of(tmp_path, 2).unlink()
    again = Record(tmp_path, heading, 1)
    again.append([answer(5000)])
    again.close()
    *before, last = names(tmp_path)
    assert (before, last) == ([f"id{number}" for number in range(len(before))], "id5000")
    assert content[12288:] in path.with_suffix(".torn").read_bytes()
    assert again.torn_bytes == len(content) - path.stat().st_size


def test_answers_of_several_releases_stand_in_one_segment(tmp_path, standing):
    first, second = (Heading.of(standing.deployed(release=release)) for release in (7, 8))
    record = Record(tmp_path, first, 1)
    for number, heading in enumerate([first, first, second, first, None, second]):
        record.append([answer(number)], heading)
    record.close()
    assert [each.heading.release for _, each in read(tmp_path)] == [7, 7, 8, 7, 7, 8]
    for position, after in read(tmp_path):
        rest = [each.answer.prediction_id for _, each in read(tmp_path, position)]
        assert rest == [f"id{n}" for n in range(int(after.answer.prediction_id[2:]) + 1, 6)]


@pytest.mark.parametrize("point", ["record.synced", "record.appended"])
def test_where_the_disk_fails_each_answer_keeps_its_release(tmp_path, standing, point, monkeypatch):
    headings = [Heading.of(standing.deployed(release=release)) for release in (7, 8)]
    record = Record(tmp_path, headings[0], 1)
    for number in range(40):
        if number % 10 == 5:
            monkeypatch.setattr(failpoint, "_armed", failpoint._parse(f"{point}=eio"))
        for _ in range(1000):
            try:
                record.append([answer(number)], headings[number // 3 % 2])
                break
            except SystemFailed:
                time.sleep(0.005)
    while record.waiting_bytes or record.failure:
        time.sleep(0.005)
    record.close()
    found = {each.answer.prediction_id: each.heading.release for _, each in read(tmp_path)}
    assert found == {f"id{n}": 7 + n // 3 % 2 for n in range(40)}


def test_who_waits_for_the_disk_shares_its_syncs(tmp_path, heading):
    record = Record(tmp_path, heading, 0)

    async def one(number):
        await record.on_disk(record.append([answer(number)]))
        assert record.waiting_bytes == 0 or record._synced > 0

    async def all_of_them():
        await asyncio.gather(*map(one, range(200)))

    asyncio.run(all_of_them())
    assert record.waiting_bytes == 0
    record.close()


def test_who_waits_for_a_disk_that_fails_is_told(tmp_path, heading, monkeypatch):
    record = Record(tmp_path, heading, 0)
    monkeypatch.setattr(failpoint, "_armed", failpoint._parse("record.synced=eio"))

    async def one():
        await record.on_disk(record.append([answer(0)]))

    with pytest.raises(SystemFailed):
        asyncio.run(one())
    record.close()
