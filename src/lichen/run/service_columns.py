"""What the columns of a service are made of, found by the lineage when it is built: a server needs nothing of this."""

from __future__ import annotations

from collections.abc import Mapping

from lichen.deploy.personal import Treated, treatments
from lichen.feature.featureset import FeatureSet
from lichen.graph.build import Asset, Graph
from lichen.graph.edges import project_lineage
from lichen.graph.lineage import Lineage
from lichen.graph.personal import of_service
from lichen.graph.prior import with_parents
from lichen.graph.roots import roots
from lichen.graph.version import Version
from lichen.spec import ProjectSpec, Service


def lineage_of(graph: Graph, versions: Mapping[str, Version], project: ProjectSpec) -> Lineage:
    """The lineage of a project, by the columns that its versions have."""
    columns = {version.relation: [column.name for column in version.columns] for version in versions.values()}
    return project_lineage(graph, project, columns)


def treated(asset: Asset, lineage: Lineage, project: ProjectSpec) -> Treated:
    """What the record makes of the columns of a service, by the classes of personal data that reach them."""
    service = asset.spec
    assert isinstance(service, Service)
    if not asset.personal:
        return {}
    request, features = of_service(service.model, asset.personal, lineage, project)
    views = with_parents(project.models[service.model].features, project.features)
    keys = {key for view in views for key in project.features[view].entity or ()}
    return treatments(request, features, keys) if request or features else {}


def source_columns(features: FeatureSet, lineage: Lineage, project: ProjectSpec) -> dict[str, list[str]]:
    """The source columns that each of these features is made of."""
    return {column.name: list(roots(lineage, project, *column.name.split(".", 1))) for column in features.features}
