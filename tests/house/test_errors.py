"""STYLE rule 6: each error has a stable code of one meaning, and a test of its text."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

CODE = re.compile(r"LCH-\d{4}")

SHARED = {
    "LCH-1001": "an unknown key, wherever it stands",
    "LCH-1018": "an environment, or a service, that no run has made yet",
    "LCH-2101": "a name that SQL or a file reads and nothing has, in the project or in a release",
    "LCH-3001": "the disk is full, whoever meets it",
    "LCH-3002": "a place that cannot be read or written, whoever meets it",
}
"""Codes that several files raise with texts of their own, with the one meaning they share."""


def calls(trees: dict[str, ast.Module]) -> Iterator[tuple[str, ast.Call]]:
    """Every call of an error class: of LichenError and what is derived from it, in whichever file."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    classes = {"LichenError"}
    while more := {name for name, above in bases.items() if above & classes} - classes:
        classes |= more
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
                yield name, node


def code_and_text(call: ast.Call) -> tuple[str, str] | None:
    """A call's code and its text, with `{}` for what is put in; None where neither is written out."""
    for place, argument in enumerate(call.args):
        if isinstance(argument, ast.Constant) and str(argument.value).startswith("LCH"):
            text = call.args[place + 1] if place + 1 < len(call.args) else ast.Constant("")
            return str(argument.value), template(text)
    return None


def template(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "{}"


def codes(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Each code that is written anywhere in the package, with the files it is written in."""
    found = defaultdict(set)
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                found[node.value].add(name)
    return found


def test_every_code_is_well_formed(trees: dict[str, ast.Module]) -> None:
    told = [(name, call.lineno, code_and_text(call)) for name, call in calls(trees)]
    assert len(told) > 50
    assert [(name, line, code) for name, line, found in told if found and not CODE.fullmatch(code := found[0])] == []


def test_a_code_has_one_meaning(trees: dict[str, ast.Module]) -> None:
    texts: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, call in calls(trees):
        found = code_and_text(call)
        if found is not None:
            texts[found[0]][found[1]].add(name)
    two = {
        code: {text: sorted(files) for text, files in sorted(told.items())}
        for code, told in sorted(texts.items())
        if code not in SHARED and len(told) > 1 and len(set().union(*told.values())) > 1
    }
    assert two == {}


def test_what_is_said_to_be_shared_is_shared(trees: dict[str, ast.Module]) -> None:
    assert [code for code in SHARED if len(codes(trees).get(code, ())) < 2] == []


def test_every_error_has_a_test_of_its_text(trees: dict[str, ast.Module], root: Path) -> None:
    """As far as the codes tell: each stands in some test, beside the text it comes with."""
    tested = set()
    for path in (root / "tests").rglob("*.py"):
        if path != Path(__file__):
            tested |= set(CODE.findall(path.read_text(encoding="utf-8")))
    missing = {code: sorted(files) for code, files in sorted(codes(trees).items()) if code not in tested}
    assert missing == {}
