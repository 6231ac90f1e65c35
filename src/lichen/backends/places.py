"""Where files are: a path, a glob, inside an installed package, behind an fsspec URL, packed or not."""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import unquote, urlsplit

from lichen.errors import FoundWrong, SystemFailed, Where, did_you_mean
from lichen.ground.files import digest, system_failures
from lichen.ground.secret import Secret, mask

PACKED = frozenset([".gz", ".zip", ".zst"])
RATIO = 100
_INSTALLS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs", "sftp": "paramiko"}
_CHUNK = 1 << 20
_SIP = 1 << 12
"""How much of a zstd file is unpacked at once: it may hold 30,000 times as much."""
_BROKEN: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True)
class Place:
    """One file: its name as it was written, and where it is: on this machine, or in an fsspec file system."""

    name: str
    path: str
    system: Any = None

    def facts(self) -> tuple[int | None, str]:
        """Its size and time of change, as they are now."""
        if self.system is None:
            with readable(self):
                found = Path(self.path).stat()
            return found.st_size, str(found.st_mtime_ns)
        info = self.system.info(self.path)
        changed = next((info[key] for key in ("ETag", "etag", "mtime", "LastModified", "created") if key in info), "")
        return info.get("size"), str(changed)

    def digest(self) -> str | None:
        """The hash of what it holds, if it is on this machine."""
        if self.system is not None:
            return None
        with readable(self):
            return digest(Path(self.path))


def places(path: Secret) -> list[Place]:
    """The files a path, a glob or a URL names, in the order of their names; they are called as the path is written."""
    real, shown = path.reveal(), str(path)
    scheme = urlsplit(real).scheme if "://" in real else ""
    if scheme == "package":
        return _local(_in_package(real, shown), path)
    if scheme == "file":
        return _local(unquote(real.removeprefix("file://")), path)
    return _remote(path, scheme) if scheme else _local(real, path)


def _in_package(path: str, shown: str) -> str:
    name, _, inner = path.removeprefix("package://").partition("/")
    if ".." in PurePosixPath(inner).parts:
        raise FoundWrong(
            "LCH-2202", f"`{shown}` leaves its package", fix="name a file inside the package, without `..`"
        )
    # Only a top-level name is looked up: for one with a dot, find_spec would import what stands above it.
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise SystemFailed("LCH-3104", f"the package `{name}` is not installed", fix=f"pip install {name}")
    return str(Path(folders[0]) / inner)


def _local(real: str, path: Secret) -> list[Place]:
    shown = str(path)
    if not _is_glob(real) or Path(real).exists():
        _demand(Path(real), shown)
        return [Place(shown, real)]
    found = sorted(str(entry) for entry in _matching(real) if entry.is_file())
    if not found:
        raise _nothing(shown)
    named = _names(path)
    return [Place(named(entry[len(_fixed(real)) :]), entry) for entry in found]


def _is_glob(path: str) -> bool:
    return any(mark in path for mark in "*?[")


def _fixed(path: str) -> str:
    """The folder, with its slash, above the first part of a glob that is a pattern."""
    before = path[: min(path.find(mark) for mark in "*?[" if mark in path)]
    return before[: before.rfind("/") + 1]


def _names(path: Secret) -> Callable[[str], str]:
    """What a file is called that a glob matches: the glob's folder as it is written, and the file's path from there."""
    written = str(path)
    parts = []
    for part in written.split("/"):
        read = part
        for name, value in path.held.items():
            read = read.replace(name, value)
        if _is_glob(read):
            break
        parts.append(f"{part}/")
    return lambda rest: "".join(parts) + mask(rest, [Secret(value, name) for name, value in path.held.items()])


def _matching(pattern: str) -> Iterator[Path]:
    """What a glob matches; names that start with a dot are left out, as a shell does."""
    whole = Path(pattern)
    anchor = Path(whole.anchor)
    for entry in anchor.glob(str(whole.relative_to(anchor))):
        if not any(part.startswith(".") and part not in whole.parts for part in entry.parts):
            yield entry


def _demand(path: Path, shown: str) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        folder, there = shown.rpartition("/")[0] or ".", path.parent.is_dir()
        names = [entry.name for entry in path.parent.iterdir()] if there else []
        why = f"`{folder}` holds no such name" if there else f"there is no folder `{folder}`"
        fix = did_you_mean(path.name, names) if names else "put it there, or correct `path`"
        raise SystemFailed("LCH-3101", f"there is no file `{shown}`", why=why, fix=fix) from None
    except PermissionError:
        raise _refused(shown) from None
    if stat.S_ISDIR(mode):
        raise SystemFailed(
            "LCH-3101", f"`{shown}` is a folder, not a file", fix=f"name the files in it with a glob: {shown}/*.csv"
        )


def _nothing(shown: str) -> SystemFailed:
    return SystemFailed("LCH-3101", f"no file matches `{shown}`", fix="correct the glob in `path`")


def _refused(shown: str) -> SystemFailed:
    return SystemFailed(
        "LCH-3102",
        f"`{shown}` may not be read",
        where=Where(shown),
        fix=f"give this user the right to read it: chmod u+r {shown}",
    )


@contextmanager
def readable(place: Place) -> Iterator[None]:
    """Tell what goes wrong while a file is read, by the file's name."""
    with system_failures(f"read `{place.name}`", Path(place.name)):
        try:
            yield
        except PermissionError:
            raise _refused(place.name) from None


