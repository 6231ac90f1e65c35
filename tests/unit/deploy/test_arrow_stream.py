import base64
import io
import random
import zlib
from datetime import UTC, date, datetime
from decimal import Decimal

import nanoarrow.ipc
import pytest
from arro3.core import Array, DataType, Table, fixed_size_list_array, list_array

from lichen.deploy.arrow_stream import columns_of
from lichen.deploy.refused import Refused


def stream(table):
    out = io.BytesIO()
    with nanoarrow.ipc.StreamWriter.from_writable(out) as writer:
        writer.write_stream(table)
    return out.getvalue()


def table(**columns):
    arrays = [one if isinstance(one, Array) else Array(*one) for one in columns.values()]
    return Table.from_arrays(arrays, names=list(columns))


INSTANT = Array([0, 1_500_000, None], type=DataType.int64())
MIXED = table(
    text=(["a", None, "é€𝄞"], DataType.utf8()),
    large=(["a", None, ""], DataType.large_utf8()),
    whole=([1, None, -(2**31)], DataType.int32()),
    big=([2**64 - 1, 0, None], DataType.uint64()),
    number=([1.5, None, -0.0], DataType.float64()),
    single=([0.5, None, 2.0], DataType.float32()),
    flag=([True, None, False], DataType.bool()),
    at=INSTANT.cast(DataType.timestamp("us", tz="UTC")),
    local=INSTANT.cast(DataType.timestamp("ms")),
    day=Array([0, None, 16000], type=DataType.int32()).cast(DataType.date32()),
    price=Array(["1.50", None, "-2.25"], type=DataType.utf8()).cast(DataType.decimal128(10, 2)),
    vector=fixed_size_list_array(Array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], type=DataType.float32()), 2),
)


def test_every_type_that_is_read():
    columns, rows = columns_of(stream(MIXED), 10)
    assert rows == 3
    assert columns == {
        "text": ["a", None, "é€𝄞"],
        "large": ["a", None, ""],
        "whole": [1, None, -(2**31)],
        "big": [2**64 - 1, 0, None],
        "number": [1.5, None, 0.0],
        "single": [0.5, None, 2.0],
        "flag": [True, None, False],
        "at": [datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC), None],
        "local": [datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 25), None],  # noqa: DTZ001 - a local time
        "day": [date(1970, 1, 1), None, date(2013, 10, 22)],
        "price": [Decimal("1.50"), None, Decimal("-2.25")],
        "vector": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    }


def test_batches_follow_each_other():
    many = Table.from_batches([*MIXED.select(["text"]).to_batches(), *MIXED.select(["text"]).to_batches()])
    columns, rows = columns_of(stream(many), 6)
    assert (rows, columns["text"][3:]) == (6, ["a", None, "é€𝄞"])
    with pytest.raises(Refused) as refused:
        columns_of(stream(many), 5)
    assert (refused.value.status, refused.value.code) == (413, "LCH-1824")


def test_what_no_request_can_hold_is_no_value_of_any_column():
    odd = table(at=Array([2**62, 1], type=DataType.int64()).cast(DataType.timestamp("ns")))
    columns, _ = columns_of(stream(odd), 10)
    assert repr(columns["at"][1]) == "an instant beyond the years 1 to 9999, or finer than a microsecond"


LIST = list_array(Array([0, 1], type=DataType.int32()), Array([1.0], type=DataType.float64()))


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (Array([b"a"], type=DataType.binary()), "the column 'x' of the type binary"),
        (
            list_array(Array([0, 1], type=DataType.int32()), Array([1], type=DataType.int64())),
            "the column 'x' of the type list",
        ),
    ],
)
def test_a_type_that_is_not_read_is_named(column, why):
    with pytest.raises(Refused) as refused:
        columns_of(stream(table(x=column)), 10)
    assert (refused.value.status, refused.value.code, refused.value.field) == (415, "LCH-1872", "x")
    assert refused.value.what == f"the Arrow stream holds {why}, which is not read here"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it does not begin with a schema"),
        (b"PAR1", "a message does not begin as one"),
        (b'{"rows": []}', "a message does not begin as one"),
        (b"\xff\xff\xff\xff", "it is damaged"),
        (b"\xff\xff\xff\xff\x10\x00\x00\x00abc", "it is cut short"),
        (b"\xff\xff\xff\xff\x00\x00\x00\x00", "it does not begin with a schema"),
    ],
)
def test_rubbish_is_told(body, why):
    with pytest.raises(Refused) as refused:
        columns_of(body, 10)
    assert (refused.value.status, refused.value.code) == (400, "LCH-1871")
    assert refused.value.what == f"the body is no Arrow stream: {why}"


