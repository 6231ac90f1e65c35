"""One thing that is wrong with what the user wrote, in words that fit the file: what pydantic found, retold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lichen.errors import FoundWrong, LichenError, did_you_mean, nearest
from lichen.spec.files import Place, SpecFile
from lichen.spec.source import Source
from lichen.spec.words import Spec

_QUOTED = re.compile(r"`(\w+)")

_RIGHT = {
    "string_type": "it must be a text",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_parsing_size": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "list_type": "it must be a list: `[a, b]`",
    "tuple_type": "it must be a list: `[a, b]`",
    "dict_type": "it must be a mapping: `{key: value}`",
    "model_type": "it must be a mapping: `{key: value}`",
    "time_delta_type": "it must be a duration: 90s, 5m, 3h, 28d, 2w",
    "too_short": "it needs at least %(min_length)s",
    "too_long": "it takes %(max_length)s values at most",
    "greater_than": "it must be above %(gt)g",
    "greater_than_equal": "it must be %(ge)g or more",
    "less_than": "it must be below %(lt)g",
    "less_than_equal": "it must be %(le)g or less",
    "finite_number": "it must be a number",
}
"""What would be right, for each kind of problem pydantic finds."""


def problems(spec: type[Spec], file: SpecFile, found: Sequence[Any]) -> Iterator[LichenError]:
    """What pydantic found in a file, each value told of once."""
    merged: dict[Place, list[Any]] = {}
    for problem in found:
        merged.setdefault(_place(file, problem), []).append(problem)
    for at, same in merged.items():
        yield _explain(spec, file, at, same)


def _place(file: SpecFile, problem: Any) -> Place:
    """The place of a problem in the file: pydantic's, without the parts that name a form of a type."""
    at: Place = tuple(problem["loc"])
    if problem["type"] == "missing" and isinstance(at[-1], str):
        return (*_written(file, at[:-1]), at[-1])
    return _written(file, at)


def _written(file: SpecFile, at: Place) -> Place:
    length = len(at)
    while length and at[:length] not in file.values and at[:length] not in file.keys:
        length -= 1
    return at[:length]


def _explain(spec: type[Spec], file: SpecFile, at: Place, same: Sequence[Any]) -> LichenError:
    problem = same[0]
    kind = problem["type"]
    name = ".".join(map(str, at))
    if kind == "extra_forbidden":
        return unknown_key(file, at, known_keys(spec, at[:-1]))
    if kind == "missing" and isinstance(problem["loc"][-1], str):
        return FoundWrong(
            "LCH-1012", f"the key `{at[-1]}` is missing", where=file.where(at[:-1]), fix=f"add `{at[-1]}: ...`"
        )
    what, fix = _words(problem, same)
    on_key = "[key]" in problem["loc"]
    spoken_of = _spoken_of(file, at, what) if kind == "value_error" and not on_key else None
    given = problem.get("input")
    why = None
    if kind != "value_error" and not on_key and (given is None or isinstance(given, str | int | float | bool)):
        why = f"it is {file.as_written(at, given)}"
    return FoundWrong(
        "LCH-1013",
        file.masked(at, f"`{name}`: {what}" if name else what),
        where=file.where(spoken_of, key=True) if spoken_of else file.where(at, key=on_key),
        why=why,
        fix=fix,
    )


def _spoken_of(file: SpecFile, at: Place, what: str) -> Place | None:
    """The key inside a mapping that words about the whole of it speak of: the first that is written there."""
    return next((key for name in _QUOTED.findall(what) if (key := (*at, name)) in file.keys), None)


def _words(problem: Any, same: Sequence[Any]) -> tuple[str, str | None]:
    """What is wrong, or what would be right, and where it can be told what to do."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        return str(context["error"]), None
    if kind == "literal_error":
        allowed = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        given = problem["input"]
        likely = nearest(given, allowed) if isinstance(given, str) else []
        return f"it must be {_either(allowed)}", did_you_mean(given, allowed) if likely else None
    if kind == "missing":
        return "it has too few values", None
    if len({each["type"] for each in same}) > 1 and all(each["type"] in _RIGHT for each in same):
        kinds = dict.fromkeys(_RIGHT[each["type"]].removeprefix("it must be ") for each in same)
        return f"it must be {_either(list(kinds), quote='')}", None
    if kind in _RIGHT:
        return _RIGHT[kind] % context, None
    return str(problem["msg"]), None


def _either(words: Sequence[str], *, quote: str = "`") -> str:
    shown = [f"{quote}{word}{quote}" for word in words]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def mistyped(file: SpecFile, key: str, kind: Any) -> Iterator[LichenError]:
    """What is wrong with a value that has to be of a Python type; of a text from the environment, what it says."""
    try:
        TypeAdapter(kind).validate_python(file.data[key], strict=(key,) not in file.filled)
    except ValidationError as failure:
        found: list[dict[str, Any]] = [
            {**each, "loc": _inside(file, key, each["loc"])} for each in failure.errors(include_url=False)
        ]
        deepest = max(len(each["loc"]) for each in found)
        # Of a value that may have several forms, the form that it has tells best what is wrong in it.
        yield from problems(Source, file, [each for each in found if len(each["loc"]) == deepest])


def _inside(file: SpecFile, key: str, at: Sequence[str | int]) -> Place:
    found: Place = (key,)
    for part in at:
        found = (*found, part) if (*found, part) in file.values else found
    return found


def unknown_key(file: SpecFile, at: Place, known: Sequence[str]) -> LichenError:
    """The error for a key that means nothing where it stands."""
    return FoundWrong(
        "LCH-1001", f"unknown key `{at[-1]}`", where=file.where(at, key=True), fix=did_you_mean(str(at[-1]), known)
    )


def known_keys(spec: type[Spec], at: Place) -> list[str]:
    """The keys a spec understands at a place inside it, as they are written in files."""
    current: Any = spec
    for part in at:
        current = _inner(current, part)
        if current is None:
            return []
    return current.written_keys() if isinstance(current, type) and issubclass(current, Spec) else []


def _inner(current: Any, part: str | int) -> Any:
    if isinstance(current, type) and issubclass(current, Spec):
        for name, info in current.model_fields.items():
            if part in (name, info.alias):
                return _spec_in(info.annotation)
        return None
    return current.spec if isinstance(current, _Named) else None


def _spec_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _spec_in(inner)
        if found is not None:
            # For a mapping of specs the next part of the place is a name of the user's.
            return _Named(found) if getattr(annotation, "__origin__", None) in (dict, Mapping) else found
    return None


@dataclass(frozen=True)
class _Named:
    spec: type[Spec]
