"""What `ncd tune` prints: what would be searched, and the trials that did best."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ncdcli.cli.output import print_table, print_text
from ncdcli.cli.session import Session
from ncdcli.words import counted

if TYPE_CHECKING:
    from ncdcli.tune.load import Search
    from ncdcli.tune.record import Record
    from ncdcli.tune.trials import Study, Trial

SHOWN = 10  # trials in the table


def answer_plan(session: Session, search: Search, *, seed: int) -> None:
    """Print what would be searched, and how far it is; nothing is written."""
    from ncdcli.tune.folds import k_is_given, score_path
    from ncdcli.tune.record import JOURNAL, read_record
    from ncdcli.tune.trials import Study

    record = read_record(search)
    done: list[Trial] = []
    if record is not None and (search.root / JOURNAL).is_file():
        with TemporaryDirectory() as folder:  # opening a journal may write to it
            copied = Path(copy(search.root / JOURNAL, folder))
            done = Study(copied, search.tree(), search.tune, seed=seed).trials()
    space = {field: spec if isinstance(spec, tuple) else vars(spec) for field, spec in search.tune.space.items()}
    hidden = None if record is None else [list(fold.hidden) for fold in record.folds]
    to_do = max(search.tune.trials - sum(trial.state != "running" for trial in done), 0)
    score = score_path(search.recipe, search.tune)
    if session.json:
        plan = {"folds": search.tune.folds, "hidden": hidden, "score": score, "trials": search.tune.trials}
        session.answer({"root": str(search.root), **plan, "to_do": to_do, "space": space})
        return
    print_table(("field", "values"), [(field, _spec_text(spec)) for field, spec in space.items()])
    told = "told" if k_is_given(search.recipe, search.tune) else "not told"
    print_text(f"{counted(search.tune.folds, 'fold')}, {told} their number of classes; score: {score}")
    for number, classes in enumerate(hidden or [], start=1):
        print_text(f"fold {number} hides: {', '.join(classes)}")
    print_text(f"{counted(to_do, 'trial')} of {search.tune.trials} to do, in {search.root}")


def _spec_text(spec: Any) -> str:
    from ncdcli.sweep.load import text_of

    if isinstance(spec, tuple):
        return ", ".join(map(text_of, spec))
    step = "" if spec["step"] is None else f", by steps of {spec['step']:g}"
    return f"{spec['low']:g} to {spec['high']:g}{', log' * spec['log']}{step}"


def answer_trials(session: Session, search: Search, record: Record, study: Study) -> None:
    """Write and print the results so far."""
    from ncdcli.tune.results import BEST, trials_json, write_results
    from ncdcli.tune.trials import best_of

    trials = study.trials()
    write_results(search, record, trials)
    best, importance = best_of(trials), study.importance()
    path = None if best is None else str(search.root / BEST)
    if session.json:
        content = {"root": str(search.root), **trials_json(search, record, trials)}
        session.answer({**content, "importance": importance, "best_recipe": path})
        return
    _print_trials(search, trials)
    if importance:
        shares = ", ".join(f"{field} {share:.0%}" for field, share in importance.items())
        print_text(f"share of the variance: {shares}")
    print_text(f"plot: {search.root / 'trials.svg'}")
    if path is not None:
        print_text(f"best: {path}")
        print_text(f"next: ncd run {shlex.quote(path)}")


def _print_trials(search: Search, trials: Sequence[Trial]) -> None:
    """The best trials, and the recipe's own values wherever they are."""
    from ncdcli.tune.folds import score_path
    from ncdcli.tune.results import counts, mean_sd

    scored = [trial for trial in trials if trial.state == "done"]
    ranked = sorted(scored, key=lambda trial: (-(trial.score or 0.0), trial.number))
    shown = ranked[:SHOWN] + [trial for trial in ranked[SHOWN:] if trial.origin == "recipe"]
    if shown:
        fields = list(search.tune.space)
        rows = [
            (_name(trial), mean_sd(trial), _ks(trial), *(_value_text(trial.point.get(field)) for field in fields))
            for trial in shown
        ]
        columns = ("trial", search.tune.score, "k", *fields)
        print_table(columns, rows, right=[column for column in columns if column not in ("trial", "k")])
    print_text(f"trials: {counts(trials)}")
    print_text(
        f"score: {score_path(search.recipe, search.tune)}, mean ± sd over folds; only hidden known classes count"
    )


def _name(trial: Trial) -> str:
    return f"{trial.number}{' (recipe)' * (trial.origin == 'recipe')}"


def _ks(trial: Trial) -> str:
    """The number of classes in each fold, with the true one."""
    return ", ".join(f"{fold.k}/{'?' if fold.true_k is None else fold.true_k}" for fold in trial.folds)


def _value_text(value: Any) -> str:
    from ncdcli.sweep.load import text_of

    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else text_of(value)
