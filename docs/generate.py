"""Writes the pages under docs/reference from the code, so that they say what the code says.

`make docs` writes them; `tests/house/test_docs.py` fails while one is stale.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from lichen import ports
from lichen.cli.schemas import schemas
from lichen.cli.verbs import NOT_YET, Verb, lichen
from lichen.feature.functions import SUPPORTED
from lichen.ground import plugins
from lichen.run.workshop import connector_options
from lichen.spec.reader import KINDS

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "lichen"
PAGES = ROOT / "docs" / "reference"

NOTE = "<!-- Made from the code by docs/generate.py: change the code, then `make docs`. -->"
CODE = re.compile(r"LCH-\d{4}")


def page(title: str, *parts: str) -> str:
    """A page of Markdown: what made it, its title, its parts."""
    return "\n\n".join([NOTE, f"# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; a bar or a line end in a cell does not break it."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(
        "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


# ------------------------------------------------------------------------------------------------- files


def files_page() -> str:
    """Every key of every kind of file, from the JSON Schemas that `lichen schema` prints."""
    made = schemas()
    folders = {kind: folder for folder, (kind, _) in KINDS.items()}
    said = (
        "The folder gives the kind, the file's name gives the asset's name. An unknown key is an error with its place "
        "and the nearest known key. A span is written `90s`, `5m`, `3h`, `28d` or `2w`."
    )
    parts = [said]
    for kind, schema in made.items():
        place = (
            "lichen.yaml" if kind == "project" else f"{folders[kind]}/NAME" + (".sql" if kind == "table" else ".yaml")
        )
        ours = {name for options in connector_options().values() for name in options} if kind == "source" else set()
        rows = [row for row in _keys(schema, schema.get("$defs", {})) if row[0].strip("`") not in ours]
        parts += [
            f"## {kind}: `{place}`",
            schema.get("description", ""),
            table(("key", "what it is", "default", "meaning"), rows),
        ]
        if kind == "source":
            parts += [_backend_keys("connector", name, options) for name, options in connector_options().items()]
        if kind == "model":
            parts += [_backend_keys("learner", name, learner.params) for name, learner in _learners().items()]
    return page("Files and their keys", *parts)


def _learners() -> dict[str, Any]:
    group = ports.GROUPS["Learner"]
    return {name: plugins.load(group, name) for name in plugins.names(group)}


def _backend_keys(kind: str, name: str, options: Mapping[str, str]) -> str:
    what = "further keys of a source" if kind == "connector" else "keys of `params`"
    return f"### {kind} `{name}`: {what}\n\n" + table(
        ("key", "meaning"), [(f"`{key}`", text) for key, text in options.items()]
    )


def _keys(schema: Mapping[str, Any], shared: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, ...]]:
    required = set(schema.get("required", ()))
    for key, value in schema.get("properties", {}).items():
        name = before + key
        default = "" if key in required or "default" not in value else f"`{_shown(value['default'])}`"
        meaning = value.get("description") or _resolved(value, shared).get("description", "")
        yield f"`{name}`", _kind(value, shared), default, meaning
        for deeper, mark in _inside(value, shared):
            yield from _keys(deeper, shared, f"{name}.{mark}")


def _inside(value: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The objects with keys of their own that a value may be, or hold under names that the user gives."""
    for one in (value, *value.get("anyOf", ())):
        whole = _resolved(one, shared)
        if "properties" in whole:
            yield whole, ""
        elif (held := _held(whole)) is not None:
            yield from ((deeper, "NAME.") for deeper, _ in _inside(held, shared))
        elif whole is not one and "anyOf" in whole:
            yield from _inside(whole, shared)


