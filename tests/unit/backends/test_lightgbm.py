from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from arro3.core import Array, Table

from lichen.backends import lightgbm_library
from lichen.backends.lightgbm import LightGBMLearner
from lichen.backends.lightgbm_text import fault
from lichen.errors import FoundWrong, SystemFailed
from lichen.ports import Learner, Matrix
from lichen.testing.learner import LearnerSuite, as_rows, build, matrix, saved, scored


class TestLightGBMLearner(LearnerSuite):
    quick: ClassVar = {"num_iterations": 40, "min_data_in_leaf": 5, "learning_rate": 0.2}
    slow: ClassVar = {"num_iterations": 100_000, "learning_rate": 1e-6}

    def make(self) -> Learner:
        return LightGBMLearner()


def test_an_unknown_parameter_names_the_one_that_was_meant() -> None:
    with pytest.raises(FoundWrong) as refusal:
        LightGBMLearner().fit("classification", matrix(50, 1), None, {"num_leafs": 3}, seed=0, seconds=None)
    assert str(refusal.value) == (
        "LCH-2701: `lightgbm` has no parameter `num_leafs`\n  fix: did you mean `num_leaves` or `num_iterations`?"
    )


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ({"num_leaves": 1}, "give it a whole number from 2 to 131072"),
        ({"num_leaves": 31.5}, "give it a whole number from 2 to 131072"),
        ({"learning_rate": "fast"}, "give it a number from 1e-06 to 1"),
        ({"learning_rate": float("nan")}, "give it a number from 1e-06 to 1"),
        ({"min_data_in_leaf": True}, "give it a whole number from 1"),
    ],
)
def test_a_parameter_out_of_its_bounds_is_refused(given: dict[str, object], fix: str) -> None:
    with pytest.raises(FoundWrong) as refusal:
        LightGBMLearner().fit("classification", matrix(50, 1), None, given, seed=0, seconds=None)
    assert refusal.value.code == "LCH-2702"
    assert refusal.value.fix == fix


def test_what_lightgbm_itself_refuses_is_told_in_its_words() -> None:
    with pytest.raises(FoundWrong) as refusal:
        LightGBMLearner().fit("classification", matrix(50, 1), None, {"min_data_in_leaf": 10**12}, seed=0, seconds=None)
    assert refusal.value.code == "LCH-2713"
    assert refusal.value.fix == "change `params`, or look at the features"


@pytest.mark.parametrize(("part", "largest"), [("train", 1e300), ("train", 1e30), ("early_stop", 1e39)])
def test_labels_that_32_bits_do_not_hold_are_refused(part: str, largest: float) -> None:
    parts = {"train": matrix(200, 1, task="regression"), "early_stop": matrix(50, 2, task="regression")}
    parts[part] = with_label(parts[part], largest)
    with pytest.raises(FoundWrong) as refusal:
        LightGBMLearner().fit("regression", parts["train"], parts["early_stop"], {}, seed=0, seconds=None)
    assert str(refusal.value) == (
        f"LCH-2714: the labels are too large for `lightgbm`: they go as far from zero as {largest:.3g}\n"
        "  why: it keeps labels, and the squares of how they differ, as 32-bit floats: 3.4e+38 is the largest\n"
        "  fix: give the label a `range` in a contract, so that they are set aside; or divide it, or let the model "
        "learn its logarithm"
    )


def test_the_largest_labels_that_are_learned_weigh_finitely() -> None:
    given = with_label(matrix(200, 1, task="regression"), 1e19)
    fitted = LightGBMLearner().fit("regression", given, None, {"min_data_in_leaf": 1}, seed=0, seconds=None)
    assert sum(fitted.importances().values()) == pytest.approx(1)


def with_label(given: Matrix, label: float) -> Matrix:
    """The same rows with another label in the first of them."""
    table = Table.from_arrow(given.rows)
    labels = np.array(table.column("_label").to_numpy(), dtype=np.float64)
    labels[0] = label
    place = table.column_names.index("_label")
    return Matrix(table.set_column(place, "_label", Array.from_numpy(labels)), given.names, given.categories)


