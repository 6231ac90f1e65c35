"""Looks through a LightGBM model's text before the C library reads it.

The library trusts what it reads: an index beyond a tree's end crashes the process or never ends. So a text is
admitted only if every tree's arrays have their lengths and every index stays inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

HEAD = "tree"
END = "end of trees"


def fault(text: str, width: int) -> str | None:
    """What is wrong with a model's text, in words, or None; `width` is the number of columns it may read."""
    if not text.startswith(HEAD + "\n"):
        return "its first line is not `tree`, as in every LightGBM text"
    if f"\n{END}\n" not in text:
        return f"it stops before the line `{END}`"
    head, *trees = _blocks(text)
    if head.get("max_feature_idx") != str(width - 1):
        return f"it is not a model of {width} columns"
    if head.get("num_class") != "1" or head.get("num_tree_per_iteration") != "1":
        return "it gives more than one number a row"
    if not _sizes_fit(text, head.get("tree_sizes", ""), len(trees)):
        return "its trees are not as long as its head says"
    for number, tree in enumerate(trees):
        wrong = _tree_fault(tree, width)
        if wrong is not None:
            return f"tree {number}: {wrong}"
    return None


def _sizes_fit(text: str, sizes: str, trees: int) -> bool:
    # The library jumps from tree to tree by these sizes, in bytes, and never looks whether they stay inside.
    content = text.encode()
    words = sizes.split()
    if len(words) != trees or not all(word.isascii() and word.isdecimal() for word in words):
        return False
    if trees == 0:
        return True
    place = content.find(b"\nTree=0\n") + 1
    for number, word in enumerate(words):
        if not content.startswith(b"Tree=%d\n" % number, place):
            return False
        place += int(word)
    return content.startswith(END.encode(), place)


def _blocks(text: str) -> Iterator[Mapping[str, str]]:
    block: dict[str, str] = {}
    for line in text[: text.index(f"\n{END}\n")].splitlines():
        key, equals, value = line.partition("=")
        if key == "Tree" and equals:
            yield block
            block = {}
        elif equals:
            block[key] = value
    yield block


def _integers(tree: Mapping[str, str], key: str, length: int | None = None) -> list[int]:
    found = [int(word) for word in tree[key].split()]
    if length is not None and len(found) != length:
        raise ValueError(f"`{key}` holds {len(found)} values, not {length}")
    return found


def _numbers(tree: Mapping[str, str], key: str, length: int) -> list[float]:
    found = [float(word) for word in tree[key].split()]
    if len(found) != length:
        raise ValueError(f"`{key}` holds {len(found)} values, not {length}")
    return found


def _tree_fault(tree: Mapping[str, str], width: int) -> str | None:
    try:
        leaves = int(tree["num_leaves"])
        if leaves < 1 or tree.get("is_linear", "0") != "0":
            return "it has no leaf, or linear ones"
        _numbers(tree, "leaf_value", leaves)
        if leaves == 1:
            return None
        inner = leaves - 1
        kinds = _integers(tree, "decision_type", inner)
        thresholds = _numbers(tree, "threshold", inner)
        columns = _integers(tree, "split_feature", inner)
        children = (_integers(tree, "left_child", inner), _integers(tree, "right_child", inner))
        if not all(0 <= column < width for column in columns):
            return f"it reads a column beyond the {width} there are"
        return _children_fault(children, leaves) or _categories_fault(tree, kinds, thresholds)
    except KeyError as missing:
        return f"`{missing.args[0]}` is missing"
    except (ValueError, OverflowError) as wrong:
        return str(wrong)


def _children_fault(children: Sequence[Sequence[int]], leaves: int) -> str | None:
    # Every node but the root is the child of exactly one, and stands after it: so each way down ends at a leaf.
    for side in children:
        if any(not (node < child < leaves - 1 if child >= 0 else -child <= leaves) for node, child in enumerate(side)):
            return "a branch leads nowhere"
    every = [child for side in children for child in side]
    return "two branches lead to one place" if len(set(every)) != len(every) else None


def _categories_fault(tree: Mapping[str, str], kinds: Sequence[int], thresholds: Sequence[float]) -> str | None:
    sets = int(tree.get("num_cat", "0"))
    if sets == 0:
        return "a split by category has no categories" if any(kind & 1 for kind in kinds) else None
    bounds = _integers(tree, "cat_boundaries", sets + 1)
    words = _integers(tree, "cat_threshold")
    if bounds[0] != 0 or bounds[-1] != len(words) or any(low > high for low, high in pairwise(bounds)):
        return "its lists of categories do not add up"
    used = [threshold for kind, threshold in zip(kinds, thresholds, strict=True) if kind & 1]
    if any(not (0 <= threshold < sets) for threshold in used):
        return "a split by category has no categories"
    return None
