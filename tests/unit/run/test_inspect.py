from __future__ import annotations

from typing import Any

import pytest

MODEL = "models/late_payment.yaml"


def told(shop: Any) -> dict[str, str]:
    """The place and the sentence of each error that `check` finds."""
    return {f"{error.where}": f"{error.code}: {error.what}" for error in shop.open().check().errors}


def place(shop: Any, word: str, name: str = MODEL) -> str:
    lines = (shop.root / name).read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if word in line)
    return f"{name}:{number + 1}:{lines[number].index(word) + 1}"


def test_a_project_without_a_mistake(fresh: Any) -> None:
    found = fresh.open().check()
    found.refuse()
    assert sum(map(len, found.columns.values())) == 22
    assert list(found.features) == ["late_payment"]


def test_every_mistake_of_a_model_is_told_at_once_where_it_stands(fresh: Any) -> None:
    for old, new in [
        ("value: late ", "value: lete "),
        ("at: issued_at ", "at: invoice "),
        ("learner: logistic", "learner: forest"),
        ("{C: 0.1}", "{tree: 0.1}"),
        ("roc_auc: {min", "roc_auk: {min"),
        ("[invoice.amount]", "[invoice.amont]"),
        ("[customer.size]", "[customer.sise]"),
        ("task: classification", "prediction_time: {from: isued_at, tolerance: 5m}\ntask: classification"),
    ]:
        fresh.edit(MODEL, old, new)
    fresh.edit("features/invoice.yaml", "terms_days: bigint}", "terms_days: bigint, due: timestamptz}")
    fresh.edit("features/customer.yaml", "[country, size]", "[country, size, age]")
    fresh.edit("features/customer.yaml", ", age]", "]")
    assert told(fresh) == {
        place(fresh, "lete"): "LCH-2501: the label table `invoice_labels` has no column `lete`",
        place(fresh, "invoice  "): (
            "LCH-2503: `label.at: invoice` is BIGINT, and has to be an instant (TIMESTAMP WITH TIME ZONE)"
        ),
        place(fresh, "roc_auk"): "LCH-2960: the gate names `roc_auk`, which is no metric of classification",
        place(fresh, "tree"): "LCH-2505: the learner `forest` has no parameter `tree`",
        place(fresh, "invoice_labels"): (
            "LCH-2502: a request brings `due`, and the label table `invoice_labels` has no such column"
        ),
        place(fresh, "isued_at"): told(fresh)[place(fresh, "isued_at")],
        place(fresh, "customer.sise"): (
            "LCH-2508: `slices` names `customer.sise`, which is no feature and no column of `invoice_labels`"
        ),
        place(fresh, "[invoice.amont]"): "LCH-2910: `exclude` names `invoice.amont`, which is no feature",
        place(fresh, "[customer_payments,"): (
            "LCH-2912: the feature `invoice.due` is TIMESTAMP WITH TIME ZONE, "
            "and a model reads numbers, booleans, texts and vectors"
        ),
    }
    assert "isued_at" in told(fresh)[place(fresh, "isued_at")]


def test_a_service_whose_requests_name_no_entity_is_not_rolled_out_by_entity(fresh: Any) -> None:
    rollout = "rollout: {canary: 0.1, by: entity, for: 1h}"
    fresh.edit("services/late_payment.yaml", "model: late_payment", f"model: late_payment\n{rollout}")
    assert fresh.open().check().errors == []
    fresh.edit(MODEL, "features: [customer_payments, customer, invoice]", "features: [invoice]")
    fresh.edit(MODEL, "slices: [customer.size]", "slices: []")
    (error,) = fresh.open().check().errors
    assert str(error).startswith(
        "LCH-2515: `late_payment` cannot be rolled out by entity: a request to it names none\n"
        "  at services/late_payment.yaml:3:28\n"
    )
    assert error.fix == "go by request: by: request"


def test_a_prediction_time_has_to_be_an_instant(fresh: Any) -> None:
    fresh.edit(MODEL, "task:", "prediction_time: {from: amount + 1, tolerance: 5m}\ntask:")
    (error,) = fresh.open().check().errors
    assert str(error).startswith("LCH-2507: `prediction_time.from` is DOUBLE, and has to be an instant (TIMESTAMP WITH")
    assert error.fix == "compute it of a column of the request that is one"


