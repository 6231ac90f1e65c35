"""What a name means at a place of a statement: the relations in FROM, the aliases beside it, the query around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from lichen.graph.origin import NOTHING, Origins, merged


class Unread(Exception):
    """A part of a statement that cannot be read with certainty; what is around it is then taken as opaque."""


@dataclass(frozen=True)
class Cell:
    """A column of a shape: its name in small letters where that is certain, and where its values come from."""

    name: str | None
    origins: Origins
    start: tuple[int, int] | None = None
    """Line and column of the expression that makes it, where it has a place of its own."""

    shown: str | None = None
    """The name as it is written."""


@dataclass(frozen=True)
class Shape:
    """The columns of a relation or a query, and where its rows come from.

    `cells` is None where not even the columns are known; `any_column` then gives the origins of a column by its name.
    `ragged`: there may be more columns than cells, so that they cannot be told apart by place.
    """

    cells: tuple[Cell, ...] | None
    rows: Origins = field(default_factory=dict)
    any_column: Callable[[str], Origins] | None = None
    ragged: bool = False

    @property
    def placed(self) -> tuple[Cell, ...]:
        """The columns by place; `Unread` where they are not known that well."""
        if self.cells is None or self.ragged:
            raise Unread("which columns there are is not known")
        return self.cells

    def column(self, name: str) -> Origins | None:
        """Where a column's values come from; None where there is none of that name."""
        if self.cells is None:
            return None
        found = [cell.origins for cell in self.cells if cell.name == name]
        return merged(found) if found else None

    def guess(self, name: str) -> Origins | None:
        """The same for a name that DuckDB may have made up, or of a relation whose columns are not known."""
        if self.cells is None:
            return self.any_column(name) if self.any_column else None
        names = [cell.name for cell in self.cells]
        doubtful = [cell.origins for cell in self.cells if cell.name is None or names.count(cell.name) > 1]
        return merged(doubtful) if doubtful else None

    def whole(self) -> Origins:
        """Where all of its columns come from, its rows left out."""
        if self.cells is None:
            return self.any_column("*") if self.any_column else NOTHING
        return merged(cell.origins for cell in self.cells)

    def reached_by(self, more: Origins) -> Shape:
        """The same where these reach each of its columns, too."""
        if self.cells is not None:
            cells = tuple(replace(cell, origins=merged([cell.origins, more])) for cell in self.cells)
            return replace(self, cells=cells)
        any_column = self.any_column
        return replace(self, any_column=lambda name: merged([any_column(name) if any_column else NOTHING, more]))

    def renamed(self, names: Sequence[str]) -> Shape:
        """The same with other names for the first columns, as in `AS t(a, b)`."""
        if not names:
            return self
        cells = self.cells if self.cells is not None and len(names) <= len(self.cells) else self.placed
        if len(names) > len(cells):
            raise Unread("there are more names than columns")
        new = [replace(cell, name=name.lower(), shown=name) for cell, name in zip(cells, names, strict=False)]
        return replace(self, cells=(*new, *cells[len(names) :]))


@dataclass
class Item:
    """A relation in FROM under the name that the query gives it; `hidden` columns are not shown by `*`."""

    name: str | None
    shape: Shape
    hidden: frozenset[str] = frozenset()


@dataclass
class Scope:
    """The names that an expression may use."""

    query: Callable[[exp.Expr, Scope], Shape]
    """How a query inside an expression is read."""

    ctes: Mapping[str, Shape] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    aliases: dict[str, Origins] = field(default_factory=dict)
    windows: Mapping[str, exp.Window] = field(default_factory=dict)
    outer: Scope | None = None
    multiplied: list[Origins] = field(default_factory=list)
    """What was unnested in an expression: it decides how many rows there are."""

    sorted_by: list[Origins] = field(default_factory=list)
    """What windows go by: rows come out of them in that order."""

    def inner(self) -> Scope:
        """The scope of a query inside this one."""
        return Scope(self.query, self.ctes, outer=self)

    def around(self) -> Iterator[Scope]:
        """This scope and those around it, from the inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def visible(self) -> Origins:
        """All that an expression here could name."""
        return merged(
            origins
            for scope in self.around()
            for origins in (*(item.shape.whole() for item in scope.items), *scope.aliases.values())
        )

    def named(self, parts: Sequence[str], *, aliases_too: bool = False) -> Origins | None:
        """What a name of one or several parts means, None where it means nothing here.

        A column of FROM hides an alias of the same name in the list of SELECT. Elsewhere (`aliases_too`) either may
        be meant, so that it is both.
        """
        guesses: list[Origins] = []
        for scope in self.around():
            found = scope.here(parts, Shape.column)
            alias = scope.aliases.get(parts[0])
            if found is not None:
                return merged([found, *guesses, *([alias] if alias is not None and aliases_too else [])])
            # What is no column here may be an alias, a name that DuckDB made up, or stand in the query around.
            guess = scope.here(parts, Shape.guess)
            guesses += [origins for origins in (alias, guess) if origins is not None]
        return merged(guesses) if guesses else None

    def here(self, parts: Sequence[str], column: Callable[[Shape, str], Origins | None]) -> Origins | None:
        """What a name means among the relations in FROM: a column, a field of one, or a relation's whole row."""
        of = [item for item in self.items if item.name == parts[0]]
        hits = [origins for item in of if len(parts) > 1 and (origins := column(item.shape, parts[1])) is not None]
        if not hits or column is Shape.column:
            hits += [origins for item in self.items if (origins := column(item.shape, parts[0])) is not None]
        if not hits and len(parts) == 1:
            hits = [item.shape.whole() for item in of]
        return merged(hits) if hits else None

    def shown(self, relation: str | None = None) -> list[tuple[Item, Cell]]:
        """What `*` or `relation.*` shows; a column that USING joins is shown once, with all it comes from."""
        items = [item for item in self.items if relation in (None, item.name)]
        if not items:
            raise Unread(f"`{relation}.*` names nothing that is read here")
        pairs = [(item, cell) for item in items for cell in item.shape.placed]
        if relation is not None:
            return pairs
        hidden = {name for item in self.items for name in item.hidden}
        return [
            (item, replace(cell, origins=self._joined(cell.name)) if cell.name in hidden else cell)
            for item, cell in pairs
            if cell.name not in item.hidden
        ]

    def _joined(self, name: str | None) -> Origins:
        parts = [item.shape.column(name or "") for item in self.items]
        return merged(part for part in parts if part is not None)
