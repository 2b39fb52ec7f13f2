"""Folds: which known classes are hidden, and what makes a run of the recipe a run of a fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from ncdcli.errors import DataError, Problem
from ncdcli.recipe.schema import Recipe
from ncdcli.sweep.load import text_of
from ncdcli.tune.section import TuneConfig

LEFT = 2  # known classes that stay in every fold, at least
USUAL_SHARE = 0.4  # of known classes to hide where k is not given: 2 of 5, as the PBN paper does
SCORES = {
    ("ari", "gcd"): "ari.unlabelled.novel",
    ("ari", "ncd"): "ari.unlabelled.novel",
    ("accuracy", "gcd"): "gcd_v2.unlabelled.novel",
    ("accuracy", "ncd"): "ncd_task_aware.unlabelled.novel",
}


@dataclass(frozen=True)
class Fold:
    """One fold."""

    number: int  # from 1
    hidden: tuple[str, ...]  # names of known classes, in their order


def make_folds(known: tuple[str, ...], recipe: Recipe, tune: TuneConfig, *, seed: int) -> tuple[Fold, ...]:
    """Different random subsets of the known classes; each class is hidden about as often as any other.

    DataError where there are too few known classes for it. The PBN paper (Troisemaine et al., DMKD 2024, Sect. 4)
    draws each subset by itself, which on few classes hides some often and some never.
    """
    size = hidden_size(len(known), recipe, tune)
    possible = comb(len(known), size)
    if tune.folds > possible:
        hint = f"write `folds: {possible}`, or hide another number"
        raise _too_few(
            f"{tune.folds} folds, and only {possible} ways to hide {size} of {len(known)} known classes", hint
        )
    hidden = _subsets(len(known), size, number=tune.folds, rng=np.random.default_rng([seed, 0]))
    return tuple(Fold(number, tuple(known[c] for c in classes)) for number, classes in enumerate(hidden, start=1))


def _subsets(known: int, size: int, *, number: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """`number` different subsets, at random among those that hide the classes hidden least often so far."""
    times, chosen = np.zeros(known, np.int64), list[tuple[int, ...]]()
    while len(chosen) < number:
        order = np.lexsort((rng.random(known), times))
        subset = tuple(sorted(order[:size].tolist()))
        if subset in chosen:
            subset = tuple(sorted(rng.choice(known, size, replace=False).tolist()))
        if subset not in chosen:
            chosen.append(subset)
            times[list(subset)] += 1
    return chosen


def hidden_size(known: int, recipe: Recipe, tune: TuneConfig) -> int:
    """How many known classes a fold hides. DataError where fewer than two would be hidden, or left."""
    most = known - LEFT
    if most < 2:
        hint = "four known classes are the least: two to hide, and two that stay"
        raise _too_few(f"{known} known classes are too few to hide some of them", hint)
    if tune.hidden is not None:
        if tune.hidden > most:
            raise _too_few(f"{tune.hidden} of {known} known classes cannot be hidden", f"hide {most} at most")
        return tune.hidden
    k = getattr(recipe.estimate_k, "k", None)
    share = USUAL_SHARE if k is None else (k - known) / k
    return min(max(round(share * known), 2), most)


def fold_overrides(recipe: Recipe, fold: Fold, tune: TuneConfig, *, known: int) -> tuple[str, ...]:
    """What `--set` makes a run of the fold from one of `recipe`, a trial's.

    Its pool is scored, by what was known before; nothing is computed that the score does not need.
    """
    hide: dict[str, Any] = {"classes": list(fold.hidden)}
    if tune.pool == "all":
        hide["pool"] = "all"
    values: dict[str, Any] = {
        "data.hide": hide,
        "evaluate.split": "unlabelled",
        "evaluate.stability_seeds": 0,
        "tune": None,
        "expected": [],
        **_counting(recipe, tune, hidden=len(fold.hidden), known=known),
    }
    return tuple(f"{field}={text_of(value)}" for field, value in values.items())


def _counting(recipe: Recipe, tune: TuneConfig, *, hidden: int, known: int) -> Mapping[str, Any]:
    """How a fold comes to its number of classes; a range moves by the classes that the fold has not.

    A clustering that finds k itself goes on doing so.
    """
    section = recipe.estimate_k
    fixed = getattr(section, "k", None)
    if section.kind != "none" and k_is_given(recipe, tune):
        classes = known if tune.pool == "known" else fixed
        return {"estimate_k": {"kind": "fixed", "k": classes}}
    moved = 0 if tune.pool == "all" else hidden
    ends = {name: value for name in ("low", "high") if (value := getattr(section, name, None)) is not None}
    return {f"estimate_k.{name}": max(value - moved, 2) for name, value in ends.items()}


def k_is_given(recipe: Recipe, tune: TuneConfig) -> bool:
    """Whether folds are told their number of classes."""
    return recipe.estimate_k.kind == "fixed" if tune.k is None else tune.k == "given"


def score_path(recipe: Recipe, tune: TuneConfig) -> str:
    """Where in `metrics.json` the score of a fold is: over hidden classes alone."""
    return SCORES[tune.score, recipe.data.setting]


def _too_few(message: str, hint: str) -> DataError:
    return DataError("folds cannot be made", [Problem(message, place="tune", hint=hint)])
