"""Which columns of a service hold personal data, found when it is built: a server needs nothing of this."""

from __future__ import annotations

from collections.abc import Mapping

from lichen.deploy.personal import Treated, treatments
from lichen.graph.build import Asset, Graph
from lichen.graph.edges import project_lineage
from lichen.graph.personal import of_service
from lichen.graph.prior import with_parents
from lichen.graph.version import Version
from lichen.spec import ProjectSpec, Service


def treated(asset: Asset, graph: Graph, versions: Mapping[str, Version], project: ProjectSpec) -> Treated:
    """What the record makes of the columns of a service, by the classes that reach them through the lineage."""
    service = asset.spec
    assert isinstance(service, Service)
    columns = {version.relation: [column.name for column in version.columns] for version in versions.values()}
    lineage = project_lineage(graph, project, columns)
    request, features = of_service(service.model, asset.personal, lineage, project)
    views = with_parents(project.models[service.model].features, project.features)
    keys = {key for view in views for key in project.features[view].entity or ()}
    return treatments(request, features, keys) if request or features else {}
