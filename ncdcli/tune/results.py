"""What a search leaves behind: all trials as CSV and JSON, the best as a recipe, and a plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from ncdcli.jsonfile import json_text
from ncdcli.recipe.resolve import ResolvedRecipe
from ncdcli.run.files import write_atomic
from ncdcli.sweep.load import text_of
from ncdcli.tune.folds import score_path
from ncdcli.tune.load import Search
from ncdcli.tune.plot import draw_trials
from ncdcli.tune.record import Record
from ncdcli.tune.trials import Trial, best_of
from ncdcli.words import counted

BEST = "best.yaml"
STATES = ("done", "pruned", "failed", "running")


def write_results(search: Search, record: Record, trials: Sequence[Trial]) -> None:
    """Write `trials.csv`, `trials.json`, `trials.svg`, and `best.yaml` where a trial went through all folds."""
    root = search.root
    write_atomic(root / "trials.csv", trials_csv(search, record, trials).encode())
    write_atomic(root / "trials.json", json_text(trials_json(search, record, trials)).encode())
    label = f"{search.tune.score} of hidden classes"
    write_atomic(root / "trials.svg", draw_trials(trials, search.tune.space, label=label).encode())
    best = best_of(trials)
    if best is not None:
        write_atomic(root / BEST, best_recipe(search, record, trials, best).encode())


def trials_csv(search: Search, record: Record, trials: Sequence[Trial]) -> str:
    """A row for each trial: state, score (mean over folds) and its sd, each fold's score and k, and the values."""
    fields = list(search.tune.space)
    numbers = [fold.number for fold in record.folds]
    header = ["trial", "state", "score", "sd", *(f"fold_{n}" for n in numbers), *(f"k_{n}" for n in numbers)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, *fields, "message"])
    for trial in trials:
        missing = [""] * (len(numbers) - len(trial.folds))
        scores = [repr(fold.score) for fold in trial.folds] + missing
        ks = [_or_empty(fold.k) for fold in trial.folds] + missing
        values = [text_of(trial.point[field]) if field in trial.point else "" for field in fields]
        mean = [_or_empty(trial.score), _or_empty(trial.sd)]
        writer.writerow([trial.number, trial.state, *mean, *scores, *ks, *values, trial.message])
    return text.getvalue()


def _or_empty(value: float | None) -> str:
    return "" if value is None else repr(value)


def trials_json(search: Search, record: Record, trials: Sequence[Trial]) -> dict[str, Any]:
    """The same for programs, with how the score is made, and what each trial cost."""
    best = best_of(trials)
    return {
        "recipe": search.recipe.name,
        "score": score_path(search.recipe, search.tune),
        "selection": "hidden-classes",
        "folds": [list(fold.hidden) for fold in record.folds],
        "best": None if best is None else best.number,
        "trials": [trial_json(trial) for trial in trials],
    }


def trial_json(trial: Trial) -> dict[str, Any]:
    """A trial as JSON."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "score": trial.score,
        "sd": trial.sd,
        "folds": [vars(fold) for fold in trial.folds],
        "point": trial.point,
        "origin": trial.origin,
        "same_as": trial.same_as,
        "message": trial.message or None,
    }


def best_recipe(search: Search, record: Record, trials: Sequence[Trial], best: Trial) -> str:
    """The recipe at the best point, complete, with a comment that says how it was chosen."""
    resolved = search.trial(best.point)
    folds = " | ".join(", ".join(fold.hidden) for fold in record.folds)
    found = f"trial {best.number} of {counts(trials)}"
    score = f"{search.tune.score} {mean_sd(best)} over {counted(len(record.folds), 'fold')}"
    own = next((trial for trial in trials if trial.origin == "recipe" and trial.state == "done"), None)
    than = "" if own is None else f"; the recipe's own values: {mean_sd(own)}"
    changes: Mapping[str, Any] = {
        "name": f"{search.recipe.name}-tuned",
        "description": f"{search.recipe.name}, tuned by hiding known classes: {found}, {score}.",
        "expected": (),
        "tune": None,
    }
    lines = [
        f"`{search.recipe.name}`, tuned by `ncd tune`: {found}.",
        f"Chosen by {score}{than}.",
        f"The score is that of hidden known classes alone; no label of a novel class was used. Hidden were: {folds}",
        *(f"  {field}: {text_of(value)}" for field, value in best.point.items()),
        "",
        f"  ncd run {search.root / BEST}",
    ]
    comment = "".join(f"# {' '.join(line.splitlines())}".rstrip() + "\n" for line in lines)
    recipe = resolved.recipe.model_copy(update=dict(changes))
    return comment + ResolvedRecipe(recipe, b"", None).to_yaml()


def counts(trials: Sequence[Trial]) -> str:
    """ "30 (24 done, 5 pruned, 1 failed)"."""
    by_state = {state: sum(trial.state == state for trial in trials) for state in STATES}
    told = ", ".join(f"{number} {state}" for state, number in by_state.items() if number)
    return f"{len(trials)} ({told})" if told else "0"


def mean_sd(trial: Trial) -> str:
    """ "0.912 ± 0.014", as fractions."""
    if trial.score is None:
        return "–"
    return f"{trial.score:.3f}" if trial.sd is None else f"{trial.score:.3f} ± {trial.sd:.3f}"
