"""Reads a project's folder: the folder gives the kind, the file name gives the asset's name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lichen.errors import FoundWrong, LichenError, ProjectErrors, Where, WrongUsage, did_you_mean
from lichen.ground.secret import Secret
from lichen.spec.feature import FeatureView
from lichen.spec.files import Place, SpecFile, read_sql, read_yaml
from lichen.spec.model import Model
from lichen.spec.monitor import Monitor
from lichen.spec.problem import known_keys, mistyped, problems, unknown_key
from lichen.spec.project import ProjectFile
from lichen.spec.service import Service
from lichen.spec.source import Source
from lichen.spec.table import Table
from lichen.spec.words import NAME, Spec

PROJECT_FILE = "lichen.yaml"

_PLACES = ("lake", "state")

T = TypeVar("T", bound=Spec)

KINDS: dict[str, tuple[str, type[Spec]]] = {
    "sources": ("source", Source),
    "tables": ("table", Table),
    "features": ("feature", FeatureView),
    "models": ("model", Model),
    "services": ("service", Service),
    "monitors": ("monitor", Monitor),
}
"""The folders of a project, each with the kind of asset it holds."""


@dataclass(frozen=True)
class ProjectSpec:
    """A project as written: each asset's spec by name, and the file each came from."""

    root: Path
    project: ProjectFile
    sources: Mapping[str, Source] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    features: Mapping[str, FeatureView] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    monitors: Mapping[str, Monitor] = field(default_factory=dict)
    files: Mapping[str, SpecFile] = field(default_factory=dict)

    def where(self, asset: str, *at: str | int, key: bool = False) -> Where:
        """The place in an asset's file (`table.flight_legs`) where a key's value stands."""
        return self.files[asset].where(tuple(at), key=key)

    @property
    def secrets(self) -> list[Secret]:
        """The values in all files that hold an environment variable."""
        return [secret for file in self.files.values() for secret in file.filled.values()]


def find_root(start: Path) -> Path:
    """The folder of the project that `start` is in: the nearest one upwards with a `lichen.yaml`."""
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise WrongUsage(
        "LCH-1009",
        f"there is no `{PROJECT_FILE}` in {start} or any folder above it",
        fix="go to a project's folder, or make one: lichen init my_project",
    )


def read_project(
    root: Path,
    environment: Mapping[str, str],
    connector_options: Mapping[str, Mapping[str, str]],
    option_types: Mapping[str, Mapping[str, Any]] = {},
    online_schemes: Collection[str] = (),
) -> ProjectSpec:
    """Read every file of a project; all that is wrong is told at once.

    `connector_options` holds, for each connector, the keys its sources may have, and `option_types` the types of
    their values. `online_schemes` are those of the URLs that `online` may be.
    """
    errors: list[LichenError] = []
    files: dict[str, SpecFile] = {}
    found: dict[str, dict[str, Any]] = {folder: {} for folder in KINDS}
    project_file = read_yaml(root / PROJECT_FILE, root, environment)
    errors.extend(_misplaced_variables("project", project_file))
    project = _build(ProjectFile, project_file, project_file.data, errors)
    errors.extend(_check_online(project, project_file, online_schemes))
    files["project"] = project_file
    for folder, path in _asset_files(root, errors):
        kind, spec = KINDS[folder]
        try:
            file = (read_sql if path.suffix == ".sql" else read_yaml)(path, root, environment)
        except LichenError as error:
            errors.append(error)
            continue
        errors.extend(_misplaced_variables(kind, file))
        data = {**file.data, "sql": file.sql} if kind == "table" else file.data
        asset = _build(spec, file, _with_secrets(data, file) if kind == "source" else data, errors)
        if kind == "source":
            errors.extend(_check_options(file, connector_options, option_types))
        if asset is None:
            continue
        found[folder][path.stem] = asset
        files[f"{kind}.{path.stem}"] = file
    errors.extend(_clashes(found, files))
    if errors or project is None:
        raise ProjectErrors(errors)
    return ProjectSpec(root=root, project=project, files=files, **found)


def read_settings(root: Path, environment: Mapping[str, str]) -> tuple[ProjectFile, list[Secret]]:
    """Where a project keeps what was made, for verbs that read it alone, and the secrets in that.

    Only what is wrong with the places they read is told; whatever else is wrong in `lichen.yaml` keeps nobody from
    reading, and stays unset.
    """
    file = read_yaml(root / PROJECT_FILE, root, environment, needed=_PLACES)
    names = (file.data.get("name"), root.name, "project")
    name = next(one for one in names if isinstance(one, str) and NAME.fullmatch(one))
    data = {
        key: value
        for key, value in file.data.items()
        if key in _PLACES or _build(ProjectFile, file, {"name": name, key: value}, []) is not None
    }
    wrong: list[LichenError] = []
    settings = _build(ProjectFile, file, {**data, "name": name}, wrong)
    if settings is None:
        raise ProjectErrors(wrong)
    return settings, list(file.filled.values())


def _asset_files(root: Path, errors: list[LichenError]) -> Iterator[tuple[str, Path]]:
    errors.extend(_misnamed_folders(root))
    for folder in KINDS:
        suffixes = {".sql"} if folder == "tables" else {".yaml", ".yml"}
        seen: dict[str, Path] = {}
        for path in sorted((root / folder).rglob("*")) if (root / folder).is_dir() else []:
            inside = path.relative_to(root)
            if not path.is_file() or any(part.startswith(".") for part in inside.parts):
                continue
            shown = Where(inside)
            if path.suffix not in suffixes:
                errors.append(_stray(folder, path, shown, suffixes))
            elif not NAME.fullmatch(path.stem):
                errors.append(
                    FoundWrong(
                        "LCH-1010",
                        f"`{path.stem}` cannot be an asset's name",
                        where=shown,
                        why="the file's name is the asset's name, and a name in SQL",
                        fix="use small letters, digits and _, not starting with a digit",
                    )
                )
            elif path.stem in seen:
                errors.append(
                    FoundWrong(
                        "LCH-1030",
                        f"two files are called `{path.stem}`",
                        where=shown,
                        why=f"the file's name is the asset's name, and {seen[path.stem]} has it too",
                        fix="rename one of them",
                    )
                )
            else:
                seen[path.stem] = inside
                yield folder, path


