"""What a plain word in YAML means: YAML 1.2, so that `NO` is a word, `1:30` no number and `1e-3` one."""

from __future__ import annotations

import re

_NULL = frozenset(["", "~", "null", "Null", "NULL"])
_BOOLEAN = {text: value for value in (True, False) for text in (str(value), str(value).lower(), str(value).upper())}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+|\.[0-9]+[eE][-+]?[0-9]+)")
_NOT_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF|nan|NaN|NAN)")


def plain(text: str) -> str | int | float | bool | None:
    """The value of an unquoted word; what YAML 1.1 would guess at (dates, octal, base 60, yes and no) stays text.

    >>> plain("7"), plain("1e-3"), plain("true"), plain("~")
    (7, 0.001, True, None)
    >>> plain("NO"), plain("007"), plain("1:30"), plain("2013-01-01")
    ('NO', '007', '1:30', '2013-01-01')
    """
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    odd = _NOT_FINITE.fullmatch(text)
    return float(odd[1] + odd[2]) if odd else text
