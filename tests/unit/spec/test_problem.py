# ruff: noqa: E501, ISC004 (texts in a table are read line by line, and never broken)

from __future__ import annotations

import pytest

from lichen.spec import FeatureView, Model, Source, Table
from lichen.spec.problem import known_keys

MODEL = """\
task: classification
label: {from: x, value: y, at: z, known: k}
features: [f]
validate: {early_stop: 30d, test: 92d}
"""
VIEW = "entity: {carrier: varchar}\nfrom: x\n"
WINDOWS = "windows: [1h]\n"


def shown(line: str, column: int, number: int) -> str:
    return f":{number}:{column}\n    {line}\n    {' ' * (column - 1)}^"


@pytest.mark.parametrize(
    ("file", "line", "under", "text", "rest"),
    [
        ("models/m.yaml", "gte: 1", "gte", "LCH-1001: unknown key `gte`", "\n  fix: did you mean `gate`?"),
        ("models/m.yaml", "budget: [1]", "[1]", "LCH-1013: `budget`: it must be a duration: 90s, 5m, 3h, 28d, 2w", ""),
        ("models/m.yaml", "budget: 60", "60", "LCH-1013: `budget`: a duration has a unit: 90s, 5m, 3h, 28d, 2w", ""),
        ("models/m.yaml", "seed: x", "x", "LCH-1013: `seed`: it must be a whole number", "\n  why: it is 'x'"),
        ("models/m.yaml", "seed: 1.5", "1.5", "LCH-1013: `seed`: it must be a whole number", "\n  why: it is 1.5"),
        ("models/m.yaml", "seed: []", "[]", "LCH-1013: `seed`: it must be a whole number", ""),
        ("models/m.yaml", "params: [a]", "[a]", "LCH-1013: `params`: it must be a mapping: `{key: value}`", ""),
        ("models/m.yaml", "slices: origin", "origin", "LCH-1013: `slices`: it must be a list: `[a, b]`", "\n  why: it is 'origin'"),
        ("models/m.yaml", "slices: [1]", "1", "LCH-1013: `slices.0`: it must be a text", "\n  why: it is 1"),
        ("models/m.yaml", "gate: {auc: 1}", "1", "LCH-1013: `gate.auc`: it must be a mapping: `{key: value}`", "\n  why: it is 1"),
        ("models/m.yaml", "gate: {Auc: {min: 1}}", "Auc", "LCH-1013: `gate.Auc`: `Auc` is not a name: use small letters, digits and "
         "_, not starting with a digit", ""),
        ("models/m.yaml", "gate: {auc: {mn: 1}}", "mn", "LCH-1001: unknown key `mn`", "\n  fix: did you mean `min`?"),
        ("models/m.yaml", "gate: {auc: {no_worse_than_live: -1}}", "-1",
         "LCH-1013: `gate.auc.no_worse_than_live`: it must be 0 or more", "\n  why: it is -1"),
        ("models/m.yaml", "learner: ~", "~", "LCH-1013: `learner`: it must be a text", "\n  why: it is null"),
        ("models/m.yaml", "validate_: {test: 1d}", "validate_", "LCH-1001: unknown key `validate_`", "\n  fix: did you mean `validate`?"),
        ("features/f.yaml", "aggregates: {d: {avg: a, clp: [1, 2]}}", "clp", "LCH-1001: unknown key `clp`", "\n  fix: did you mean `clip`?"),
        ("features/f.yaml", "aggregates: {d: 5}", "5", "LCH-1013: `aggregates.d`: it must be a mapping: `{key: value}`", "\n  why: it is 5"),
        ("features/f.yaml", "aggregates: {d: median(a)}", "median", "LCH-1013: `aggregates.d`: `median(a)` is not an aggregate: write one of "
         "count, sum, avg, min, max, std, var, first, last, count_distinct, quantile, mode, share, rate, since, as in `avg(arr_delay)`; "
         "did you mean `quantile`?", ""),
        ("features/f.yaml", "aggregates: {d: {avg: a, prior: {mean: 1, wieght: 2}}}", "wieght", "LCH-1001: unknown key `wieght`",
         "\n  fix: did you mean `weight`?"),
        ("features/f.yaml", "aggregates: {d: {avg: a, prior: {mean: 1}}}", "mean", "LCH-1013: `aggregates.d.prior`: `mean` and `weight` go "
         "together, as in `{mean: view.feature, weight: 10}` or `{use: view.feature, below: 5}`", ""),
        ("features/f.yaml", "aggregates: {d: {avg: a, lag: 0d}}", "0d", "LCH-1013: `aggregates.d.lag`: `0d` is no time at all; a duration is "
         "longer than 0s", ""),
        ("features/f.yaml", "aggregates: {d: {avg: a, clip: [1]}}", "[1]", "LCH-1013: `aggregates.d.clip`: it has too few values", ""),
        ("features/f.yaml", "aggregates: {d: {avg: a, clip: [a, 2]}}", "a, 2", "LCH-1013: `aggregates.d.clip.0`: it must be a number",
         "\n  why: it is 'a'"),
        ("sources/s.yaml", "contract: {columns: {t: {range: [1, 2, 3]}}}", "[1", "LCH-1013: `contract.columns.t.range`: it takes 2 values "
         "at most", ""),
        ("sources/s.yaml", "contract: {columns: {t: {range: [1, ~]}}}", "~", "LCH-1013: `contract.columns.t.range.1`: it must be a number or "
         "a text", "\n  why: it is null"),
        ("sources/s.yaml", "contract: {columns: {t: {accepted: [{}]}}}", "{}]", "LCH-1013: `contract.columns.t.accepted.0`: it must be a text, "
         "a whole number, a number or true or false", ""),
        ("sources/s.yaml", "contract: {columns: {t: {null_share: 5}}}", "5", "LCH-1013: `contract.columns.t.null_share`: it must be 1 or less",
         "\n  why: it is 5"),
        ("sources/s.yaml", "contract: {columns: {t: {unique: 7}}}", "7", "LCH-1013: `contract.columns.t.unique`: it must be true or false",
         "\n  why: it is 7"),
        ("sources/s.yaml", "contract: {on_breach: stopp}", "stopp", "LCH-1013: `contract.on_breach`: it must be `warn`, `quarantine` or `stop`",
         "\n  why: it is 'stopp'\n  fix: did you mean `stop`?"),
        ("sources/s.yaml", "contract: {on_breach: x}", "x", "LCH-1013: `contract.on_breach`: it must be `warn`, `quarantine` or `stop`",
         "\n  why: it is 'x'"),
        ("monitors/w.yaml", "ask: {roc_auc: {drop: 0}}", "0", "LCH-1013: `ask.roc_auc.drop`: it must be above 0", "\n  why: it is 0"),
        ("monitors/w.yaml", "ask: {drift: {false_alarms: 1}}", "1", "LCH-1013: `ask.drift.false_alarms`: it must be below 1", "\n  why: it is 1"),
    ],
)  # fmt: skip
def test_each_problem_is_told_in_the_words_of_the_file(
    wrong, file: str, line: str, under: str, text: str, rest: str
) -> None:
    before = {"models": MODEL, "features": VIEW + WINDOWS, "sources": "path: x\n", "monitors": "watch: s\nevery: 7d\n"}
    start = before[file.partition("/")[0]]
    at = shown(line, line.index(under, line.index(":") if not line.startswith(under) else 0) + 1, start.count("\n") + 1)
    assert wrong({file: f"{start}{line}\n"}) == f"{text}\n  at {file}{at}{rest}"


