"""What can be written, typed, raised or extended is documented, and the pages made from the code are not stale."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from lichen import ports
from lichen.cli.verbs import Verb, lichen
from lichen.ground import plugins
from lichen.run.workshop import connector_options
from lichen.spec import ProjectFile
from lichen.spec.reader import KINDS

ROOT = Path(__file__).parent.parent.parent
BY_HAND = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/decisions").glob("*.md")])


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lichen_docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> Mapping[str, str]:
    made: Mapping[str, str] = _generator().pages()
    return made


def _specs(spec: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A spec and every spec that its keys hold."""
    yield spec
    for info in spec.model_fields.values():
        for held in _classes(info.annotation):
            yield from _specs(held)


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _classes(part)


def test_the_pages_made_from_the_code_are_not_stale(pages: Mapping[str, str]) -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md")}
    stale = [name for name in sorted({*pages, *there}) if pages.get(name) != there.get(name)]
    assert not stale, "run `make docs`"


def test_every_key_is_documented(pages: Mapping[str, str]) -> None:
    for kind in (ProjectFile, *(spec for _, spec in KINDS.values())):
        for spec in _specs(kind):
            for name, info in spec.model_fields.items():
                assert info.description, f"{spec.__name__}.{name} has no description"
            for key in spec.written_keys():  # type: ignore[attr-defined]
                assert re.search(rf"^\| `([\w.]+\.)?{key}` \|", pages["files.md"], re.MULTILINE), (
                    f"{spec.__name__}: {key}"
                )


def test_every_verb_and_option_is_documented(pages: Mapping[str, str]) -> None:
    for name, verb in lichen.commands.items():
        assert isinstance(verb, Verb)
        assert verb.help
        assert f"lichen {name}" in verb.example
        assert f"## lichen {name}\n" in pages["verbs.md"]
        for parameter in verb.params:
            assert parameter.param_type_name == "argument" or getattr(parameter, "help", None), (
                f"{name}: {parameter.name}"
            )


def test_every_port_and_its_methods_are_documented(pages: Mapping[str, str]) -> None:
    for name in ports.GROUPS:
        port = getattr(ports, name)
        assert inspect.getdoc(port)
        assert f"## {name}\n" in pages["ports.md"]
        for method, function in vars(port).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                assert function.__doc__, f"{name}.{method}"
                assert f"### `{method}(" in pages["ports.md"]


def test_every_option_of_a_connector_and_parameter_of_a_learner_is_documented(pages: Mapping[str, str]) -> None:
    learners = plugins.names(ports.GROUPS["Learner"])
    known = {name: plugins.load(ports.GROUPS["Learner"], name).params for name in learners} | connector_options()
    for name, keys in known.items():
        for key, text in keys.items():
            assert text.endswith("."), f"{name}: {key} needs a sentence"
            assert f"| `{key}` | {text} |" in pages["files.md"]


def test_every_error_code_is_documented(pages: Mapping[str, str]) -> None:
    # Read as text here, so that a code given to an error in a way the generator does not see is found.
    codes = {code for path in (ROOT / "src").rglob("*.py") for code in re.findall(r'"(LCH-\d{4})"', path.read_text())}
    lacking = sorted(code for code in codes if f"`{code}`" not in pages["errors.md"])
    assert not lacking


def test_the_readme_lists_the_verbs_that_work() -> None:
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("Verbs that work: ")]
    assert re.findall(r"`(\w+)`", line) == list(lichen.commands)


@pytest.mark.parametrize("path", BY_HAND, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", BY_HAND, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_machine_or_an_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|work|tmp|Users)/|index-url|localhost:\d|\b\d+\.\d+\.\d+\.\d+:\d", text)
