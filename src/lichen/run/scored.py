"""Scores a table's rows with a model, each as of its own instant: features as they were known then."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from arro3.core import Array, DataType, Table

from lichen.collect.staged import Staged, staging
from lichen.errors import FoundWrong, did_you_mean
from lichen.feature.featureset import FeatureSet
from lichen.feature.join import join
from lichen.graph.build import Asset
from lichen.graph.version import Version
from lichen.ports import Arrow, Column, Fitted, Relation
from lichen.run.deployed import artifact_folder, features_of, released_table
from lichen.run.workshop import Workshop
from lichen.spec import ProjectSpec
from lichen.spec import Table as TableSpec
from lichen.spec.score import MODEL_VERSION, SCORE
from lichen.train.artifact import load
from lichen.train.prepare import Preparation


def refuse_unasked(
    asset: Asset, columns: tuple[Column, ...], features: Mapping[str, FeatureSet], project: ProjectSpec
) -> None:
    """Refuse a scored table that lacks a column by which its model is asked."""
    table = asset.spec
    if not isinstance(table, TableSpec) or table.score is None or table.score.model not in features:
        return
    there = [column.name for column in columns]
    for column in features[table.score.model].request:
        if column.name not in there:
            raise FoundWrong(
                "LCH-1892",
                f"`{asset.name}` has no column `{column.name}`, by which the model `{table.score.model}` is asked",
                where=project.where(asset.id, "score", "model"),
                fix=did_you_mean(column.name, there),
            )


def scored(
    staged: Staged, asset: Asset, inputs: Mapping[str, Version], versions: Mapping[str, Version], workshop: Workshop
) -> Staged:
    """The staged rows of a table with the columns that scoring adds; the rows without them are removed."""
    table = asset.spec
    assert isinstance(table, TableSpec)
    assert table.score is not None
    trained = inputs[f"model.{table.score.model}"]
    features = features_of(trained.facts["recipe"], workshop)
    kept = load(artifact_folder(trained, workshop), trained.facts["artifact"], workshop.learner)
    relations = {view.table: workshop.relation(released_table(view.table, versions)) for view in features.views}
    score = partial(_score, features, kept, relations, table.score.at, trained.version, workshop)
    own = staged.columns[:-2]
    parts = [Relation(own, (path,)) for path in staged.relation.files]
    try:
        workshop.prepare_kernels()
        with staging(workshop.tables.staging(asset.name)) as folder:
            files = workshop.engine.map_partitions(score, parts, folder)
    finally:
        staged.discard()
    return Staged(folder, files, staged.columns)


def _score(
    features: FeatureSet,
    kept: tuple[Preparation, Fitted],
    relations: Mapping[str, Relation],
    at: str,
    version: str,
    workshop: Workshop,
    rows: Arrow,
) -> Arrow:
    """One partition's rows with their scores, in their order."""
    preparation, fitted = kept
    given = Table.from_arrow(rows)
    joined = Table.from_arrow(join(features, Relation(arrow=given), at, relations, workshop.engine))
    matrix = preparation.matrix(Relation(arrow=joined), workshop.engine)
    scores = np.asarray(Table.from_arrow(fitted.predict(matrix)).column("score").to_numpy(), np.float64)
    undated = [one is None for one in given.column(at).to_pylist()]
    values = [None if gone else score for gone, score in zip(undated, scores.tolist(), strict=True)]
    whole = [given.column(name).combine_chunks() for name in given.column_names]
    added = [Array(values, type=DataType.float64()), Array([version] * given.num_rows, type=DataType.utf8())]
    made: Arrow = Table.from_arrays([*whole, *added], names=[*given.column_names, SCORE, MODEL_VERSION])
    return made
