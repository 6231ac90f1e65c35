from __future__ import annotations

from typing import Any

from lichen.deploy.personal import PERSONAL
from lichen.run.service_columns import lineage_of, treated


def test_a_service_knows_what_its_record_makes_of_each_column(shop: Any) -> None:
    shop.edit("sources/invoices.yaml", "customer: {type: varchar, null_share: 0}", "customer: {pii: sensitive}")
    shop.edit("sources/invoices.yaml", "range: [1, 1000000]}", "range: [1, 1000000], pii: quasi}")
    shop.edit("sources/customers.yaml", "accepted: [small, medium, large]}", "pii: sensitive}")
    project = shop.open()
    release = project.releases.current("prod")
    versions = project.releases.versions(release)
    assert PERSONAL not in versions["service.late_payment"].facts
    lineage = lineage_of(project.graph, versions, project.spec)
    found = treated(project.graph["service.late_payment"], lineage, project.spec)
    assert found == {
        "request": {"customer": "hashed", "amount": "coarsened"},
        "features": {"customer.size": "masked", "invoice.amount": "coarsened", "invoice.log_amount": "coarsened"},
    }


def test_classes_that_reach_no_column_of_a_service_change_nothing(shop: Any) -> None:
    shop.edit("sources/invoices.yaml", "paid_on: {type: date}", "paid_on: {type: date}\n    invoice: {pii: direct}")
    project = shop.open()
    versions = project.releases.versions(project.releases.current("prod"))
    asset = project.graph["service.late_payment"]
    assert len(asset.personal) == 1
    assert treated(asset, lineage_of(project.graph, versions, project.spec), project.spec) == {}
