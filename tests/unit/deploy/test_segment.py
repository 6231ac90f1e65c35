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
    whole,
)
from lichen.errors import SystemFailed


def answer(name):
    return Answer(name, 1, 2, 3, None, 0.5, ("UA", None), (1.0,))


@pytest.fixture
def heading(standing):
    return Heading.of(standing.deployed())


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
    assert whole(path.read_bytes()) == len(content)


def test_every_flipped_byte_is_found(folder):
    path = path_of(folder, 2)
    content = bytearray(path.read_bytes())
    start = len(content) - len(frame(answer("2-2")))
    for at in range(start, len(content)):
        content[at] ^= 0x41
        assert whole(bytes(content)) == start
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
        "  fix: restore the file from a copy; without one, move it away: the answers from that byte on are lost"
    )


def test_what_was_read_may_be_discarded_and_reading_goes_on(folder):
    positions = [position for position, _ in read(folder)]
    assert discard(folder, positions[1]) == 0
    assert discard(folder, positions[2]) == 1
    assert numbers(folder) == [2]
    assert names(folder, positions[2]) == ["2-2"]


def test_a_record_that_was_reset_is_not_taken_for_a_quiet_one(folder):
    with pytest.raises(SystemFailed) as failed:
        names(folder, Position(3, 100))
    assert str(failed.value) == (
        "LCH-1831: the record of answers ends before the position up to which it was read\n"
        f"  at {folder}\n"
        "  why: segment 3 was read, the last one there is 2\n"
        "  fix: put the record's folder back as it was; answers recorded since would not be seen"
    )
    with pytest.raises(SystemFailed, match="ends before the position"):
        names(folder / "none", Position(1, 8))
