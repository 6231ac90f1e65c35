"""DESIGN section 4: the words the house uses, and those it does not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

NAMES = {"pipeline", "dataset", "node", "manager", "handler", "helper", "util", "utils", "base"}
PROSE = re.compile(r"\b(simply|just|easy|easily)\b", re.IGNORECASE)


def words(name: str) -> set[str]:
    """The words a name is made of: `TableStore_of` is `table`, `store` and `of`."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def test_words_of_a_name() -> None:
    assert words("_BaseTable_manager2") == {"base", "table", "manager"}
    assert words("HTTPHandler") == {"http", "handler"}


def test_names_are_of_the_houses_language(trees: dict[str, ast.Module]) -> None:
    found = {}
    for file, tree in trees.items():
        named = [(1, part) for part in Path(file).with_suffix("").parts]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                named += [(node.lineno, node.name)]
        found |= {f"{file}:{line} {name}": banned for line, name in named if (banned := words(name) & NAMES)}
    assert found == {}


def test_docstrings_tell_and_do_not_belittle(trees: dict[str, ast.Module]) -> None:
    found = []
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                found += [f"{file}: {line.strip()}" for line in text.splitlines() if PROSE.search(line)]
    assert found == []


def test_pages_tell_and_do_not_belittle(root: Path) -> None:
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    found = [
        f"{page.relative_to(root)}:{number} {line.strip()}"
        for page in pages
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if PROSE.search(line)
    ]
    assert found == []
