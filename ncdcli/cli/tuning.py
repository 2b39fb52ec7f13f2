"""`ncd tune`: settings that find hidden known classes best, without looking at a novel label."""

from __future__ import annotations

import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.session import Session, session_of
from ncdcli.cli.sweeping import How
from ncdcli.cli.trials import answer_plan, answer_trials
from ncdcli.errors import DataError, Interrupted, MissingError, NcdError, UsageError
from ncdcli.pipeline.spec import BY_NAME
from ncdcli.recipe.base import Package
from ncdcli.words import counted

if TYPE_CHECKING:
    from ncdcli.pipeline.signals import StopSignals
    from ncdcli.sweep.children import End
    from ncdcli.sweep.forks import Starter
    from ncdcli.tune.load import Search
    from ncdcli.tune.record import Record
    from ncdcli.tune.trials import Study, Trial

PACKAGE = Package("optuna", "pip install 'ncd-cli[tune]'")
SAMPLERS = ("tpe", "random")
NEEDING = ("split", "pretrain", "embed", "cluster")  # stages that need something which may not be there

TuneRecipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A recipe with a `tune` section: a file, or the name of a shipped one.",
        autocompletion=options.complete_targets,
        show_default=False,
    ),
]
RootOption = Annotated[
    Path | None, typer.Option("--root", metavar="PATH", help="Folder of the trials; default `runs/NAME-tune`.")
]
TrialsOption = Annotated[
    int | None, typer.Option("--trials", metavar="N", min=1, help="Trials in all; default: the recipe's.")
]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", min=0, help="Begin no trial after so long.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Trials at a time.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the folds and of what is drawn.")]
SamplerOption = Annotated[
    str | None, typer.Option("--sampler", metavar="NAME", help="tpe or random; default: the recipe's.")
]


def add_tune_command(app: typer.Typer) -> None:
    """Register `tune`."""
    app.command("tune", rich_help_panel="Stages")(tune)


