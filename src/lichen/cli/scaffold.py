"""Makes a new project from a template that is part of the package."""

from __future__ import annotations

import shutil
from pathlib import Path

from lichen.errors import SystemFailed, Where, WrongUsage, did_you_mean
from lichen.spec.words import NAME

TEMPLATES = Path(__file__).parent.parent / "templates"


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
    made = []
    try:
        for path in sorted((TEMPLATES / template).rglob("*")):
            if path.is_dir() or "__pycache__" in path.parts or ".lichen" in path.parts:
                continue
            inside = path.relative_to(TEMPLATES / template)
            target = folder / (".gitignore" if inside.name == "gitignore" else inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            made.append(target.relative_to(folder).as_posix())
        settings = folder / "lichen.yaml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace(f"name: {template}", f"name: {name}", 1), encoding="utf-8")
    except OSError as error:
        raise SystemFailed(
            "LCH-3002",
            "the project cannot be written",
            where=Where(folder),
            why=error.strerror,
            fix="check the folder above it",
        ) from error
    return made
