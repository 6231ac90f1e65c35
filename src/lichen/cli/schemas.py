"""JSON Schemas of the project's files, one for each kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from lichen.ground.files import write_durably
from lichen.run.workshop import connector_options, option_types
from lichen.spec import ProjectFile
from lichen.spec.reader import KINDS

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_FROM_ENVIRONMENT = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of each kind of file: `project`, `source`, `table` (its front matter), `feature`, ..."""
    made = {"project": ProjectFile.model_json_schema(by_alias=True)}
    for kind, spec in KINDS.values():
        made[kind] = spec.model_json_schema(by_alias=True)
    made["table"]["properties"].pop("sql", None)
    _close_source(made["source"])
    return {kind: {"$schema": DRAFT, **schema} for kind, schema in made.items()}


def _close_source(schema: dict[str, Any]) -> None:
    """A source's file also has its connector's keys, and no others."""
    own, types = set(schema["properties"]), option_types()
    for name, options in connector_options().items():
        for key, help_text in options.items():
            if key not in own:
                value = schema["properties"].setdefault(key, {"description": help_text, "anyOf": []})
                value["anyOf"] += [one for one in _forms(types[name].get(key, Any)) if one not in value["anyOf"]]
    schema["additionalProperties"] = False


def _forms(kind: Any) -> list[dict[str, Any]]:
    """The forms a value of a type has in a file; a text from the environment may say it too."""
    made = TypeAdapter(kind).json_schema()
    forms = made.get("anyOf", [made])
    return forms if {"type": "string"} in forms or {} in forms else [*forms, _FROM_ENVIRONMENT]


def write_schemas(folder: Path, made: dict[str, dict[str, Any]]) -> list[Path]:
    """Write each schema as `<kind>.schema.json`."""
    paths = []
    for kind, schema in made.items():
        path = folder / f"{kind}.schema.json"
        write_durably(path, json.dumps(schema, indent=2, ensure_ascii=False).encode() + b"\n")
        paths.append(path)
    return paths
