"""The model card: what a model is, what it learned from, how good it is, and what to beware of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lichen.evaluate.calibrated import calibrated
from lichen.evaluate.evaluation import Evaluation
from lichen.evaluate.measure import Measured
from lichen.evaluate.suspicion import Suspicion
from lichen.ground.counted import count as counted
from lichen.ground.types import vector_of
from lichen.spec import Model
from lichen.train.fit import Trained
from lichen.train.prepare import columns_of
from lichen.train.split import LEFT_OUT, PARTS

MOST_FEATURES = 20
MOST_SLICES = 15


@dataclass(frozen=True)
class ModelCard:
    """A model card; `facts` is all of it as a JSON object.

    >>> ModelCard({"name": "late_arrival"}).facts["name"]
    'late_arrival'
    """

    facts: dict[str, Any]

    def markdown(self) -> str:
        """The card as Markdown, to hand round."""
        facts = self.facts
        parts = (
            [f"# {_text(facts['name'])}", _text(facts["description"] or facts["predicts"])],
            _about(facts),
            _data(facts),
            _metrics(facts),
            _gate(facts),
            _leaks(facts),
            _features(facts),
            _calibration(facts),
            _answers(facts),
            _slices(facts),
            ["## Known limits", "\n".join(f"- {_text(limit)}" for limit in facts["limits"])],
        )
        return "\n\n".join(piece for part in parts for piece in part if piece) + "\n"


def card(
    name: str,
    model: Model,
    trained: Trained,
    evaluation: Evaluation,
    *,
    version: str = "",
    fingerprint: str = "",
    suspicions: Sequence[Suspicion] = (),
    accepted: Sequence[str] = (),
) -> ModelCard:
    """Write down what is known of a trained model; `version` and `fingerprint` name it in the project's history.

    `accepted` are the leaks that a person accepted, in words.
    """
    facts: dict[str, Any] = {
        "format": 1,
        "name": name,
        "description": model.description,
        "predicts": _predicts(model),
        "task": model.task,
        "learner": model.learner,
        "params": dict(model.params),
        "seed": model.seed,
        "version": version,
        "fingerprint": fingerprint,
        "artifact": trained.digest,
        "split": trained.split.as_dict(),
        "categories_cut": dict(trained.preparation.cut),
        "metrics": {metric: measured.as_dict() for metric, measured in evaluation.metrics.items()},
        "baseline": asdict(evaluation.baseline),
        "calibration": [asdict(one) for one in evaluation.calibration],
        "answers": calibrated(trained),
        "slices": [one.as_dict() for one in evaluation.slices.found],
        "slices_left_out": dict(evaluation.slices.left_out),
        "gate": [verdict.as_dict() for verdict in evaluation.verdicts],
        "passed": evaluation.passed,
        "features": _importances(trained),
        "suspicions": [one.as_dict() for one in suspicions],
        "accepted": list(accepted),
        "limits": _limits(model, trained, evaluation),
    }
    return ModelCard(facts)


def _importances(trained: Trained) -> list[dict[str, Any]]:
    """The features, heaviest first; of a vector with what each of its elements weighs, in their order."""
    shares, found = trained.fitted.importances(), []
    for feature in trained.preparation.features:
        elements = [shares[name] for name in columns_of(feature)]
        one: dict[str, Any] = {"name": feature.name, "importance": sum(elements)}
        found.append(one | ({"elements": elements} if vector_of(feature.type) else {}))
    return sorted(found, key=lambda one: (-one["importance"], one["name"]))


def _predicts(model: Model) -> str:
    what = "The probability that" if model.task == "classification" else "The value of"
    end = " is true" if model.task == "classification" else ""
    return f"{what} `{model.label.value}` of `{model.label.from_}`{end}, asked at `{model.label.at}`."


def _limits(model: Model, trained: Trained, evaluation: Evaluation) -> list[str]:
    limits = []
    if model.gate:
        limits.append(
            "The gate judged on these test rows: a model tried again and again until it passes looks better than it is."
        )
    first, last = _day(trained.split.test), _day(trained.split.end - 1)
    limits.append(f"The test covers {first} to {last}: what happens in other seasons it cannot tell.")
    late = sum(trained.split.left_out[reason] for reason in ("train_known_late", "early_stop_known_late"))
    if late:
        limits.append(f"{counted(late, 'row')} left out because the label was not known yet at the cut.")
    if unlabelled := trained.split.left_out["no_label"]:
        limits.append(f"{counted(unlabelled, 'row')} without a label; of those the card says nothing.")
    for column, count in trained.preparation.cut.items():
        limits.append(f"{counted(count, 'rare value')} of `{column}` treated as never seen.")
    if any(measured.low is None for measured in evaluation.metrics.values()):
        limits.append("Some metrics have no interval: there are too few test days to draw from.")
    limits.append("Importances are the learner's own: they tell what it used, not what causes the label.")
    return limits


def _about(facts: dict[str, Any]) -> list[str]:
    rows = [
        ("Predicts", facts["predicts"] if facts["description"] else ""),
        ("Learner", facts["learner"] + "".join(f", {key} {value}" for key, value in facts["params"].items())),
        ("Seed", str(facts["seed"])),
        ("Version", facts["version"]),
        ("Fingerprint", facts["fingerprint"]),
        ("Artifact", facts["artifact"]),
    ]
    return [_table(("", ""), [row for row in rows if row[1]])]


def _data(facts: dict[str, Any]) -> list[str]:
    split = facts["split"]
    spans = {
        "train": f"before {_day(split['early_stop'])}",
        "early_stop": f"{_day(split['early_stop'])} to {_day(split['test'] - 1)}",
        "test": f"{_day(split['test'])} to {_day(split['end'] - 1)}",
    }
    rows = [(part.replace("_", " "), spans[part], f"{split['rows'][part]:,}") for part in PARTS if split["rows"][part]]
    left = [f"- {count:,} {LEFT_OUT[reason]}" for reason, count in split["left_out"].items() if count]
    out = "Left out:\n\n" + "\n".join(left) if left else "No row was left out."
    return ["## Data", _table(("part", "asked (UTC days)", "rows"), rows), out]


def _metrics(facts: dict[str, Any]) -> list[str]:
    base = facts["baseline"]
    rows = [
        (metric, _measured(value), _number(base["feature_metrics"][metric]), _number(base["constant_metrics"][metric]))
        for metric, value in facts["metrics"].items()
    ]
    note = "In brackets: 95 % intervals, from drawing whole days of the test."
    head = ("metric", "model", f"`{base['feature']}` alone", f"always {base['constant']:.4g}")
    return ["## How good it is", _table(head, rows), note]


def _gate(facts: dict[str, Any]) -> list[str]:
    if not facts["gate"]:
        return ["## Gate", "The model has no gate."]
    rows = [("holds" if one["passed"] else "fails", one["metric"], one["rule"], one["why"]) for one in facts["gate"]]
    return ["## Gate", _table(("", "metric", "rule", "why"), rows)]


def _leaks(facts: dict[str, Any]) -> list[str]:
    lines = [f"- {_text(one['what'])}" for one in facts["suspicions"]]
    lines += [f"- {_text(one)}" for one in facts["accepted"]]
    return ["## What may be leaks", "\n".join(lines)] if lines else []


def _features(facts: dict[str, Any]) -> list[str]:
    rows = [(_named(one), f"{one['importance']:.1%}") for one in facts["features"][:MOST_FEATURES]]
    more = len(facts["features"]) - len(rows)
    return ["## Features", _table(("feature", "importance"), rows), f"And {more} more." if more else ""]


def _named(one: dict[str, Any]) -> str:
    """A feature as the table shows it; of a vector also its heaviest element."""
    elements = one.get("elements")
    if elements is None:
        return f"`{one['name']}`"
    heaviest = max(range(len(elements)), key=lambda place: elements[place])
    return f"`{one['name']}` ({len(elements)} numbers; `[{heaviest}]` {elements[heaviest]:.1%})"


def _calibration(facts: dict[str, Any]) -> list[str]:
    rows = [(f"{one['rows']:,}", _number(one["score"]), _number(one["label"])) for one in facts["calibration"]]
    return ["## Calibration", _table(("rows", "mean score", "mean label"), rows)]


def _answers(facts: dict[str, Any]) -> list[str]:
    """What answers say besides the score, and how it held on the test rows."""
    made = facts["answers"]
    head = "## What answers say"
    if made is None:
        return [
            head,
            "An answer has no interval: too few rows were held out (`validate.early_stop`) to learn one from.",
        ]
    rows = counted(made["rows"], "row")
    if made["gives"] == "interval":
        low, high, held = f"{made['low']:+.4g}", f"{made['high']:+.4g}", f"{made['held']:.1%}"
        how = f"An answer's interval goes from its score {low} to {high} (split-conformal, {rows})."
        return [head, f"{how} It is to hold {made['coverage']:.0%} of the labels; on the test rows it held {held}."]
    told = [(name.replace("_", " "), _number(made[name]["before"]), _number(made[name]["after"])) for name in _JUDGED]
    if made["method"] != "identity":
        how = f"The probability of an answer is the score, calibrated ({_text(made['method'])}, {rows})."
    elif made["rows"]:
        how = f"The probability of an answer is the score: on {rows} held out no calibration was surely better."
    else:
        how = "The probability of an answer is the score: no rows were held out to calibrate it on."
    return [head, how, _table(("on the test rows", "score", "probability"), told)]


_JUDGED = ("calibration_error", "log_loss")


def _slices(facts: dict[str, Any]) -> list[str]:
    if not facts["slices"]:
        return []
    rows = [
        (
            *(one["column"], one["value"], f"{one['rows']:,}"),
            *(_measured(one["measured"]), _number(one["score"]), _number(one["label"])),
        )
        for one in facts["slices"][:MOST_SLICES]
    ]
    metric = facts["slices"][0]["metric"]
    more = len(facts["slices"]) - len(rows)
    return [
        "## Slices, worst first",
        _table(("column", "value", "rows", metric, "mean score", "mean label"), rows),
        f"And {more} more." if more else "",
    ]


def _measured(value: dict[str, Any] | Measured) -> str:
    found = value.as_dict() if isinstance(value, Measured) else value
    if found["low"] is None:
        return _number(found["value"])
    return f"{_number(found['value'])} [{_number(found['low'])}, {_number(found['high'])}]"


def _number(value: float) -> str:
    return "not defined" if value != value else f"{value:.4g}"


def _day(instant: int) -> str:
    # timedelta keeps every microsecond, where a float of seconds would not.
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).date().isoformat()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_text(str(cell)) for cell in line) + " |" for line in lines)


def _text(text: str) -> str:
    # Values come from data: none of them may begin a new row, a tag or a link of its own.
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return plain.replace("<", "&lt;").replace("[!", "\\[!").replace("](", "]\\(")
