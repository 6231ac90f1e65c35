from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from arro3.core import Table
from planted import plant

from lichen.errors import FoundWrong
from lichen.feature.featureset import FeatureSet
from lichen.graph.version import Version
from lichen.ports import Relation
from lichen.run.deployed import features_of, prove_services, released_table, view_keys
from lichen.run.proven import _AT, _CUT, _sampled, prove, prove_state

MODEL, SERVICE = "model.late_payment", "service.late_payment"


class Made:
    """What a released service is proven by."""

    def __init__(self, shop: Any) -> None:
        self.project = shop.open()
        self.workshop = self.project.workshop
        self.versions = self.project.releases.versions(self.project.releases.current("prod"))
        self.trained: Version = self.versions[MODEL]
        self.features: FeatureSet = features_of(self.trained.facts["recipe"], self.workshop)
        self.keys = view_keys(self.features, self.versions)
        self.sources = {
            view.name: self.workshop.relation(released_table(view.table, self.versions)) for view in self.features.views
        }

    def prove(self, features: FeatureSet | None = None, trained: Version | None = None) -> dict[str, int]:
        named = features or self.features, trained or self.trained, self.sources
        return prove("late_payment", *named, self.keys, self.workshop)

    def with_value(self, old: str, new: str) -> FeatureSet:
        """The features with the values of `customer_payments` changed."""

        def edited(view: Any) -> Any:
            values = tuple(replace(one, value=one.value.replace(old, new)) for one in view.aggregates)
            return replace(view, aggregates=values)

        return replace(self.features, views=tuple(map(edited, self.features.views)))

    def with_rows(self, select: str) -> Version:
        """The trained version with a SELECT of its training set (`t`) as its training set."""
        rows, tables = self.workshop.relation(self.trained), self.workshop.tables
        folder = tables.staging(self.trained.relation)
        files = tables.adopt(self.trained.relation, folder, self.workshop.engine.sql(select, {"t": rows}, folder))
        return replace(self.trained, files=files)


@pytest.fixture
def made(shop: Any) -> Made:
    return Made(shop)


def test_a_service_is_proven_when_it_is_made(made: Made) -> None:
    proof = {"rows": 1000, "values": len(made.features.features), "cuts": 4}
    assert made.versions[SERVICE].facts["parity"] == proof
    assert made.versions[SERVICE].facts["notes"][1] == f"parity: 1,000 rows x {proof['values']} values equal"
    assert made.project.status()["service"]["parity"] == proof
    assert not list((made.project.root / ".lichen/scratch").glob("parity-*"))
    assert made.prove() == proof


def test_the_sample_is_the_same_each_time_and_of_every_quarter(made: Made) -> None:
    rows = made.workshop.relation(made.trained)
    at = made.trained.facts["label"]["at"]
    first, again = (_sampled(made.features, at, rows, made.workshop.engine) for _ in range(2))
    assert first == again
    assert [first.column(_CUT).to_pylist().count(cut) for cut in (1, 2, 3, 4)] == [250] * 4
    instants = first.column(_AT).to_pylist()
    assert instants == sorted(instants)


def test_where_there_are_fewer_rows_all_are_asked(made: Made) -> None:
    few = made.with_rows("SELECT * FROM t ORDER BY hash(invoice) LIMIT 7")
    assert made.prove(trained=few)["rows"] == 7
    twice = made.with_rows("FROM (SELECT * FROM t ORDER BY hash(invoice) LIMIT 7) AS t, range(3) AS r(r) SELECT t.*")
    assert made.prove(trained=twice)["rows"] == 7, "rows that ask the same are one question"
    assert made.prove(trained=made.with_rows("SELECT * FROM t LIMIT 0"))["rows"] == 0


