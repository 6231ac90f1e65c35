"""STYLE rule 1: what can be read in one sitting."""

from __future__ import annotations

import ast
from pathlib import Path

LINES_OF_A_FILE = 600
LINES_OF_A_FUNCTION = 60
METHODS_OF_A_CLASS = 20
METHODS_OF_PROJECT = 28

EXEMPT = {
    "ports.py": "a port is as wide as what a backend must do; the page as a whole is what is kept short",
    "testing/": "a conformance suite has a method for each promise of its port",
}
"""Files whose classes may have more methods, with the reason."""


def test_a_file_is_read_in_one_sitting(trees: dict[str, ast.Module], root: Path) -> None:
    long = {
        name: lines
        for name in trees
        if (lines := len((root / "src/lichen" / name).read_text(encoding="utf-8").splitlines())) > LINES_OF_A_FILE
    }
    assert long == {}


def test_a_function_fits_on_a_screen(trees: dict[str, ast.Module]) -> None:
    long = {
        f"{name}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_a_public_class_has_few_methods(trees: dict[str, ast.Module]) -> None:
    wide = {}
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_") or name.startswith(tuple(EXEMPT)):
                continue
            most = METHODS_OF_PROJECT if (name, node.name) == ("project.py", "Project") else METHODS_OF_A_CLASS
            methods = [
                each.name
                for each in node.body
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith("_")
            ]
            if len(methods) > most:
                wide[f"{name} {node.name}"] = len(methods)
    assert wide == {}


def test_the_exempt_are_still_there(trees: dict[str, ast.Module]) -> None:
    assert all(any(name.startswith(exempt) for name in trees) for exempt in EXEMPT)