def test_an_unknown_learner_and_a_task_it_does_not_learn(fresh: Any) -> None:
    fresh.edit(MODEL, "learner: logistic", "learner: logistik")
    (error,) = fresh.open().check().errors
    assert (error.code, error.fix) == ("LCH-2504", "did you mean `logistic`?")
    fresh.edit(MODEL, "learner: logistik", "learner: logistic")
    fresh.edit(MODEL, "task: classification", "task: regression")
    errors = fresh.open().check().errors
    assert [error.code for error in errors] == ["LCH-2901", "LCH-2960", "LCH-2960", "LCH-2506"]
    assert errors[-1].what == "the learner `logistic` does not learn regression"
    assert errors[-1].fix == "it learns classification; or choose another learner"


def test_a_view_that_no_model_reads_is_looked_at_too_and_once(fresh: Any) -> None:
    fresh.edit("features/customer.yaml", "[country, size]", "[country, size, age]")
    (error,) = fresh.open().check().errors
    assert str(error).startswith("LCH-2622: `customers` has no column `age`\n  at features/customer.yaml:")
    fresh.edit(MODEL, "customer_payments, customer, ", "customer_payments, ")
    fresh.edit(MODEL, "[customer.size]", "[]")
    assert [error.code for error in fresh.open().check().errors] == ["LCH-2622"]


def test_what_reads_a_faulty_table_is_not_looked_at(fresh: Any) -> None:
    fresh.edit("tables/payments.sql", "amount,\n", "amont,\n")
    assert len(fresh.open().check().errors) == 1


def test_a_static_view_of_the_label_table_is_refused(fresh: Any) -> None:
    fresh.edit("features/customer.yaml", "from: customers", "from: invoice_labels")
    fresh.edit("features/customer.yaml", "[country, size]", "[late]")
    fresh.edit(MODEL, "[customer.size]", "[]")
    (error,) = fresh.open().check().errors
    assert (f"{error.code}: {error.what}", str(error.where)) == (
        "LCH-2509: `late_payment` would learn from its own labels: the static view `customer` reads `invoice_labels`",
        place(fresh, "true ", "features/customer.yaml"),
    )
    assert error.fix == "give the table a `time` and a `known`, and take `static: true` away"


def test_nothing_may_ask_for_the_time_of_the_run(fresh: Any) -> None:
    fresh.edit(MODEL, "task:", "prediction_time: {from: now() - INTERVAL 1 HOUR, tolerance: 5m}\ntask:")
    assert told(fresh) == {place(fresh, "now()"): "LCH-2007: `now` gives another answer each time it is asked"}


def test_a_monitor_asks_for_metrics_of_the_models_task(fresh: Any) -> None:
    monitor = "monitors/late_payment.yaml"
    fresh.edit(monitor, "roc_auc: {drop: 0.1}", "rmse: {rise: 0.1}")
    assert told(fresh) == {
        place(fresh, "rmse", monitor): "LCH-2804: the monitor asks for `rmse`, which is no metric of classification"
    }


def test_a_label_has_to_fit_the_task(fresh: Any) -> None:
    fresh.edit(MODEL, "value: late ", "value: customer ")
    assert told(fresh) == {
        place(fresh, "customer  "): "LCH-2902: the label `customer` is VARCHAR, and classification learns true or false"
    }


def test_numbers_are_learned_from_numbers(fresh: Any) -> None:
    for old, new in [
        ("task: classification", "task: regression"), ("value: late ", "value: customer "),
        ("learner: logistic", "learner: forest"), ("params: {C: 0.1}", "params: {}"),
        ("  roc_auc: {min: 0.7, no_worse_than_live: 0.02}\n  calibration_error: {max: 0.1}", "  mae: {max: 9}"),
    ]:  # fmt: skip
        fresh.edit(MODEL, old, new)
    fresh.edit("monitors/late_payment.yaml", "roc_auc: {drop: 0.1}", "mae: {rise: 1}")
    assert told(fresh) == {
        place(fresh, "customer  "): "LCH-2901: the label `customer` is VARCHAR, and regression learns numbers"
    }


