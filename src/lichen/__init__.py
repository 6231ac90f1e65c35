"""Lichen: one graph from source column to served prediction, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lichen.deploy.client import Client
    from lichen.errors import LichenError
    from lichen.project import Project

__all__ = ["Client", "LichenError", "Project"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that `import lichen` stays light.
    if name == "Project":
        from lichen.project import Project

        return Project
    if name == "Client":
        from lichen.deploy.client import Client

        return Client
    if name == "LichenError":
        from lichen.errors import LichenError

        return LichenError
    raise AttributeError(f"module 'lichen' has no attribute {name!r}")
