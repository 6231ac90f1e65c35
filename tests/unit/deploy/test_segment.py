import random
import time
import zlib

import msgspec
import pytest

from lichen.deploy.answer import Answer
from lichen.deploy.segment import (
    MAGIC,
    Heading,
    Position,
    discard,
    frame,
    numbers,
    path_of,
    read,
    record_of,
    whole,
)
from lichen.errors import SystemFailed


def answer(name):
    return Answer(name, 1, 2, 3, None, 0.5, ("UA", None), (1.0,))


@pytest.fixture
def heading(standing):
    return msgspec.structs.replace(Heading.of(standing.deployed()), record="a1")


@pytest.fixture
def folder(tmp_path, heading):
    """Two segments of two answers each."""
    for number in (1, 2):
        frames = [frame(answer(f"{number}-{n}")) for n in (1, 2)]
        path_of(tmp_path, number).write_bytes(MAGIC + frame(heading) + b"".join(frames))
    return tmp_path


def names(folder, after=None):
    return [recorded.answer.prediction_id for _, recorded in read(folder, after)]


def test_all_is_read_in_order_with_its_heading(folder, heading):
    assert names(folder) == ["1-1", "1-2", "2-1", "2-2"]
    assert all(recorded.heading == heading for _, recorded in read(folder))
    assert next(iter(read(folder)))[1].answer == answer("1-1")


def test_from_every_position_exactly_the_rest_is_read(folder):
    positions = [position for position, _ in read(folder)]
    for at, position in enumerate(positions):
        assert names(folder, Position.parse(str(position))) == ["1-1", "1-2", "2-1", "2-2"][at + 1 :]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert names(tmp_path / "none") == []


