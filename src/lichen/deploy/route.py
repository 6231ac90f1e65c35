"""The addresses a service answers at: a table, of which each row says what its caller must be allowed to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from lichen.deploy.refused import Refused, shown
from lichen.deploy.reply import Reply, Tells, told
from lichen.deploy.token import Scope


@dataclass(frozen=True)
class Route:
    """A method and an address, what its caller must be allowed to do, and what replies.

    `scope` is None where nobody needs a token: what such a route tells must tell nothing of the service.
    A part of `path` in braces stands for one part of an address; `reply` is given it by its name, after the request's
    headers and its body's source. `tells` tells refusals as the route's protocol wants them.
    A `queried` one is given the address's query, too.
    """

    method: str
    path: str
    scope: Scope | None
    reply: Callable[..., Awaitable[Reply]]
    tells: Tells = told
    queried: bool = False


class Routes:
    """A service's routes, found by their address; there is no other way in.

    >>> async def reply(headers, receive, name=""): ...
    >>> routes = Routes([Route("GET", "/models/{name}/ready", "read", reply)])
    >>> route, named = routes.at("/models/late/ready")
    >>> route.scope, named
    ('read', {'name': 'late'})
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self.all = tuple(routes)
        self._plain = {route.path: route for route in routes if "{" not in route.path}
        self._named = [(tuple(route.path.split("/")), route) for route in routes if "{" in route.path]

    def at(self, path: str) -> tuple[Route | None, Mapping[str, str]]:
        """The route of an address, whatever the method, and the parts it names."""
        route = self._plain.get(path)
        if route is not None:
            return route, {}
        parts = path.split("/")
        for wanted, route in self._named:
            if len(wanted) == len(parts):
                named = _named(wanted, parts)
                if named is not None:
                    return route, named
        return None, {}

    def refusal(self, route: Route | None, method: str) -> Refused:
        """The refusal of an address that there is none of, or of a method that its route does not take."""
        if route is not None:
            return Refused(405, "LCH-1810", f"this address does not take {shown(method)}", fix=f"use {route.method}")
        there = ", ".join(route.path for route in self.all if route.path != "/v2/")
        return Refused(404, "LCH-1809", "there is nothing at this address", fix=f"it is one of: {there}")


def _named(wanted: Sequence[str], parts: Sequence[str]) -> dict[str, str] | None:
    named = {}
    for want, part in zip(wanted, parts, strict=True):
        if want.startswith("{"):
            if not part:
                return None
            named[want[1:-1]] = part
        elif want != part:
            return None
    return named
