"""`ncd sweep`: one recipe over seeds and a grid, side by side, summed up in one table."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.bring import bring_data
from ncdcli.cli.output import print_table, print_text, seconds
from ncdcli.cli.session import Session, session_of
from ncdcli.errors import Interrupted, NcdError
from ncdcli.words import counted

if TYPE_CHECKING:
    from ncdcli.pipeline.plan import Plan
    from ncdcli.sweep.execute import Outcome, Process
    from ncdcli.sweep.forks import Starter
    from ncdcli.sweep.load import Sweep
    from ncdcli.sweep.schedule import Keys, Scheduled

NOTHING_TO_DO = "up to date"


def complete_sweeps(incomplete: str) -> list[str]:
    """Shipped sweeps, for the shell's completion."""
    from ncdcli.shipped import shipped_sweeps

    return [name for name in shipped_sweeps() if name.startswith(incomplete)]


@dataclass(frozen=True)
class How:
    """Where and how fast the runs are made."""

    jobs: int
    keep_going: bool
    device: str
    workers: int
    download: bool
    deterministic: bool = False

    def words(self) -> list[str]:
        """The same as options of `ncd run`, those that are not at their default."""
        device = [] if self.device == "auto" else ["--device", self.device]
        deterministic = ["--deterministic"] if self.deterministic else []
        return device + deterministic + ([] if self.workers == 0 else ["--workers", str(self.workers)])

    @property
    def threads(self) -> int | None:
        """Threads for each of several processes that compute side by side; None: as one process would take."""
        from ncdcli.run.provenance import usable_cores

        return None if self.jobs == 1 else max(1, usable_cores() // self.jobs)


def add_sweep_command(app: typer.Typer) -> None:
    """Register `sweep`."""
    app.command("sweep", rich_help_panel="Stages")(sweep)


def sweep(
    context: typer.Context,
    sweep: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP",
            help="A sweep file (`recipe`, `seeds`, `grid`), or the name of a shipped one.",
            autocompletion=complete_sweeps,
            show_default=False,
        ),
    ],
    root: Annotated[
        Path | None, typer.Option("--root", metavar="PATH", help="Folder that holds the runs; default `runs/SWEEP`.")
    ] = None,
    overrides: options.SetOption = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Runs at a time.")] = 1,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on with other runs after one failed.")] = False,
    dry_run: options.DryRunOption = False,
    device: options.DeviceOption = "auto",
    workers: options.WorkersOption = 0,
    deterministic: options.DeterministicOption = False,
    download: options.DownloadOption = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Run a recipe over seeds and a grid of values, and sum up in one table.

    The same command again does only what is missing. On Linux, and on the processor alone, runs are forks of one
    process that imports for all of them; with the variable `NCD_FORK=0` each is a new process.
    """
    from ncdcli.sweep.load import load_sweep

    session = session_of(context, json=json, quiet=quiet)
    how = How(jobs, keep_going, options.check_device(device), workers, download, deterministic)
    loaded = load_sweep(sweep, overrides or (), root=root)
    if download and not dry_run:
        bring_data((run.recipe.data for run in loaded.runs), session)
    plans = _plans(loaded)
    if dry_run:
        _answer_plan(session, loaded, plans)
        return
    _check(loaded, plans, how)
    _run(session, loaded, plans, how)


def _plans(sweep: Sweep) -> dict[str, Plan]:
    """Name -> plan of every run. The samples of one data section are looked at once."""
    from ncdcli.data.resolve import data_identity
    from ncdcli.pipeline.plan import make_plan
    from ncdcli.run.folder import RunFolder

    known: dict[str, dict[str, Any]] = {}

    def identity(data: Any) -> dict[str, Any]:
        key = data.model_dump_json()
        if key not in known:
            known[key] = data_identity(data)
        return known[key]

    return {run.name: make_plan(run.recipe, RunFolder(sweep.folder(run)), identity=identity) for run in sweep.runs}


def _check(sweep: Sweep, plans: Mapping[str, Plan], how: How) -> None:
    """MissingError for data, weights, a package or disk space that is not there, before anything runs."""
    from ncdcli.pipeline.context import Resources
    from ncdcli.pipeline.preflight import check_prerequisites

    for run in sweep.runs:
        plan = plans[run.name]
        for decision in plan.decisions:
            if decision.problem is not None:
                raise decision.problem
        resources = Resources(how.device, 1, how.workers, how.download)
        check_prerequisites(run.recipe, sweep.folder(run), stages=plan.to_do, resources=resources)


def _answer_plan(session: Session, sweep: Sweep, plans: Mapping[str, Plan]) -> None:
    """Print which runs would do what, and why."""
    rows = _planned(sweep, plans)
    if session.json:
        duplicates = dict(sweep.duplicates)
        session.answer({"sweep": sweep.name, "root": str(sweep.root), "plan": rows, "duplicates": duplicates})
        return
    cells = [(row["run"], ", ".join(row["to_do"]) or "–", _shared_text(row["shared"]), row["reason"]) for row in rows]
    cells += [(name, "–", f"all, of {other}", "the same recipe: left out") for name, other in sweep.duplicates.items()]
    print_table(("run", "to do", "shared", "why"), cells)
    to_do = sum(bool(row["to_do"]) for row in rows)
    print_text(f"{counted(to_do, 'run')} of {len(rows)} to do, in {sweep.root}")


def _planned(sweep: Sweep, plans: Mapping[str, Plan]) -> list[dict[str, Any]]:
    from ncdcli.sweep.schedule import shared_with, stage_keys

    earlier: list[tuple[str, Keys]] = []
    rows = []
    for run in sweep.runs:
        plan, keys = plans[run.name], stage_keys(run.recipe)
        wanted = [decision for decision in plan.decisions if decision.action != "keep"]
        names = {decision.stage for decision in wanted}
        found = {
            name: [stage for stage in stages if stage in names] for name, stages in shared_with(keys, earlier).items()
        }
        shared = {name: stages for name, stages in found.items() if stages}
        linked = {stage for stages in shared.values() for stage in stages}
        linked |= {decision.stage for decision in wanted if decision.action == "reuse"}
        rows.append(
            {
                "run": run.name,
                "recipe": run.reference,
                "overrides": list(run.overrides),
                "to_do": [decision.stage for decision in wanted if decision.stage not in linked],
                "shared": shared,
                "reason": wanted[0].reason if wanted else NOTHING_TO_DO,
            }
        )
        earlier.append((run.name, keys))
    return rows


def _shared_text(shared: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{', '.join(stages)} of {name}" for name, stages in shared.items())


def _run(session: Session, sweep: Sweep, plans: Mapping[str, Plan], how: How) -> None:
    """Run what is to be done, print the table, and raise what went wrong."""
    from ncdcli.pipeline.signals import StopSignals
    from ncdcli.run.folder import RunFolder
    from ncdcli.sweep.execute import Executor
    from ncdcli.sweep.schedule import Scheduled, stage_keys

    to_do = [
        Scheduled(run.name, RunFolder(sweep.folder(run)), stage_keys(run.recipe))
        for run in sweep.runs
        if not plans[run.name].nothing_to_do
    ]
    up_to_date = len(sweep.runs) - len(to_do)
    skipped = f", {counted(len(sweep.duplicates), 'duplicate')} left out" if sweep.duplicates else ""
    session.note(f"{sweep.root}: {counted(len(to_do), 'run')} to do, {up_to_date} up to date{skipped}")
    ended: list[str] = []

    def tell(outcome: Outcome) -> None:
        ended.append(outcome.name)
        why = f": {outcome.end.message}" if outcome.end is not None and outcome.state == "failed" else ""
        time = seconds(outcome.seconds)
        session.note(f"[{len(ended)}/{len(to_do)}] {outcome.name}: {outcome.state} after {time}{why}")

    with (
        StopSignals(lambda name: session.note(f"{name}: stopping the runs; Ctrl-C again stops at once")) as stop,
        _starter(sweep, plans, how, runs=len(to_do)) as starter,
    ):
        executor = Executor(_start(sweep, how, starter), tell, stop, how.jobs, how.keep_going)
        outcomes = executor.execute(to_do)
        _answer(session, sweep, outcomes)
        if stop.requested():
            missing = sum(outcome.state != "done" for outcome in outcomes.values())
            message = (
                f"interrupted; {counted(missing, 'run')} of {len(sweep.runs)} still to do, all that is done is saved"
            )
            stopped = Interrupted(message, exit_code=stop.exit_code)
            stopped.resume = session.command
            raise stopped
    _raise_failures(session, sweep, outcomes)


def _starter(sweep: Sweep, plans: Mapping[str, Plan], how: How, *, runs: int) -> Starter:
    """What starts processes, and knows what is to be imported for the stages that are to be done."""
    from ncdcli.sweep.forks import Starter
    from ncdcli.sweep.preload import modules_for

    def modules() -> Iterator[str]:
        for run in sweep.runs:
            yield from modules_for(run.recipe, plans[run.name].to_do)

    return Starter(modules, runs=runs, device=how.device, threads=how.threads)


def _start(sweep: Sweep, how: How, starter: Starter) -> Callable[[Scheduled], Process]:
    """The function that starts the process of a run."""
    by_name = {run.name: run for run in sweep.runs}

    def start(scheduled: Scheduled) -> Process:
        run = by_name[scheduled.name]
        sets = [word for override in run.overrides for word in ("--set", override)]
        return starter(["run", run.reference, *sets, "--run", str(scheduled.folder.path), *how.words()])

    return start


def _answer(session: Session, sweep: Sweep, outcomes: Mapping[str, Outcome]) -> None:
    """The table over all runs that are done, whenever that was."""
    from ncdcli.sweep.table import PROTOCOL, explanation, rows_json, rows_of, summary_table

    done = [run.name for run in sweep.runs if run.name not in outcomes or outcomes[run.name].state == "done"]
    rows = rows_of(sweep, done)
    if session.json:
        runs = [_run_json(sweep, name, outcomes.get(name)) for name in (run.name for run in sweep.runs)]
        content = {"sweep": sweep.name, "root": str(sweep.root), "runs": runs, "table": rows_json(rows)}
        session.answer({**content, "duplicates": dict(sweep.duplicates)})
        return
    if not rows:
        return
    columns, cells = summary_table(rows, sweep.fields)
    print_table(columns, cells, right=[column for column in columns if column not in (*sweep.fields, PROTOCOL)])
    print_text(explanation(rows))
    print_text(f"next: ncd compare {shlex.quote(str(sweep.root))}/*")


def _run_json(sweep: Sweep, name: str, outcome: Outcome | None) -> dict[str, Any]:
    content: dict[str, Any] = {"run": str(sweep.root / name), "state": NOTHING_TO_DO, "seconds": 0.0, "error": None}
    if outcome is not None:
        content |= {"state": outcome.state, "seconds": round(outcome.seconds, 3)}
        if outcome.state == "failed" and outcome.end is not None:
            end = outcome.end
            content["error"] = {"message": end.message, "hint": end.hint, "exit_code": end.code, "log": end.log}
    return content


def _raise_failures(session: Session, sweep: Sweep, outcomes: Mapping[str, Outcome]) -> None:
    """NcdError that names each failed run, and says how to go on."""
    failed = [outcome for outcome in outcomes.values() if outcome.state == "failed"]
    if not failed:
        return
    reasons = [f"`{outcome.name}`: {outcome.end.message}" for outcome in failed if outcome.end is not None]
    error = NcdError(
        f"{counted(len(failed), 'run')} of {len(sweep.runs)} failed: {'; '.join(reasons)}",
        hint=next((outcome.end.hint for outcome in failed if outcome.end is not None and outcome.end.hint), ""),
    )
    logs = [outcome.end.log for outcome in failed if outcome.end is not None and outcome.end.log]
    error.log = Path(logs[0]) if logs else None
    error.resume = session.command
    raise error
