from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lichen.errors import SystemFailed, WrongUsage
from lichen.ground.plugins import load, names


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with a good backend and one whose library is missing."""
    (tmp_path / "mosskit.py").write_text("class Moss: ...\n")
    (tmp_path / "mosskit_needy.py").write_text("import no_such_library\n")
    facts = tmp_path / "moss_kit-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: moss-kit\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[lichen.mosses]\nmoss = mosskit:Moss\nneedy = mosskit_needy:Needy\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("mosskit", "mosskit_needy"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("installed")
def test_a_backend_is_found_by_its_name() -> None:
    assert names("lichen.mosses") == ["moss", "needy"]
    assert load("lichen.mosses", "moss").__name__ == "Moss"


@pytest.mark.usefixtures("installed")
def test_an_unknown_name_says_what_exists() -> None:
    with pytest.raises(WrongUsage) as caught:
        load("lichen.mosses", "mos")
    assert str(caught.value) == "LCH-1101: there is no `mos` among the mosses\n  fix: did you mean `moss`?"


@pytest.mark.usefixtures("installed")
def test_a_missing_library_names_the_command_that_installs_it() -> None:
    with pytest.raises(SystemFailed) as caught:
        load("lichen.mosses", "needy")
    assert str(caught.value) == (
        "LCH-1102: `needy` needs the package `no_such_library`, which is not installed\n"
        "  fix: pip install 'moss-kit[needy]'"
    )


def test_a_group_that_nobody_fills() -> None:
    assert names("lichen.table_mosses") == []
    with pytest.raises(WrongUsage, match="there is no `x` among the table mosses"):
        load("lichen.table_mosses", "x")