def tune(
    context: typer.Context,
    recipe: TuneRecipe,
    root: RootOption = None,
    overrides: options.SetOption = None,
    trials: TrialsOption = None,
    timeout: TimeoutOption = None,
    jobs: JobsOption = 1,
    seed: SeedOption = 0,
    sampler: SamplerOption = None,
    dry_run: options.DryRunOption = False,
    device: options.DeviceOption = "auto",
    workers: options.WorkersOption = 0,
    deterministic: options.DeterministicOption = False,
    download: options.DownloadOption = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Search settings by hiding known classes: they play the novel ones, and are scored.

    The same command again goes on where the last one stopped.
    """
    from ncdcli.tune.load import load_search
    from ncdcli.tune.record import check_folder

    session = session_of(context, json=json, quiet=quiet)
    if sampler is not None and sampler not in SAMPLERS:
        raise UsageError(f"no sampler is named `{sampler}`", hint="write tpe or random")
    device = options.check_device(device)
    how = How(jobs, True, device, workers, download, deterministic)
    search = load_search(recipe, overrides or (), root=root, changed={"trials": trials, "sampler": sampler})
    check_folder(search, seed=seed)
    _check_package()
    if dry_run:
        answer_plan(session, search, seed=seed)
        return
    _check(search, how)
    _tune(session, search, how, seed=seed, timeout=timeout)


def _check_package() -> None:
    if find_spec(PACKAGE.module) is None:
        message = f"`ncd tune` needs the package `{PACKAGE.module}`, which is not installed"
        raise MissingError(message, hint=PACKAGE.install)


def _check(search: Search, how: How) -> None:
    """MissingError for data, weights, a package or disk space that is not there, before anything runs."""
    from ncdcli.pipeline.context import Resources
    from ncdcli.pipeline.preflight import check_prerequisites

    resources = Resources(how.device, 1, how.workers, how.download)
    check_prerequisites(search.recipe, search.root, stages=NEEDING, resources=resources)


def _tune(session: Session, search: Search, how: How, *, seed: int, timeout: float | None) -> None:
    """Run the search, print what it found, and say how to go on."""
    from ncdcli.pipeline.signals import StopSignals
    from ncdcli.run.lock import hold_lock
    from ncdcli.tune.record import JOURNAL, open_record
    from ncdcli.tune.run import Runner
    from ncdcli.tune.trials import Study

    deadline = None if timeout is None else time.monotonic() + timeout
    _make_folder(search.root)
    with (
        hold_lock(search.root, command=session.command),
        StopSignals(lambda name: session.note(f"{name}: stopping the trials; Ctrl-C again stops at once")) as stop,
        ExitStack() as stack,
    ):
        record = open_record(search, lambda: _split(session, search, how, stop), seed=seed)
        study = Study(search.root / JOURNAL, search.tree(), search.tune, seed=seed, jobs=how.jobs)
        begun = study.trials()
        ended = sum(trial.state != "running" for trial in begun)
        to_do = max(search.tune.trials - ended, 0)
        session.note(f"{search.root}: {counted(to_do, 'trial')} to do, {ended} done")
        starter = stack.enter_context(_starter(search, how, runs=to_do * len(record.folds)))
        try:
            Runner(
                search, study, record.folds, len(record.known),
                start=lambda words: starter([*words, *how.words()]),
                tell=_teller(session, search, record, study), stop=stop,
                jobs=how.jobs, deadline=deadline,
            ).run()  # fmt: skip
        finally:
            answer_trials(session, search, record, study)
        if stop.requested():
            raise _stopped(session, search, study, stop)
    _check_found(study)


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NcdError(f"cannot make the folder `{root}`: {reason}", hint="choose another `--root`") from error


def _starter(search: Search, how: How, *, runs: int) -> Starter:
    """What starts processes, and knows what the trials import; kinds that trials choose come as they are chosen."""
    from ncdcli.sweep.forks import Starter
    from ncdcli.sweep.preload import modules_for
    from ncdcli.tune.run import LAST_STAGE

    stages = [*BY_NAME][: [*BY_NAME].index(LAST_STAGE) + 1]
    return Starter(lambda: modules_for(search.recipe, stages), runs=runs, device=how.device, threads=how.threads)


def _split(session: Session, search: Search, how: How, stop: StopSignals) -> None:
    """Make the base run's split, in a process of its own: this one opens no file that holds a novel label."""
    from ncdcli.sweep.children import Child

    sets = [word for override in (*search.overrides, "tune=null") for word in ("--set", override)]
    words = ["run", search.reference, *sets, "--until", "split", "--run", str(search.base), *how.words()]
    child = Child(words, threads=how.threads)
    try:
        end, told = None, False
        while end is None:
            if stop.received is not None and not told:
                child.send(stop.received)
                told = True
            end = child.end(timeout=0.2)
    finally:
        child.kill()
    if stop.requested():
        stopped = Interrupted("interrupted before the first trial", exit_code=stop.exit_code)
        stopped.resume = session.command
        raise stopped
    if end.code != 0:
        raise _error_of(end)


def _error_of(end: End) -> NcdError:
    """The error that the split ended with."""
    kind = {MissingError.exit_code: MissingError, DataError.exit_code: DataError}.get(end.code, NcdError)
    error = kind(end.message, hint=end.hint)
    error.log = Path(end.log) if end.log else None
    return error


def _teller(session: Session, search: Search, record: Record, study: Study) -> Any:
    """The function that tells of each trial at its end, and brings the files with the results up to date."""
    from ncdcli.tune.results import mean_sd, write_results
    from ncdcli.tune.trials import best_of

    def tell(trial: Trial) -> None:
        trials = study.trials()
        write_results(search, record, trials)
        best = best_of(trials)
        ended = sum(other.state != "running" for other in trials)
        what = trial.message if trial.state == "failed" else mean_sd(trial)
        far = "" if best is None else f" (best: {mean_sd(best)}, trial {best.number})"
        session.note(f"[{ended}/{search.tune.trials}] trial {trial.number} {trial.state}: {what}{far}")

    return tell


def _stopped(session: Session, search: Search, study: Study, stop: StopSignals) -> Interrupted:
    ended = sum(trial.state != "running" for trial in study.trials())
    left = max(search.tune.trials - ended, 0)
    error = Interrupted(
        f"interrupted; {counted(left, 'trial')} of {search.tune.trials} still to do, all that is done is saved",
        exit_code=stop.exit_code,
    )
    error.resume = session.command
    return error


def _check_found(study: Study) -> None:
    """NcdError where no trial went through all folds."""
    trials = study.trials()
    if any(trial.state == "done" for trial in trials) or not any(trial.state == "failed" for trial in trials):
        return
    reasons = list(dict.fromkeys(trial.message for trial in trials if trial.state == "failed"))
    raise NcdError(
        f"no trial was completed: {'; '.join(reasons[:3])}",
        hint="change `tune.space` to values that go together, and search with another `--root`",
    )