def test_an_online_path_that_is_not_what_was_learned_from_is_refused(made: Made) -> None:
    with pytest.raises(FoundWrong) as refused:
        made.prove(made.with_value("days_late", "days_late + 1"))
    error = refused.value
    assert (error.code, error.what) == (
        "LCH-2970",
        "`late_payment` would answer with another `customer_payments.days_late_60d` than its model learned from",
    )
    assert error.why is not None
    assert error.why.startswith("for customer = ")
    assert " training joined " in error.why
    assert ", and the online path gives " in error.why
    assert error.why.endswith(" more differ: " + error.why.rpartition(" differ: ")[2])
    assert " of 1,000 rows, and " in error.why
    assert error.fix is not None
    assert error.fix.startswith("nothing was released; train again with this version of Lichen")


def test_an_expression_is_proven_too(made: Made) -> None:
    changed = made.with_rows('SELECT * REPLACE ("invoice.log_amount" + 1 AS "invoice.log_amount") FROM t')
    with pytest.raises(FoundWrong) as refused:
        made.prove(trained=changed)
    assert refused.value.what.startswith("`late_payment` would answer with another `invoice.log_amount` ")
    assert "customer = " in (refused.value.why or "")
    assert ", amount = " in (refused.value.why or ""), "an expression is of the whole request"
    assert "so it is in 1,000 of 1,000 rows" in (refused.value.why or "")


def test_a_store_that_was_written_to_is_refused(made: Made) -> None:
    key = plant(made.project, "customer_payments", "days_late", "days_late + 1")
    for proving in (prove, prove_state):
        with pytest.raises(FoundWrong) as refused:
            proving("late_payment", made.features, made.trained, made.sources, made.keys, made.workshop)
        error = refused.value
        assert error.code == "LCH-2971"
        assert error.what.startswith("the online store gives `late_payment` another `customer_payments.days_late_")
        assert error.what.endswith("` than the tables say")
        assert error.why is not None
        assert error.why.startswith("for customer = ")
        assert f", and `{key}` in the store gives " in error.why
        assert " of 1,000 requests" in error.why
        assert error.fix == (
            "nothing was released; something else than Lichen wrote to .lichen/online.db, or it is damaged: remove it, "
            "for it is made anew of the tables, and do this again"
        )


def test_services_that_were_made_before_are_proven_by_what_they_lack(made: Made) -> None:
    service = made.versions[SERVICE]
    prove_services([service], made.versions, made.workshop)
    plant(made.project, "customer_payments", "days_late", "days_late + 1")
    with pytest.raises(FoundWrong, match="LCH-2971"):
        prove_services([service], made.versions, made.workshop)
    wrong = made.with_rows('SELECT * REPLACE ("invoice.log_amount" + 1 AS "invoice.log_amount") FROM t')
    unproven = replace(service, facts={key: fact for key, fact in service.facts.items() if key != "parity"})
    with pytest.raises(FoundWrong, match="LCH-2970"):
        prove_services([unproven], {**made.versions, MODEL: wrong}, made.workshop)
    held = wrong.with_facts(held=["its gate failed"])
    prove_services([unproven], {**made.versions, MODEL: held}, made.workshop)


def test_a_service_that_is_taken_from_an_earlier_run_is_proven_again(shop: Any) -> None:
    shop.edit("services/late_payment.yaml", "durable: ", "durable: 1")
    assert shop.open().run().release.number == 2
    shop.edit("services/late_payment.yaml", "durable: 1", "durable: ")
    plant(shop.open(), "customer_payments", "days_late", "days_late + 1")
    with pytest.raises(FoundWrong, match="LCH-2971"):
        shop.open().run()
    assert shop.open().status()["release"] == 2


def test_requests_without_columns_are_asked_too(made: Made) -> None:
    rows = Table.from_arrow(made.workshop.engine.query("SELECT make_timestamptz(0) AS at, 1 AS n", {}))
    nothing = FeatureSet((), (), (), ())
    found = _sampled(nothing, "at", Relation(arrow=rows), made.workshop.engine)
    assert found.column(_AT).to_pylist() == [0]
