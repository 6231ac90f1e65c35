"""What names mean in a statement whose columns are hashed by what makes them.

A relation may be read twice, so a column is told by the item of FROM that it is of. The first item's columns are what
they are there; those of a joined item are marked with its relation and how many before it have the same; those of the
query around a subquery with how deep it stands. The rows' hash holds the items in their order, so that under one
hash a mark means one item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from lichen.ground.digest import digest


@dataclass(frozen=True)
class Shape:
    """What can stand in FROM: its columns by place (None: not known), and what decides on its rows.

    `relation` is the name of what the project reads, empty for a query; `level` how deep joins are nested in it.
    """

    columns: tuple[tuple[str | None, str], ...] | None
    rows: str
    name: str | None = None
    hidden: frozenset[str] = frozenset()
    marks: tuple[str, ...] = ()
    relation: str = ""
    level: int = 0

    def column(self, name: str) -> str | None:
        """The hash of a column; of one whose name may be any, a hash of all it could be."""
        if self.columns is None:
            return digest(["any", self.rows, name, self.marks])
        found = [made for own, made in self.columns if own == name]
        return digest(found) if len(found) > 1 else found[0] if found else None

    def whole(self) -> str:
        """The hash of all that it is."""
        return digest([self.columns, self.rows, self.marks])

    def marked(self, mark: str, level: int) -> Shape:
        """The same with columns that are told from those of any item without this mark."""
        columns = self.columns and tuple((name, digest(["of", mark, made])) for name, made in self.columns)
        return replace(self, columns=columns, marks=(*self.marks, mark), level=max(self.level, level))

    def renamed(self, names: Sequence[str]) -> Shape:
        """The same with these names for its first columns."""
        if not names or self.columns is None:
            return self
        pairs = zip(names, self.columns, strict=False)
        new = tuple((name.lower(), made) for name, (_, made) in pairs)
        return replace(self, columns=(*new, *self.columns[len(names) :]))


@dataclass
class Names:
    """What names mean at a place; `label` is what the place is called."""

    label: str
    ctes: dict[str, Shape] = field(default_factory=dict)
    items: list[Shape] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    outer: Names | None = None
    windows: str = ""
    joined: Counter[str] = field(default_factory=Counter)
    sums: bool = False

    @property
    def depth(self) -> int:
        """How many queries this one stands in."""
        return 0 if self.outer is None else self.outer.depth + 1

    def chain(self) -> Iterator[Names]:
        """It and those around it, from the inside."""
        yield self
        if self.outer is not None:
            yield from self.outer.chain()

    def inner(self, label: str) -> Names:
        """What names mean in a query inside, so far."""
        return Names(label, dict(self.ctes), outer=self)

    @property
    def level(self) -> int:
        """How deep joins are nested in it."""
        return max((item.level for item in self.items), default=0)

    def join(self, before: int, first: int) -> None:
        """Mark the items from `before` on as joined to those from `first` on.

        A level higher than theirs keeps the marks apart from those that their own columns have from inside.
        """
        relation = self.items[before].relation
        self.joined[relation] += 1
        level = max(self.items[0].level, self.items[first].level) + 1
        mark = digest([level, relation, self.joined[relation]])
        self.items[before:] = [item.marked(mark, level) for item in self.items[before:]]

    def sum_up(self, columns: Sequence[Sequence[str]]) -> None:
        """Note an aggregate of these columns: it is the query's whose columns they are, in a query inside too."""
        if self.outer is None or not columns or any(self.certain(parts) for parts in columns):
            self.sums = True
        else:
            self.outer.sum_up(columns)

    def meaning(self, parts: Sequence[str], aliases_too: bool) -> list[str]:
        """The hashes of all that a name may mean: of the innermost scope that knows it for certain, and inside."""
        found: list[str] = []
        for scope in self.chain():
            certain = scope.certain(parts)
            alias = scope.aliases.get(parts[0])
            here = [digest(["alias", alias, parts[1:]])] if alias is not None and (aliases_too or not certain) else []
            here += certain
            here += [
                digest([item.column(parts[-1]), item.name == parts[0]]) for item in scope.items if item.columns is None
            ]
            found += here if scope is self else [digest(["outer", scope.depth, made]) for made in here]
            if certain:
                break
        return sorted(set(found))

    def certain(self, parts: Sequence[str]) -> list[str]:
        """The hashes of the columns, or else of the relations, that have this name in this scope."""
        known = [item for item in self.items if item.columns is not None]
        if len(parts) > 1:
            of = [item for item in known if item.name == parts[0]]
            found = [made for item in of if (made := item.column(parts[1])) is not None]
            if found:
                return found
        found = [made for item in known if (made := item.column(parts[0])) is not None]
        found = found or [item.whole() for item in known if item.name == parts[0]]
        return [digest(["in", made, parts[1:]]) for made in found] if len(parts) > 1 else found
