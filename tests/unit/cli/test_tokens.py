from __future__ import annotations

from pathlib import Path

import pytest
from processes import Nursery


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "lichen.yaml").write_text("name: p\n")
    return tmp_path


def test_a_token_is_shown_once(root: Path, nursery: Nursery) -> None:
    none = nursery.lichen(root, "token", "list")
    assert (none.out, none.err) == ("no token yet\n", "next: lichen token new NAME --scope predict\n")
    made = nursery.lichen(root, "token", "new", "shop", "--scope", "read", "--scope", "predict", "--expires", "30d")
    secret = made.out.strip()
    assert secret.startswith("lichen_")
    number = secret.split("_")[1]
    assert made.err.startswith(f"`shop` ({number}) is good for predict, read, until ")
    assert made.err.endswith("keep it: only its hash is stored, and it is not shown again\n")
    listed = nursery.lichen(root, "token", "list")
    assert listed.out.splitlines()[0].split() == ["id", "name", "scopes", "state", "made", "expires"]
    assert listed.out.splitlines()[1].split()[:5] == [number, "shop", "predict,", "read", "valid"]
    gone = nursery.lichen(root, "token", "revoke", "shop")
    assert gone.out == f"revoked `shop` ({number}); running services refuse it within a second\n"
    facts = nursery.lichen(root, "token", "list", "--json").facts["tokens"]
    assert [(one["id"], one["state"], one["scopes"]) for one in facts] == [(number, "revoked", ["predict", "read"])]
    for said in (listed, gone, nursery.lichen(root, "token", "list")):
        assert secret.split("_", 2)[2] not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "code", "what", "fix"),
    [
        (["new"], "LCH-1918", "`token new` needs a name", "name it: lichen token new shop"),
        (["revoke"], "LCH-1918", "`token revoke` needs a name", "name it: lichen token revoke shop"),
        (["list", "x"], "LCH-1918", "`token list` takes no name", "leave the name out"),
        (["list", "--expires", "1d"], "LCH-1917", "`token list` takes no --scope and no --expires", "leave them out"),
        (["revoke", "x", "--scope", "read"], "LCH-1917", "`token revoke` takes no --scope and no --expires", None),
        (["new", "x", "--expires", "soon"], "LCH-1916", "--expires: `soon` is not a duration", None),
    ],
)
def test_words_that_do_not_fit(
    root: Path, nursery: Nursery, words: list[str], code: str, what: str, fix: str | None
) -> None:
    ended = nursery.lichen(root, "token", *words, "--json")
    assert (ended.code, ended.error["code"]) == (2, code)
    assert str(ended.error["what"]).startswith(what)
    assert fix is None or ended.error["fix"] == fix