def _misnamed_folders(root: Path) -> Iterator[LichenError]:
    """Folders whose name is nearly that of a kind and which hold such files: nobody would read them."""
    for path in sorted(root.iterdir()):
        if path.name in KINDS or not path.is_dir():
            continue
        near = get_close_matches(path.name.casefold(), KINDS, n=1, cutoff=0.8)
        meant = root / near[0] if near and abs(len(near[0]) - len(path.name)) < 2 else None
        if meant is None or (meant.is_dir() and meant.samefile(path)):
            continue
        if any(each.suffix in (".yaml", ".yml", ".sql") for each in path.iterdir()):
            yield FoundWrong(
                "LCH-1038",
                f"`{path.name}/` is no folder of a project, and its files are not read",
                where=Where(path.name),
                why=f"a project's folders are {', '.join(KINDS)}",
                fix=f"did you mean `{meant.name}/`? rename it, or give it a name that is not as near",
            )


def _stray(folder: str, path: Path, shown: Where, suffixes: set[str]) -> LichenError:
    wanted = " or ".join(sorted(suffixes))
    return FoundWrong(
        "LCH-1011",
        f"`{folder}/` holds {wanted} files, and this is none",
        where=shown,
        fix=f"rename `{path.name}` to end in {wanted}, or move it out of `{folder}/`",
    )


def _build(spec: type[T], file: SpecFile, data: dict[str, Any], errors: list[LichenError]) -> T | None:
    if spec is Table and "sql" in file.data:
        errors.append(
            FoundWrong(
                "LCH-1001",
                "unknown key `sql`",
                where=file.where(("sql",), key=True),
                fix="write the statement after the front matter",
            )
        )
    try:
        return spec.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as failure:
        errors.extend(problems(spec, file, failure.errors(include_url=False)))
        return None


def _misplaced_variables(kind: str, file: SpecFile) -> Iterator[LichenError]:
    """Refuse environment variables in what a project or an asset means: that stands in the files, for every machine."""
    for at in file.filled:
        if _is_meaning(kind, at):
            yield FoundWrong(
                "LCH-1039",
                f"an environment variable stands in `{'.'.join(map(str, at))}`",
                where=file.where(at),
                why="what a project means is the same on every machine, so it stands in its files",
                fix="write the value; variables are for where `lichen.yaml` keeps things and what a connector is told: "
                "`path` and such",
            )


def _with_secrets(data: dict[str, Any], file: SpecFile) -> dict[str, Any]:
    """A source's data in which the connector's options that hold an environment variable are secrets."""

    def filled(value: Any, at: Place) -> Any:
        if at in file.filled:
            return file.filled[at]
        if isinstance(value, dict):
            return {key: filled(inner, (*at, key)) for key, inner in value.items()}
        return [filled(inner, (*at, place)) for place, inner in enumerate(value)] if isinstance(value, list) else value

    return {key: value if _is_meaning("source", (key,)) else filled(value, (key,)) for key, value in data.items()}


def _is_meaning(kind: str, at: Place) -> bool:
    """Whether a place in a file says what something means, and not where a machine has it."""
    if kind == "project":
        return at[0] in ("name", "publish")
    return kind != "source" or at[0] in known_keys(Source, ())


def _check_options(
    file: SpecFile,
    connector_options: Mapping[str, Mapping[str, str]],
    option_types: Mapping[str, Mapping[str, Any]],
) -> Iterator[LichenError]:
    connector = file.data.get("connector", Source.model_fields["connector"].default)
    if not (isinstance(connector, str) and NAME.fullmatch(connector)):
        return
    known = connector_options.get(connector)
    if known is None:
        yield FoundWrong(
            "LCH-1014",
            file.masked(("connector",), f"there is no connector `{connector}`"),
            where=file.where(("connector",)),
            fix=did_you_mean(connector, connector_options),
        )
        return
    own = known_keys(Source, ())
    for key in file.data:
        if key not in known and key not in own:
            yield unknown_key(file, (key,), [*known, *own])
    for key, kind in option_types.get(connector, {}).items():
        if key in file.data and key not in own:
            yield from mistyped(file, key, kind)


def _check_online(project: ProjectFile | None, file: SpecFile, schemes: Collection[str]) -> Iterator[LichenError]:
    scheme = None if project is None else project.online_scheme
    if scheme is not None and scheme not in schemes:
        yield FoundWrong(
            "LCH-1072",
            file.masked(("online",), f"there is no online store behind `{scheme}://`"),
            where=file.where(("online",)),
            why="`online` is a file's path, or a URL of a store that is installed",
            fix=did_you_mean(scheme, schemes),
        )


def _clashes(found: Mapping[str, Mapping[str, Any]], files: Mapping[str, SpecFile]) -> Iterator[LichenError]:
    for name in sorted(set(found["sources"]) & set(found["tables"])):
        yield FoundWrong(
            "LCH-1015",
            f"`{name}` is both a source and a table",
            where=Where(files[f"table.{name}"].shown),
            why=f"SQL reads both by name, and {files[f'source.{name}'].shown} has it too",
            fix="rename one of them",
        )