def test_what_a_learner_would_refuse_is_refused_where_it_stands(fresh: Any) -> None:
    fresh.edit(MODEL, "{C: 0.1}", "{C: -1, max_iter: many}")
    assert told(fresh) == {
        place(fresh, "-1"): "LCH-2702: `logistic`: the parameter `C` is -1",
        place(fresh, "many"): "LCH-2702: `logistic`: the parameter `max_iter` is 'many'",
    }


def test_a_request_brings_what_the_label_table_holds(fresh: Any) -> None:
    fresh.edit("features/invoice.yaml", "terms_days: bigint", "terms_days: double, customer: varchar")
    assert told(fresh) == {}
    fresh.edit("features/invoice.yaml", "terms_days: double", "terms_days: timestamptz")
    (error, *_) = fresh.open().check().errors
    assert str(error.where) == place(fresh, "invoice_labels")
    assert (error.code, error.what, error.fix) == (
        "LCH-2510",
        (
            "a request brings `terms_days` as TIMESTAMP WITH TIME ZONE, "
            "and the label table `invoice_labels` has it as BIGINT"
        ),
        "give `terms_days` the same type in the feature view and in the label table",
    )


def test_a_key_is_of_the_type_of_its_column(fresh: Any) -> None:
    for view in ("customer", "customer_payments"):
        fresh.edit(f"features/{view}.yaml", "customer: varchar", "customer: bigint")
    found = {str(error.where): error for error in fresh.open().check().errors}
    assert list(found) == [
        place(fresh, "bigint", "features/customer.yaml"),
        place(fresh, "bigint", "features/customer_payments.yaml"),
        place(fresh, "invoice_labels"),
    ]
    error = found[place(fresh, "bigint", "features/customer.yaml")]
    assert (error.code, error.what, error.fix) == (
        "LCH-2511",
        "the key `customer` is BIGINT, and `customers` has it as VARCHAR",
        "write `customer: varchar`, or cast the column where it is made",
    )


def test_a_request_column_that_answers_take_is_refused_where_it_is_declared(fresh: Any) -> None:
    view = "features/invoice.yaml"
    fresh.edit(view, "amount: double", "amount: double, prediction_id: varchar")
    fresh.edit("tables/invoice_labels.sql", "terms_days, amount,", "terms_days, amount, 'a' AS prediction_id,")
    assert told(fresh) == {
        place(fresh, "prediction_id", view): "LCH-1821: a request column cannot be called `prediction_id`"
    }


def test_a_column_that_the_files_lack_is_told_where_the_contract_names_it(fresh: Any) -> None:
    source = "sources/customers.yaml"
    fresh.edit(source, "size:", "sise:")
    (error,) = fresh.open().check().errors
    assert (str(error.where), error.fix) == (place(fresh, "sise", source), "did you mean `size`?")


def test_rows_are_held_out_where_the_learner_stops_early(fresh: Any) -> None:
    assert fresh.open().check().notes == []
    fresh.edit(MODEL, "  test: 84d", "  early_stop: 14d\n  test: 84d")
    found = fresh.open().check()
    assert found.errors == found.notes == []  # a learner that does not stop early has its answers calibrated on them
    for old, new in [("learner: logistic", "learner: lightgbm"), ("{C: 0.1}", "{}")]:
        fresh.edit(MODEL, old, new)
    found = fresh.open().check()
    assert found.errors == found.notes == []
    fresh.edit(MODEL, "  early_stop: 14d\n", "")
    (error,) = fresh.open().check().errors
    assert (error.code, error.what, error.fix) == (
        "LCH-2512",
        "the learner `lightgbm` stops early, and `validate` holds no rows out for it",
        "add `early_stop:`, the span before the test, as in `early_stop: 30d`",
    )
    fresh.edit(MODEL, "params: {}", "params: {early_stopping_round: 0}")
    found = fresh.open().check()
    assert found.errors == found.notes == []


def test_a_lake_in_the_folder_of_the_data_is_refused_where_it_is_named(fresh: Any) -> None:
    fresh.write("lichen.yaml", "name: shop\nlake: data\n")
    assert told(fresh) == {
        "lichen.yaml:2:7": (
            "LCH-3015: the folder `data` cannot be the lake: it holds other things, such as `customers.csv`"
        )
    }


