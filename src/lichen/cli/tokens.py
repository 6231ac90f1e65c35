"""The verb `token`: what it prints of the tokens that are made, listed and revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lichen.cli.command import emit, talk, tell
from lichen.cli.document import aligned
from lichen.errors import WrongUsage
from lichen.ground.duration import parse_duration

if TYPE_CHECKING:
    from lichen.project import Project


def token(
    project: Project, act: str, name: str | None, scopes: Sequence[str], expires: str | None, *, as_json: bool
) -> None:
    """Carry out one act on the project's tokens, and print what came of it."""
    if act != "new" and (scopes or expires):
        raise WrongUsage("LCH-1917", f"`token {act}` takes no --scope and no --expires", fix="leave them out")
    if (name is None) == (act != "list"):
        fix = "leave the name out" if act == "list" else f"name it: lichen token {act} shop"
        raise WrongUsage("LCH-1918", f"`token {act}` {'takes no name' if name else 'needs a name'}", fix=fix)
    now = project.tokens.now_us()
    if act == "list":
        _list([one.shown(now) for one in project.tokens.all()], as_json=as_json)
    elif act == "revoke":
        assert name is not None
        gone = project.tokens.revoke(name).shown(now)
        if as_json:
            emit("token", {"token": gone})
        else:
            tell(f"revoked `{gone['name']}` ({gone['id']}); running services refuse it within a second")
    else:
        assert name is not None
        made = project.tokens.new(name, scopes or ("predict",), _span(expires))
        facts = made.token.shown(now)
        if as_json:
            emit("token", {"token": facts, "secret": made.secret.reveal()})
        else:
            tell(made.secret.reveal())
            ends = f", until {facts['expires'][:19]}" if facts["expires"] else ""
            talk(f"`{name}` ({facts['id']}) is good for {', '.join(facts['scopes'])}{ends}")
            talk("keep it: only its hash is stored, and it is not shown again")


def _list(tokens: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        emit("token", {"tokens": list(tokens)})
        return
    if not tokens:
        tell("no token yet")
        talk("next: lichen token new NAME --scope predict")
        return
    rows: list[Sequence[str]] = [("id", "name", "scopes", "state", "made", "expires")]
    rows += [
        (
            one["id"],
            one["name"],
            ", ".join(one["scopes"]),
            one["state"],
            one["made"][:19],
            (one["expires"] or "never")[:19],
        )
        for one in tokens
    ]
    for line in aligned(rows):
        tell(line)


def _span(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise WrongUsage("LCH-1916", f"--expires: {error}") from error