@pytest.mark.parametrize("lost", range(1, 40))
def test_a_torn_end_of_the_last_segment_ends_the_reading(folder, lost):
    path = path_of(folder, 2)
    path.write_bytes(path.read_bytes()[:-lost])
    assert names(folder) == ["1-1", "1-2", "2-1", "2-2"][: 4 - -(-lost // len(frame(answer("2-2"))))]


def test_zeros_after_the_last_frame_are_no_frames(folder):
    path = path_of(folder, 2)
    content = path.read_bytes()
    path.write_bytes(content + bytes(4096))
    assert names(folder) == ["1-1", "1-2", "2-1", "2-2"]
    assert whole(path, path.read_bytes()) == len(content)


def test_every_flipped_byte_is_found(folder):
    path = path_of(folder, 2)
    content = bytearray(path.read_bytes())
    start = len(content) - len(frame(answer("2-2")))
    for at in range(start, len(content)):
        content[at] ^= 0x41
        assert whole(path, bytes(content)) == start
        content[at] ^= 0x41


def test_damage_in_an_older_segment_names_file_and_byte(folder):
    path = path_of(folder, 1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    begin = len(content) - len(frame(answer("1-2")))
    with pytest.raises(SystemFailed) as failed:
        names(folder)
    assert str(failed.value) == (
        f"LCH-1830: the record of answers is damaged at byte {begin}\n"
        f"  at {path}\n"
        "  why: a frame's checksum does not fit its content, and newer segments follow\n"
        "  fix: restore the file from a copy; without one, keep it aside and cut it at that byte: "
        "the answers before stay, those behind are lost"
    )
    path.write_bytes(content[:begin])
    assert names(folder) == ["1-1", "2-1", "2-2"]


def test_damage_before_whole_answers_of_the_last_segment_is_no_torn_end(folder, heading):
    path = path_of(folder, 2)
    content = bytearray(path.read_bytes())
    length = len(frame(answer("2-2")))
    last, begin = len(content) - length, len(content) - 2 * length
    content[begin + 20] ^= 1
    path.write_bytes(content)
    reading = read(folder)
    assert [next(reading)[1].answer.prediction_id for _ in range(2)] == ["1-1", "1-2"]
    with pytest.raises(SystemFailed) as failed:
        next(reading)
    assert str(failed.value) == (
        f"LCH-1830: the record of answers is damaged at byte {begin}\n"
        f"  at {path}\n"
        f"  why: a frame's checksum does not fit its content, and a whole answer follows at byte {last}\n"
        "  fix: restore the file from a copy; without one, keep it aside and cut it at that byte: "
        "the answers before stay, those behind are lost"
    )
    assert path.read_bytes() == content


def test_every_flipped_byte_behind_the_format_is_damage_where_answers_follow(folder, heading):
    path = path_of(folder, 2)
    content = bytearray(path.read_bytes())
    last = len(content) - len(frame(answer("2-2")))
    for torn in (b"", b"torn"):
        for at in range(len(MAGIC), last):
            content[at] ^= 0x41
            with pytest.raises(SystemFailed, match=f"follows at byte ({last}|{2 * last - len(content)})"):
                whole(path, bytes(content) + torn)
            content[at] ^= 0x41


def test_a_checksum_that_fits_by_chance_is_no_answer(folder, heading):
    path = path_of(folder, 2)
    content = path.read_bytes()
    assert whole(path, content + b"torn" + frame(heading)) == len(content)


@pytest.mark.parametrize("seed", range(3))
def test_a_long_torn_end_of_anything_is_scanned_in_little_time(folder, seed):
    path = path_of(folder, 2)
    content = path.read_bytes()
    size = 4 << 20
    begins = frame(answer("x"))[8:9]
    ends = [
        random.Random(seed).randbytes(size),
        bytes(size),
        (b"\x00\x00\x10\x00" + begins + b"\xa1\xff") * (size // 7),
    ]
    ends += [begins + b"\xa0\x01\x01\x01\xc0\xca\x00\x00\x00\x00" + b"\x91" * 100_000]
    began = time.monotonic()
    for end in ends:
        assert whole(path, content + b"\xff\x00\x01\x00" + end) == len(content)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("begins", [b"LICHEN\x00\x01", b"hello"])
def test_a_segment_of_another_version_is_never_taken_for_an_empty_one(folder, number, begins):
    path = path_of(folder, number)
    content = begins + path.read_bytes()[8:] if len(begins) == 8 else begins
    path.write_bytes(content)
    with pytest.raises(SystemFailed) as failed:
        names(folder)
    assert str(failed.value) == (
        "LCH-1833: the record of answers was written by another version of Lichen\n"
        f"  at {path}\n"
        f"  why: it begins with {begins!r}, this version writes {MAGIC!r}\n"
        "  fix: go on with the version that wrote it; where none did, the file is damaged: restore it from a copy"
    )
    assert path.read_bytes() == content


@pytest.mark.parametrize("size", range(9))
def test_a_beginning_of_the_format_is_a_torn_segment(folder, size):
    path_of(folder, 3).write_bytes(MAGIC[:size])
    assert names(folder) == ["1-1", "1-2", "2-1", "2-2"]
    assert record_of(folder) == "a1"


def test_a_position_of_another_record_finds_nothing_and_deletes_nothing(folder):
    for act in (names, discard):
        with pytest.raises(SystemFailed) as failed:
            act(folder, Position(2, 8, "b2"))
        assert str(failed.value) == (
            "LCH-1831: the folder was begun anew: it is not the record that was read\n"
            f"  at {folder}\n"
            "  why: it holds record `a1`, the position is one of record `b2`\n"
            "  fix: put the record's folder back as it was, and what is in this one beside it under another name: "
            "both are read then"
        )
    assert numbers(folder) == [1, 2]


def test_segments_of_two_records_in_one_folder_are_told(folder, heading):
    path_of(folder, 3).write_bytes(MAGIC + frame(msgspec.structs.replace(heading, record="b2")))
    with pytest.raises(SystemFailed) as failed:
        names(folder)
    assert failed.value.code == "LCH-1831"
    assert failed.value.why == "segment 3 is of record `b2`, those before of `a1`"


def test_what_was_read_may_be_discarded_and_reading_goes_on(folder):
    positions = [position for position, _ in read(folder)]
    assert discard(folder, positions[1]) == 0
    assert discard(folder, positions[2]) == 1
    assert numbers(folder) == [2]
    assert names(folder, positions[2]) == ["2-2"]


def test_a_record_that_was_reset_is_not_taken_for_a_quiet_one(folder):
    with pytest.raises(SystemFailed) as failed:
        names(folder, Position(3, 100, "a1"))
    assert str(failed.value) == (
        "LCH-1831: the record of answers ends before the position up to which it was read\n"
        f"  at {folder}\n"
        "  why: segment 3 was read, the last one there is 2\n"
        "  fix: put the record's folder back as it was; answers recorded since would not be seen"
    )
    with pytest.raises(SystemFailed, match="ends before the position"):
        names(folder / "none", Position(1, 8, "a1"))


@pytest.mark.parametrize("block", [512, 4096])
def test_a_hole_of_a_power_cut_is_a_torn_end_though_answers_stand_behind_it(folder, heading, block):
    path = path_of(folder, 2)
    content = MAGIC + frame(heading) + b"".join(frame(answer(f"{number:04}")) for number in range(1000))
    for start in (block, 3 * block):
        torn = content[:start] + bytes(block) + content[start + block :]
        end = whole(path, torn)
        assert 0 < start - end < len(frame(answer("0000"))) or end < start == block
        path.write_bytes(torn)
        read_of_it = [name for name in names(folder) if "-" not in name]
        assert read_of_it == [f"{number:04}" for number in range(len(read_of_it))]
    flipped = bytearray(content)
    flipped[3 * block] ^= 1
    with pytest.raises(SystemFailed, match="a whole answer follows"):
        whole(path, bytes(flipped))


def test_a_segment_that_reads_as_zeros_was_torn_at_birth(folder, heading):
    path_of(folder, 3).write_bytes(bytes(5000))
    assert names(folder) == ["1-1", "1-2", "2-1", "2-2"]
    path_of(folder, 3).write_bytes(bytes(len(MAGIC)) + frame(heading))
    assert names(folder) == ["1-1", "1-2", "2-1", "2-2"]
    assert record_of(folder) == "a1"


OLD = b"\x98\xa2id\x01\x02\x03\xc0\xcb?\xe0\x00\x00\x00\x00\x00\x00\x92\xa2UA\xc0\x91\xcb?\xf0\x00\x00\x00\x00\x00\x00"
"""An answer's content as it was before answers said what a score means: eight fields."""


def framed(body):
    size = len(body).to_bytes(4, "little")
    return size + zlib.crc32(body, zlib.crc32(size)).to_bytes(4, "little") + body


def test_answers_of_an_earlier_version_are_read(tmp_path, heading):
    later = msgspec.structs.replace(answer("new"), probability=0.25, interval=(1.0, 2.0))
    path_of(tmp_path, 1).write_bytes(MAGIC + frame(heading) + framed(OLD) + frame(later))
    old, new = [recorded.answer for _, recorded in read(tmp_path)]
    assert (old, old.probability, old.interval) == (answer("id"), None, None)
    assert new == later
    assert msgspec.msgpack.encode(old) != OLD  # what is written now has more fields


def test_a_whole_answer_of_an_earlier_version_behind_damage_is_damage(tmp_path, heading):
    torn = MAGIC + frame(heading) + b"\x01" * 40 + framed(OLD)
    path_of(tmp_path, 1).write_bytes(torn)
    with pytest.raises(SystemFailed, match="a whole answer follows"):
        whole(path_of(tmp_path, 1), torn)