def test_a_url_of_an_online_store_that_is_none_is_refused_where_it_is_named_and_reaches_nothing(fresh: Any) -> None:
    fresh.write("lichen.yaml", "name: shop\nonline: redis://127.0.0.1:1/one\n")
    assert told(fresh) == {"lichen.yaml:2:9": "LCH-2251: `redis://127.0.0.1:1/one` is no address of a Redis server"}
    fresh.write("lichen.yaml", "name: shop\nonline: redis://127.0.0.1:1/1\n")
    assert told(fresh) == {}


HEAD = "/* ---\ngrain: [invoice]\ntime: issued_at\nknown: issued_at\n--- */\n"
SEEN = HEAD + "SELECT a.invoice, a.customer, a.issued_at, {}\n"
JOINED = "FROM invoices AS a {} payments AS b ON b.customer = a.customer AND b.known_at < a.issued_at {}"


@pytest.mark.parametrize(
    ("shown", "said", "honest"),
    [
        ("b.days_late AS x", JOINED.format("ASOF LEFT JOIN", ""), True),
        ("b.days_late AS x", JOINED.format("JOIN", ""), True),
        ("max(b.days_late) AS x", JOINED.format("JOIN", "GROUP BY ALL"), True),
        ("count(b.invoice) AS x", JOINED.format("LEFT JOIN", "GROUP BY ALL"), True),
        ("b.days_late AS x", JOINED.format("JOIN", "+ INTERVAL 30 DAY"), False),
        ("b.days_late AS x", JOINED.format("JOIN", "OR b.amount > 1"), False),
        ("b.days_late AS x", JOINED.format("JOIN", "WHERE a.paid_on IS NOT NULL"), False),
        ("b.days_late AS x", JOINED.format("JOIN", "JOIN payments AS c ON c.invoice = a.invoice"), False),
        ("b.days_late + (a.paid_on IS NULL)::INT AS x", JOINED.format("LEFT JOIN", ""), False),
        ("max(b.days_late) OVER (PARTITION BY a.customer) AS x", JOINED.format("JOIN", ""), False),
    ],
)
def test_rows_that_were_known_before_the_declared_instant_are_no_leak(
    fresh: Any, shown: str, said: str, honest: bool
) -> None:
    fresh.write("tables/seen.sql", SEEN.format(shown) + said)
    fresh.write("features/seen.yaml", "entity: {customer: varchar}\nfrom: seen\nlatest: [x]\n")
    fresh.edit(MODEL, "customer, invoice]", "customer, invoice, seen]")
    assert {error.code for error in fresh.open().check().errors} == (set() if honest else {"LCH-2525"})


def test_a_view_of_the_request_that_no_model_reads_is_looked_at_too(shop: Any) -> None:
    (shop.root / "features/draft.yaml").write_text(
        "on: request\ncolumns: {memo: varchar}\nexpressions:\n  at: strpos(memo, 'x')\n"
    )
    (error,) = shop.open().check().errors
    assert str(error).startswith("LCH-2411: `draft.at` uses `strpos`")
    assert str(error.where) == "features/draft.yaml:4:7"
    # What it reads of another view, and of a request that is yet to be described, is no fault of its own.
    (shop.root / "features/draft.yaml").write_text(
        "on: request\nexpressions:\n  late: customer_payments.days_late_60d > 3\n  big: amount > 100\n"
    )
    assert shop.open().check().errors == []
    # A feature that no view has is a fault, whatever a model will list.
    (shop.root / "features/draft.yaml").write_text(
        "on: request\nexpressions:\n  big: amount > 100\n  late: customer_payment.days_late_60d > 3\n"
    )
    (error,) = shop.open().check().errors
    assert str(error).startswith("LCH-2402: `draft.late` reads `customer_payment.days_late_60d`, which is neither")
    assert str(error.where) == "features/draft.yaml:4:9"
    assert error.fix.startswith("did you mean `customer_payments.days_late_60d`")


def test_a_view_that_is_not_there_is_told_where_an_expression_reads_it(fresh: Any) -> None:
    fresh.edit("features/invoice.yaml", "log_amount: ln(amount)", "log_amount: ln(costomer.size)")
    (error,) = fresh.open().check().errors
    assert str(error).startswith("LCH-2402: `invoice.log_amount` reads `costomer.size`, which is neither")