def _remote(path: Secret, scheme: str) -> list[Place]:
    import fsspec

    shown = str(path)
    try:
        system, inner = fsspec.core.url_to_fs(path.reveal())
        if _is_glob(inner):
            found = sorted(system.glob(inner))
            if not found:
                raise _nothing(shown)
            named = _names(path)
            return [Place(named(entry[len(_fixed(inner)) :]), entry, system) for entry in found]
        if not system.exists(inner):
            raise SystemFailed("LCH-3101", f"there is no file `{shown}`", fix="correct `path`")
    except ImportError:
        name = _INSTALLS.get(scheme, f"the fsspec package for {scheme}")
        raise SystemFailed(
            "LCH-3103", f"`{scheme}://` needs a package that is not installed", fix=f"pip install {name}"
        ) from None
    except ValueError as unknown:
        why = path.mask(str(unknown))
        raise FoundWrong("LCH-2203", f"`{shown}` cannot be opened", why=why, fix="correct `path`") from None
    return [Place(shown, inner, system)]


@contextmanager
def unpacked(place: Place, folder: Path, most: int | None = None) -> Iterator[list[tuple[str, Path]]]:
    """The place's files on this machine, unpacked, each with its name; what was made in `folder` is removed after.

    With `most`, of a file that has to be copied or unpacked only so many bytes, and only the first of an archive.
    """
    folder.mkdir()
    try:
        with readable(place):
            local = Path(place.path)
            if place.system is not None:
                local = folder / PurePosixPath(place.path).name
                plain = local.suffix.lower() not in PACKED
                with place.system.open(place.path, "rb") as source:
                    _write(_chunks(source, most if plain else None), local)
            members = _members(place.name, local, folder, most)
        yield members
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _members(name: str, local: Path, folder: Path, most: int | None) -> list[tuple[str, Path]]:
    suffix = local.suffix.lower()
    if suffix not in PACKED:
        open(local, "rb").close()
        if any(mark in str(local) for mark in "*?["):
            # DuckDB takes a file name with these for a glob.
            plain = folder / f"plain{local.suffix}"
            plain.symlink_to(local.absolute())
            local = plain
        return [(name, local)]
    try:
        if suffix == ".zip":
            return _unzip(name, local, folder, most)
        target = folder / f"0{Path(local.stem).suffix}"
        with _opened(local, suffix) as source:
            chunks = _frames(source, most) if suffix == ".zst" else _chunks(source, most)
            _write(_within_ratio(chunks, local.stat().st_size, name), target)
        return [(name, target)]
    except _broken(suffix) as broken:
        raise FoundWrong(
            "LCH-2204", f"`{name}` is not a whole {suffix[1:]} file", why=str(broken), fix="fetch or write it anew"
        ) from None


def _opened(local: Path, suffix: str) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(local, "rb")) if suffix == ".gz" else open(local, "rb")


def _frames(source: IO[bytes], most: int | None) -> Iterator[bytes]:
    """What the frames of a zstd file hold; of one that is cut short the library's own readers say nothing."""
    import zstandard

    unread, frame, whole = b"", None, False
    left = most
    while (left is None or left > 0) and (chunk := unread or source.read(_SIP)):
        frame = frame or zstandard.ZstdDecompressor().decompressobj()
        part: bytes = frame.decompress(chunk)
        yield part[:left]
        left = None if left is None else left - len(part)
        whole = frame.eof
        unread, frame = (frame.unused_data, None) if whole else (b"", frame)
    if not whole and (left is None or left > 0):
        raise EOFError("it ends before a frame's end")


def _broken(suffix: str) -> tuple[type[Exception], ...]:
    """What reading a packed file that is not whole raises."""
    if suffix != ".zst":
        return _BROKEN
    import zstandard

    return (*_BROKEN, zstandard.ZstdError)


def _unzip(name: str, local: Path, folder: Path, most: int | None) -> list[tuple[str, Path]]:
    members = []
    with zipfile.ZipFile(local) as archive:
        listed = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_finders(entry)]
        for entry in listed:
            _demand_safe(name, entry)
        for number, entry in enumerate(listed[:1] if most else listed):
            # Members are written under numbers: a name from an archive never becomes a path.
            target = folder / f"{number}{PurePosixPath(entry.filename).suffix}"
            with archive.open(entry) as source:
                _write(_within_ratio(_chunks(source, most), entry.compress_size, name), target)
            members.append((name if len(listed) == 1 else f"{name}/{entry.filename}", target))
    if not members:
        raise FoundWrong("LCH-2204", f"`{name}` holds no file", fix="fetch or write it anew")
    return members


def _is_finders(entry: zipfile.ZipInfo) -> bool:
    """Whether a member is what macOS keeps about files and folders, beside what the user packed."""
    parts = PurePosixPath(entry.filename).parts
    return parts[:1] == ("__MACOSX",) or parts[-1:] == (".DS_Store",)


def _demand_safe(name: str, entry: zipfile.ZipInfo) -> None:
    parts = PurePosixPath(entry.filename.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
        raise _unsafe(name, f"its member `{entry.filename}` would land outside")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise _unsafe(name, f"its member `{entry.filename}` is a link")


def _unsafe(name: str, why: str) -> FoundWrong:
    return FoundWrong(
        "LCH-2205", f"`{name}` is not safe to unpack", why=why, fix="unpack it yourself and look at it first"
    )


def _chunks(source: IO[bytes], most: int | None) -> Iterator[bytes]:
    left = most
    while chunk := source.read(_CHUNK if left is None else min(_CHUNK, left)):
        yield chunk
        if left is not None:
            left -= len(chunk)


def _within_ratio(chunks: Iterator[bytes], packed: int, name: str) -> Iterator[bytes]:
    most, seen = RATIO * max(packed, 1), 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > most:
            raise _unsafe(name, f"it grows to more than {RATIO} times its size")
        yield chunk


def _write(chunks: Iterator[bytes], target: Path) -> None:
    with open(target, "wb") as out:
        out.writelines(chunks)