def test_the_early_stop_rows_decide_how_many_trees_are_kept(tmp_path: Path) -> None:
    learner = LightGBMLearner()
    params = {"num_iterations": 400, "learning_rate": 0.5, "min_data_in_leaf": 5, "early_stopping_round": 10}
    learner.fit("classification", matrix(1000, 1), matrix(1000, 2), params, seed=0, seconds=None).save(tmp_path / "a")
    learner.fit("classification", matrix(1000, 1), None, params, seed=0, seconds=None).save(tmp_path / "b")
    stopped, grown = ((tmp_path / name / "model.txt").read_text().count("Tree=") for name in "ab")
    assert 1 <= stopped < 100
    assert grown == 400


def test_the_number_of_processors_is_no_part_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = TestLightGBMLearner.quick
    files = []
    for count in (1, 2):
        monkeypatch.setattr("os.cpu_count", lambda count=count: count)
        fitted = LightGBMLearner().fit("classification", matrix(5000, 1), None, quick, seed=0, seconds=None)
        files.append(saved(fitted, tmp_path / str(count)))
    assert files[0] == files[1]


def test_a_model_is_loaded_and_asked_without_importing_lightgbm_or_scikit_learn(tmp_path: Path) -> None:
    fitted = TestLightGBMLearner().fit()
    fitted.save(tmp_path)
    given = matrix(1, 3)
    program = (
        "import sys, pathlib; from lichen.backends.lightgbm import LightGBMLearner;"
        f"row = LightGBMLearner().load(pathlib.Path({str(tmp_path)!r})).compile_row();"
        "from math import nan;"
        f"print(repr(row({as_rows(given)[0]!r})), 'lightgbm' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [repr(scored(fitted, given)[0]), "False", "False"]


def test_odd_column_names_are_kept(tmp_path: Path) -> None:
    given = matrix(500, 1)
    names = ("größe", 'a "quoted", name', "x:y", "code", "rare")
    from arro3.core import Table

    from lichen.ports import Matrix

    renamed = Matrix(Table.from_arrow(given.rows).rename_columns([*names, "_label"]), names, given.categories)
    fitted = LightGBMLearner().fit("classification", renamed, None, {}, seed=0, seconds=None)
    fitted.save(tmp_path)
    assert tuple(LightGBMLearner().load(tmp_path).importances()) == names


def test_a_model_without_a_split_predicts_the_mean() -> None:
    columns = [np.zeros(100)] * 3 + [np.zeros(100, np.int32)] * 2
    fitted = LightGBMLearner().fit("regression", build(columns, np.arange(100.0)), None, {}, seed=0, seconds=None)
    assert scored(fitted, build(columns, None))[0] == pytest.approx(49.5)
    assert set(fitted.importances().values()) == {0.2}


def test_a_machine_without_openmp_is_told_what_to_install(tmp_path: Path) -> None:
    lacking = "libgomp.so.1: cannot open shared object file: No such file or directory"
    assert str(lightgbm_library.cannot_load(lacking)) == (
        f"LCH-2712: LightGBM does not load on this machine\n  why: {lacking}\n"
        "  fix: install the OpenMP runtime: apt-get install libgomp1, or dnf install libgomp"
    )
    assert lightgbm_library.cannot_load("Library not loaded: @rpath/libomp.dylib").fix == (
        "install the OpenMP runtime: brew install libomp"
    )
    with pytest.raises(SystemFailed, match="LightGBM does not load") as refusal:
        lightgbm_library.open_library(tmp_path / "lib_lightgbm.so")
    assert refusal.value.fix == "install it again: pip install --force-reinstall lightgbm"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    TestLightGBMLearner().fit().save(folder)
    return (folder / "model.txt").read_text()


def _line(text: str, key: str, change: str) -> str:
    """The text with the first line of `key` changed, and its tree's size told anew."""
    start = text.index(f"\n{key}=", text.index("\nTree=0")) + 1
    end = text.index("\n", start)
    changed = text[:start] + change + text[end:]
    at = changed.index("tree_sizes=") + len("tree_sizes=")
    first, _, rest = changed[at:].partition(" ")
    return changed[:at] + str(int(first) + len(change) - (end - start)) + " " + rest


def test_a_sound_text_is_admitted(text: str) -> None:
    assert fault(text, 5) is None


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("left_child", "left_child=1 2", "`left_child` holds 2 values"),
        ("num_leaves", "num_leaves=100000", "`leaf_value` holds"),
        ("num_leaves", "num_leaves=many", "invalid literal"),
        ("num_cat", "num_cat=0", "a split by category has no categories"),
        ("cat_boundaries", "cat_boundaries=0 1 2 3 4 5 6 7", "`cat_boundaries` holds 8 values"),
        ("cat_threshold", "cat_threshold=1 2 3 4 5 6 7 8", "its lists of categories do not add up"),
        ("leaf_value", "value=1", "`leaf_value` is missing"),
    ],
)
def test_a_tree_that_does_not_hold_together_is_refused(text: str, key: str, change: str, said: str) -> None:
    wrong = fault(_line(text, key, change), 5)
    assert wrong is not None
    assert wrong.startswith(f"tree 0: {said}")


