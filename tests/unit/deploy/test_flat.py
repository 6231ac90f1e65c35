import struct

import pytest

from lichen.deploy.flat import Flat, MalformedError


def table(*fields, size=None):
    """A buffer of one table with fields of four bytes."""
    entries = [4 + 4 * at for at in range(len(fields))]
    vtable = struct.pack("<HH", size or 4 + 2 * len(entries), 4 + 4 * len(fields)) + struct.pack(
        f"<{len(entries)}H", *entries
    )
    vtable += b"\0" * (-len(vtable) % 4)
    at = 4 + len(vtable)
    return struct.pack("<I", at) + vtable + struct.pack("<i", len(vtable)) + b"".join(fields)


def test_fields_by_their_number():
    flat = Flat.root(table(struct.pack("<i", -7), struct.pack("<I", 3)))
    assert (flat.whole(0), flat.whole(1), flat.whole(2, 9), flat.has(0), flat.has(2)) == (-7, 3, 9, True, False)
    assert (flat.text(5), flat.table(5), flat.tables(5, 1), flat.pairs(5), flat.longs(5)) == ("", None, [], [], [])


@pytest.mark.parametrize("buffer", [b"", b"\0" * 7, b"\xff" * 40, struct.pack("<Ii", 4, 2**31 - 1) * 4])
def test_positions_outside_are_refused(buffer):
    with pytest.raises(MalformedError):
        Flat.root(buffer)


def test_a_vector_longer_than_the_buffer_is_refused():
    flat = Flat.root(table(struct.pack("<I", 4), struct.pack("<I", 2**31)))
    for take in (flat.pairs, flat.longs, flat.text):
        with pytest.raises(MalformedError, match="a message is cut short"):
            take(0)
