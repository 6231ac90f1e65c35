"""Models as skops files: equal bytes for equal models, and no type but those expected."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lichen.backends.learning import corrupt
from lichen.ground.files import system_failures

MODEL = "model.skops"
_SCHEMA = "schema.json"
_ADDRESS = re.compile(r'("__id__": |"file": ")(\d+)')


def pack(model: Any) -> bytes:
    """A model as a skops file; equal models give equal bytes."""
    from skops.io import dumps

    # skops names objects by their address in memory, and files by the time: both are replaced by plain numbers.
    places: dict[str, str] = {}
    packed, plain = zipfile.ZipFile(io.BytesIO(dumps(model))), io.BytesIO()

    def numbered(found: re.Match[str]) -> str:
        return found[1] + places.setdefault(found[2], str(len(places)))

    text = _ADDRESS.sub(numbered, packed.read(_SCHEMA).decode())
    arrays = {places[Path(name).stem] + Path(name).suffix: name for name in packed.namelist() if name != _SCHEMA}
    with zipfile.ZipFile(plain, "w") as archive:
        for name in sorted(arrays):
            archive.writestr(zipfile.ZipInfo(name), packed.read(arrays[name]))
        archive.writestr(zipfile.ZipInfo(_SCHEMA), text)
    return plain.getvalue()


def unpack(content: bytes, path: Path, trusted: Sequence[str]) -> Any:
    """The model in a skops file that holds nothing but harmless types and those of `trusted`."""
    from skops.io import get_untrusted_types, loads

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise corrupt(path, "it is compressed, and no model of ours is")
        strange = sorted(set(get_untrusted_types(data=content)) - set(trusted))
        if strange:
            raise corrupt(path, f"it holds types that its learner never writes: {', '.join(strange[:5])}")
        return loads(content, trusted=list(trusted))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as failure:
        raise corrupt(path, str(failure)) from failure
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ImportError, EOFError, OSError) as failure:
        raise corrupt(path, f"skops cannot read it: {type(failure).__name__}: {failure}") from failure


def read_model(folder: Path) -> bytes:
    """A model's skops file, as it is on disk."""
    path = folder / MODEL
    with system_failures("read the model", path):
        return path.read_bytes()