def test_missing_keys_are_named_with_their_place(wrong) -> None:
    text = wrong({"models/m.yaml": MODEL.replace(", known: k", "").replace("task: classification\n", "")})
    assert text == (
        "LCH-1012: the key `task` is missing\n  at models/m.yaml:1:1\n    label: {from: x, value: y, at: z}\n    ^\n"
        "  fix: add `task: ...`\n\n"
        "LCH-1012: the key `known` is missing\n  at models/m.yaml:1:8\n    label: {from: x, value: y, at: z}\n           ^\n"
        "  fix: add `known: ...`"
    )


def test_an_empty_list_where_one_thing_is_needed(wrong) -> None:
    text = wrong({"models/m.yaml": MODEL.replace("[f]", "[]")})
    assert text.startswith("LCH-1013: `features`: it needs at least 1\n  at models/m.yaml:3:11\n")


def test_a_value_of_the_environment_is_never_in_an_error(wrong) -> None:
    canary = "canary-4711"
    text = wrong(
        {
            "sources/s.yaml": "connector: ${KEY}\n"
            "contract: {on_breach: '${KEY}', columns: {a: {null_share: '${KEY}'}, b: {range: ['z${KEY}', a]}}}\n",
            "models/m.yaml": MODEL.replace("30d", "'${KEY}'"),
            "features/f.yaml": VIEW + "aggregates: {d: '${KEY}'}\n" + WINDOWS,
        },
        {"KEY": canary},
    )
    assert text.count("LCH-1013") == 6
    assert "${KEY}" in text
    assert canary not in text


@pytest.mark.parametrize(
    ("spec", "at", "some"),
    [
        (Source, (), {"connector", "contract"}),
        (Source, ("contract",), {"key", "columns", "on_breach"}),
        (Source, ("contract", "columns", "x"), {"range", "type"}),
        (Source, ("contract", "columns"), set()),
        (FeatureView, (), {"from", "on", "entity"}),
        (FeatureView, ("aggregates", "x"), {"avg", "clip"}),
        (Model, ("label",), {"from", "known"}),
        (Model, ("validate",), {"test"}),
        (Model, ("nothing", "x"), set()),
        (Model, ("seed",), set()),
    ],
)
def test_known_keys(spec, at, some: set[str]) -> None:
    known = set(known_keys(spec, at))
    assert some <= known
    assert bool(some) == bool(known)
    assert "sql" not in known_keys(Table, ())


def test_what_is_wrong_with_two_keys_together_is_told_at_one_of_them(wrong) -> None:
    view = f"{VIEW}latest: [x]\n{WINDOWS}"
    assert wrong({"features/f.yaml": view}) == (
        "LCH-1013: `aggregates` and `windows` go together\n  at features/f.yaml:4:1\n    windows: [1h]\n    ^"
    )
    view = f"{VIEW}aggregates: {{n: count(*)}}\nwindows: [1h, 1h]\n"
    assert wrong({"features/f.yaml": view}) == (
        "LCH-1013: `windows` has `1h` twice\n  at features/f.yaml:4:1\n    windows: [1h, 1h]\n    ^"
    )


def test_a_window_is_told_where_it_stands_in_the_list(wrong) -> None:
    view = f"{VIEW}aggregates: {{n: count(*)}}\nwindows: [1h, 1x]\n"
    assert wrong({"features/f.yaml": view}).startswith(
        "LCH-1013: `windows.1`: `1x` is not a duration; write a whole number and a unit: 90s, 5m, 3h, 28d, 2w\n"
        "  at features/f.yaml:4:15\n    windows: [1h, 1x]\n                  ^"
    )