def damaged(whole, chance):
    """A stream with a few bytes changed, or its end cut off."""
    body = bytearray(whole)
    if chance.random() < 0.2:
        return bytes(body[: chance.randrange(len(body))])
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(body))
        if chance.random() < 0.5:
            body[at] = chance.randrange(256)
        else:
            at &= ~7
            body[at : at + 8] = chance.choice([0, 2**31 - 1, 2**40, 2**62, 2**64 - 1]).to_bytes(8, "little")
    return bytes(body)


def test_no_damage_is_more_than_refused():
    chance, wholes = (
        random.Random(7),
        [stream(MIXED), stream(MIXED.select(["text", "at", "vector"])), unpacked(VIEWS)],
    )
    read = refused = 0
    for _ in range(3000):
        try:
            columns, rows = columns_of(damaged(chance.choice(wholes), chance), 100)
        except Refused:
            refused += 1
        else:
            assert all(len(column) == rows for column in columns.values())
            read += 1
    print(f"\n{read} read, {refused} refused")
    assert min(read, refused) > 100


# Streams that pyarrow wrote, packed: what the writer used here cannot write.
VIEWS = (
    "c-n1H%L>9U5S-Gq775aWNDm%z5WITybF2`oP+Dn&*1z%(<8HcDDGnsFvpc(ac<=oUKn}(d8YvQF6cHjt8l*DXmF$$JwGKUN%B5HY"
    "S1vQ6g1Hbc#6JYBJ~=wpzhn+WV<RW)Fb%Q7mgs~DE7G~#LX#S6JGpy|FCtkJ<~4*jjW`G&h4(XWJnKt-xUbsI;XimzX`G!j$AdGj"
    "DxJCZrf!>y?N~O(J#2lq=KOTF5C6jcH+TOdhy"
)
DICT = (
    "c-oCm!41MN47{{%8=*Y<s8Am~7=#A{umnuO2s{~sA=oXP9n(?-h^t)3_FZz$Ip-^Y9*PwbS~Q3}5kVkKcXBib#$eo$j20c)Jv&7k"
    "8lCMK8-}1jHD^ZTr(OLgs}rNMT4`IG%B16y`R4DzG=n=!rbi_<8+~3Jm;0Z)jAV*W4&JXYqsDh6&%NhYU3jZM^^d1{kIQ0@^>U9|"
    "Y==1Avh=<C;Jf<aJO1fYed+lD7?c|_"
)
ZSTD = (
    "c-nPPF%H5o5OdTtjY@_N9Y8{;LkBjbya0y&gZ_Y#XR+`+6rAK}qe@uHIlegOv>}A>0MH?#g@Zv2%N?OKHK;7BmdZ9)pYHVR88pe&"
    "$qZFT-isIFe<rP$9%I8x=0rH&$jL5EL#1&fU9rO9#0<T7?p&i}DU>kuG^{zk!haluhmHQdTW$PS`24<n27AlGujjrz_Y;51JS$At"
    "72h5C3*ZD7j{"
)


def unpacked(text):
    return zlib.decompress(base64.b85decode(text))


def test_views_of_texts_are_read():
    columns, _ = columns_of(unpacked(VIEWS), 10)
    assert columns == {"x": ["short", None, "a text that is longer than twelve bytes"]}


@pytest.mark.parametrize(
    ("text", "what"), [(DICT, "the dictionary of the column 'x': cast it to plain values"), (ZSTD, "a compressed body")]
)
def test_dictionaries_and_compressed_bodies_are_named(text, what):
    with pytest.raises(Refused) as refused:
        columns_of(unpacked(text), 10)
    assert refused.value.what == f"the Arrow stream holds {what}, which is not read here"