def test_ways_that_end_nowhere_or_never_are_refused(text: str) -> None:
    start = text.index("\nleft_child=") + len("\nleft_child=")
    words = text[start : text.index("\n", start)].split()
    loop, beyond, twice = (["0", *words[1:]], ["99999", *words[1:]], [words[0], words[0], *words[2:]])
    for changed, said in ((loop, "a branch leads nowhere"), (beyond, "a branch leads nowhere")):
        assert fault(_line(text, "left_child", "left_child=" + " ".join(changed)), 5) == f"tree 0: {said}"
    assert fault(_line(text, "left_child", "left_child=" + " ".join(twice)), 5) is not None


def test_a_column_beyond_the_models_is_refused(text: str) -> None:
    start = text.index("\nsplit_feature=") + 1
    words = text[start : text.index("\n", start)].partition("=")[2].split()
    changed = _line(text, "split_feature", "split_feature=" + " ".join(["5", *words[1:]]))
    assert fault(changed, 5) == "tree 0: it reads a column beyond the 5 there are"


def test_heads_that_lie_are_refused(text: str) -> None:
    assert fault(text, 6) == "it is not a model of 6 columns"
    assert fault(text.replace("num_class=1", "num_class=3", 1), 5) == "it gives more than one number a row"
    assert fault(text.replace("tree_sizes=", "tree_sizes=9", 1), 5) == "its trees are not as long as its head says"
    assert fault(text[: text.index("end of trees")], 5) == "it stops before the line `end of trees`"
    assert fault("{}", 5) == "its first line is not `tree`, as in every LightGBM text"


def test_a_text_that_the_library_refuses_is_damaged(tmp_path: Path, text: str) -> None:
    TestLightGBMLearner().fit().save(tmp_path)
    (tmp_path / "model.txt").write_text(text.replace("objective=binary", "objective=nothing_known", 1))
    with pytest.raises(SystemFailed) as refusal:
        LightGBMLearner().load(tmp_path)
    assert refusal.value.code == "LCH-2711"
    assert refusal.value.why is not None
    assert "nothing_known" in refusal.value.why


def test_a_foreign_models_text_never_ends_the_process(tmp_path: Path, text: str) -> None:
    # Each change of a digit either leaves a model that predicts or is refused; none crashes.
    TestLightGBMLearner().fit().save(tmp_path)
    random, refused = np.random.default_rng(0), set()
    digits = [place for place, sign in enumerate(text[: text.index("end of trees")]) if sign.isdigit()]
    for place in random.choice(digits, 60, replace=False):
        (tmp_path / "model.txt").write_text(text[:place] + str(random.integers(0, 10)) + text[place + 1 :])
        try:
            loaded = LightGBMLearner().load(tmp_path)
        except SystemFailed as refusal:
            refused.add(refusal.code)
        else:
            assert len(scored(loaded, matrix(20, 3))) == 20
    assert refused == {"LCH-2711"}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_contributions_are_those_of_lightgbm_and_add_up_to_its_raw_score(task: str, tmp_path: Path) -> None:
    import lightgbm

    train, given = matrix(1000, 1, task), matrix(300, 2, task, labels=False)
    fitted = LightGBMLearner().fit(task, train, matrix(400, 3, task), {"num_iterations": 60}, seed=1, seconds=None)
    fitted.save(tmp_path)
    theirs = lightgbm.Booster(model_str=(tmp_path / "model.txt").read_text())
    rows = Table.from_arrow(given.rows)
    values = np.column_stack([rows.column(name).to_numpy() for name in given.names])
    told = Table.from_arrow(fitted.contributions(given))
    ours = np.column_stack([told.column(name).to_numpy() for name in told.column_names])
    assert np.array_equal(ours, theirs.predict(values, pred_contrib=True))
    assert np.abs(ours.sum(axis=1) - theirs.predict(values, raw_score=True)).max() < 1e-9
    assert Table.from_arrow(fitted.contributions(matrix(0, 2, task, labels=False))).num_rows == 0
