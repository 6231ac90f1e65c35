"""Scores a table's rows with a model, each as of its own instant: features as they were known then."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from arro3.core import Array, ChunkedArray, DataType, RecordBatch
from arro3.core import Table as ArrowTable

from lichen.collect.staged import Staged, staging
from lichen.errors import FoundWrong, LichenError, did_you_mean
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.feature.value import becomes
from lichen.graph.build import Asset
from lichen.graph.version import Version
from lichen.ground.quoting import identifier, sql
from lichen.ground.stream import carried, each_batch
from lichen.ports import Arrow, Column, Engine, Fitted, Relation
from lichen.run.deployed import artifact_folder, features_of, released_table
from lichen.run.workshop import Workshop
from lichen.spec import ProjectSpec, Table
from lichen.spec.score import ADDED, MODEL_VERSION, SCORE
from lichen.train.artifact import load
from lichen.train.prepare import Preparation

VALUES = 50_000_000
"""How many values of features are worked out at a time: a table is scored in as many parts as that takes."""


def unaskable(
    asset: Asset, columns: tuple[Column, ...], features: Mapping[str, FeatureSet], project: ProjectSpec
) -> Iterator[LichenError]:
    """What a scored table lacks of a request to its model, or has in another type; `features` are models' by name."""
    table = asset.spec
    if not isinstance(table, Table) or table.score is None or table.score.model not in features:
        return
    given, model = {column.name: column.type for column in columns}, table.score.model
    where = project.where(asset.id, "score", "model")
    for column in features[model].request:
        if column.name not in given:
            yield FoundWrong(
                "LCH-2513",
                f"a request to `{model}` brings `{column.name}`, and `{asset.name}` has no such column",
                where=where,
                why="what a request would bring is taken from the columns of the scored table, by name",
                fix=did_you_mean(column.name, [name for name in given if name not in ADDED]),
            )
        elif not becomes(given[column.name], column.type):
            yield FoundWrong(
                "LCH-2514",
                f"a request to `{model}` brings `{column.name}` as {column.type}, and `{asset.name}` has it as "
                f"{given[column.name]}",
                where=where,
                why="what a request would bring is taken from the columns of the scored table, by name",
                fix=f"let the statement give it as {column.type}",
            )


def scored(
    staged: Staged,
    asset: Asset,
    inputs: Mapping[str, Version],
    versions: Mapping[str, Version],
    project: ProjectSpec,
    workshop: Workshop,
) -> Staged:
    """The staged rows of a table with the columns that scoring adds; the rows without them are removed."""
    table = asset.spec
    assert isinstance(table, Table)
    assert table.score is not None
    engine = workshop.engine
    own = tuple(column for column in staged.columns if column.name not in ADDED)
    try:
        score = _scoring(table.score.at, inputs[f"model.{table.score.model}"], versions, workshop)
        parts = _parts(staged, own, max(VALUES // len(score.features.features), 1), engine)
        with staging(workshop.tables.staging(asset.name)) as folder:
            files = engine.map_partitions(score, parts, folder)
    except BaseException as shown:
        error = carried(shown) or shown
        # An error about a file of its own, as one that cannot be read, keeps that place; one about our SQL has none.
        if not isinstance(error, LichenError) or error.exit_code != 1 or (error.where and error.where.line is None):
            raise
        where = project.where(asset.id, "score")
        raise type(error)(error.code, error.what, where=where, why=error.why, fix=error.fix) from shown
    finally:
        staged.discard()
    return Staged(folder, files, staged.columns)


def _parts(staged: Staged, own: tuple[Column, ...], most: int, engine: Engine) -> list[Relation]:
    """The staged rows in their order, in files of at most `most` rows, which are of about the same size."""
    files = staged.relation.files
    if any(file.rows > most for file in staged.files):
        rows = each_batch(engine.query("FROM rows", {"rows": Relation(own, files)}))
        pieces = _pieces(rows, math.ceil(staged.rows / math.ceil(staged.rows / most)))
        written = (engine.sql("FROM piece", {"piece": Relation(arrow=piece)}, staged.folder) for piece in pieces)
        files = tuple(str(staged.folder / file.path) for some in written for file in some)
    return [Relation(own, (file,)) for file in files]


def _pieces(batches: Iterator[RecordBatch], size: int) -> Iterator[ArrowTable]:
    """The rows of batches in tables of `size` rows, the last of what is left."""
    held: list[RecordBatch] = []
    lacking = size
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            taken = batch.slice(start, min(lacking, batch.num_rows - start))
            held.append(taken)
            start, lacking = start + taken.num_rows, lacking - taken.num_rows
            if not lacking:
                yield ArrowTable.from_batches(held)
                held, lacking = [], size
    if held:
        yield ArrowTable.from_batches(held)


def _scoring(at: str, trained: Version, versions: Mapping[str, Version], workshop: Workshop) -> _Scoring:
    workshop.prepare_kernels()
    features = features_of(trained.facts["recipe"], workshop)
    preparation, fitted = load(artifact_folder(trained, workshop), trained.facts["artifact"], workshop.learner)
    tables = {view.table: workshop.relation(released_table(view.table, versions)) for view in features.views}
    return _Scoring(at, trained.version, features, tables, preparation, fitted, workshop.engine)


@dataclass(frozen=True)
class _Scoring:
    """Adds scores to rows: those of one model version, each as of the instant in the column `at`."""

    at: str
    version: str
    features: FeatureSet
    tables: Mapping[str, Relation]
    preparation: Preparation
    fitted: Fitted
    engine: Engine

    def __call__(self, rows: Arrow) -> Arrow:
        """One partition's rows with their scores, in their order; null where there is no instant."""
        given = ArrowTable.from_arrow(rows)
        names = list(dict.fromkeys([self.at, *(column.name for column in self.features.request)]))
        asked = Relation(arrow=given.select(names))
        joined = ArrowTable.from_arrow(join(self.features, asked, self.at, self.tables, self.engine))
        matrix = self.preparation.matrix(Relation(arrow=joined), self.engine)
        scores = ArrowTable.from_arrow(self.fitted.predict(matrix)).column(SCORE).to_numpy()
        made = given.append_column(SCORE, ChunkedArray([self._where_dated(asked, scores)]))
        of = Array([self.version] * given.num_rows, type=DataType.utf8())
        found: Arrow = made.append_column(MODEL_VERSION, ChunkedArray([of]))
        return found

    def _where_dated(self, asked: Relation, scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Array:
        """The scores, null where a row says no instant."""
        moment = identifier(self.at)
        dated = sql("SELECT coalesce(isfinite(", moment, "), false) AS dated FROM rows")
        found = ArrowTable.from_arrow(self.engine.query(dated, {"rows": asked})).column("dated").to_numpy()
        if found.all():
            return Array.from_numpy(np.ascontiguousarray(scores, np.float64))
        values = [score if there else None for score, there in zip(scores.tolist(), found.tolist(), strict=True)]
        return Array(values, type=DataType.float64())