def _held(whole: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a map holds under the names that the user gives."""
    patterns = list(whole.get("patternProperties", {}).values())
    held = patterns[0] if patterns else whole.get("additionalProperties")
    return held if isinstance(held, dict) else None


def _resolved(value: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = shared[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
    return found


def _kind(value: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    whole = _resolved(value, shared)
    if "enum" in whole or "const" in whole:
        return " or ".join(f"`{_shown(one)}`" for one in whole.get("enum", [whole.get("const")]))
    if "anyOf" in whole:
        return " or ".join(dict.fromkeys(_kind(one, shared) for one in whole["anyOf"] if one.get("type") != "null"))
    if "examples" in whole:
        return "span"
    return _plain_kind(whole, shared)


def _plain_kind(whole: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    kind = whole.get("type")
    if isinstance(kind, list):
        return " or ".join(_plain_kind({"type": one}, shared) for one in kind)
    if kind == "array":
        if "prefixItems" in whole:
            return "[" + ", ".join(_kind(one, shared) for one in whole["prefixItems"]) + "]"
        return f"list of {_kind(whole.get('items', {}), shared)}"
    if kind == "object":
        held = _held(whole)
        return f"map of {_kind(held, shared)}" if held else "map"
    if kind == "string":
        return "name" if "[a-z_]" in whole.get("pattern", "") else "text"
    return {"integer": "whole number", "number": "number", "boolean": "true or false"}.get(str(kind), "any")


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "null" if value is None else str(value)


# ------------------------------------------------------------------------------------------------- verbs


def verbs_page() -> str:
    """Every verb, with its help, its words and options, its example."""
    said = (
        "Results go to stdout, talk to stderr. Exit codes: 0 done, 1 something was found wrong, 2 wrong usage, 3 the "
        "system failed. Every verb has `--json` (facts for a machine, on stdout), `--debug` (Lichen's own traceback) "
        "and `--help`."
    )
    parts = [said]
    for name, command in lichen.commands.items():
        rows = [
            (
                _option(parameter),
                parameter.help or "" if isinstance(parameter, click.Option) else "",
                _default(parameter),
            )
            for parameter in command.params
            if parameter.name not in ("as_json", "debug")
        ]
        example = command.example if isinstance(command, Verb) else ""
        parts += [
            f"## lichen {name}",
            command.help or "",
            table(("option", "meaning", "default"), rows) if rows else "",
        ]
        parts.append(f"```console\n$ {example}\n```")
    later = [(f"`{name}`", what + ".") for name, what in NOT_YET.items()]
    parts += [
        "## Not there yet",
        "These verbs answer that a later version brings them.",
        table(("verb", "what it will do"), later),
    ]
    return page("Verbs", *parts)


def _option(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return f"`{parameter.opts[0]}`"
    return f"`{str(parameter.name).upper()}`" + ("" if parameter.required else " (may be left out)")


def _default(parameter: click.Parameter) -> str:
    plain = isinstance(parameter.default, str | int) and not isinstance(parameter.default, bool)
    return f"`{parameter.default}`" if plain else ""


# ------------------------------------------------------------------------------------------------ errors


class Raised(NamedTuple):
    """One place where an error of a code is made: its text, with what is put in named in braces, and its file."""

    code: str
    text: str
    file: str


def raised() -> list[Raised]:
    """Every error that the package can raise, found in its syntax trees."""
    found = set()
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call):
                continue
            given = [*call.args, *(word.value for word in call.keywords if word.arg in ("code", "what"))]
            for place, argument in enumerate(given[:-1]):
                if isinstance(argument, ast.Constant) and CODE.fullmatch(str(argument.value)):
                    text = _template(given[place + 1])
                    found.add(Raised(str(argument.value), text, path.relative_to(SOURCE).as_posix()))
    return sorted(found)


def _template(node: ast.expr) -> str:
    """A text as it is written, each value in it named by its expression."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "{" + ast.unparse(node.value) + "}"
    if isinstance(node, ast.BinOp):
        return _template(node.left) + _template(node.right)
    return "{" + ast.unparse(node) + "}"


def errors_page() -> str:
    """Every error code with its texts."""
    found = raised()
    said = (
        "A code is stable across versions. What stands in braces is put in when the error is raised; the error then "
        "also says where (file, line, column), why, and what to do."
    )
    parts = [said]
    kinds = {
        "1": "of the project and the command",
        "2": "found wrong, in the project or its data",
        "3": "of the system",
    }
    for first, title in kinds.items():
        rows = [(f"`{one.code}`", _code(one.text), f"`{one.file}`") for one in found if one.code[4] == first]
        parts += [f"## LCH-{first}xxx: {title}", table(("code", "text", "raised in"), rows)]
    return page("Error codes", *parts)


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


# ------------------------------------------------------------------------------------------------- ports


def ports_page() -> str:
    """The extension surface: each port's contract in its own words."""
    parts = [inspect.getdoc(ports) or ""]
    for name, group in ports.GROUPS.items():
        port = getattr(ports, name)
        installed = ", ".join(f"`{one}`" for one in plugins.names(group))
        parts += [f"## {name}", f"Entry point group `{group}`; built in: {installed}.", inspect.getdoc(port) or ""]
        parts += [_method(method, getattr(port, method)) for method in vars(port) if _is_method(port, method)]
    parts.append("## The values that cross the ports")
    for name, kind in vars(ports).items():
        if inspect.isclass(kind) and kind.__module__ == ports.__name__ and name not in ports.GROUPS:
            parts.append(f"### {name}\n\n{inspect.getdoc(kind) or ''}")
    return page("Ports", *parts)


def _is_method(port: type, name: str) -> bool:
    return not name.startswith("_") and inspect.isfunction(getattr(port, name))


def _method(name: str, function: Any) -> str:
    signature = textwrap.shorten(str(inspect.signature(function)).replace("'", "").replace("(self, ", "("), 400)
    return f"### `{name}{signature.replace('(self)', '()')}`\n\n{inspect.getdoc(function) or ''}"


# --------------------------------------------------------------------------------------------- functions


def functions_page() -> str:
    """What request expressions may use."""
    rows = [(_code(name), text) for name, text in SUPPORTED.items()]
    said = (
        "These functions and operators may stand in `expressions` of a feature view with `on: request`, and in "
        "`prediction_time.from`. Each runs as DuckDB SQL over many rows and as Python for one, with the same result; "
        "any other function is refused by `lichen check`. Tables are written in DuckDB's whole SQL."
    )
    return page("Functions of request expressions", said, table(("function", "what it gives"), rows))


def pages() -> dict[str, str]:
    """Each page's text by its file's name."""
    return {
        "files.md": files_page(),
        "verbs.md": verbs_page(),
        "errors.md": errors_page(),
        "ports.md": ports_page(),
        "functions.md": functions_page(),
    }


def main() -> None:
    """Write the pages."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
