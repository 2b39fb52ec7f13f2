"""`ncd status`, and plans as people and programs read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncdcli.cli import options
from ncdcli.cli.output import print_table, print_text, seconds
from ncdcli.cli.session import Session, session_of
from ncdcli.errors import UsageError

if TYPE_CHECKING:
    from ncdcli.pipeline.plan import Decision, Plan
    from ncdcli.run.folder import RunFolder

ACTIONS = {
    "run": "run",
    "resume": "resume",
    "reuse": "reuse",
    "keep": "keep",
    "depends": "run if changed",
}


def status(
    context: typer.Context,
    run: options.OptionalRunArgument = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file again in place of trusting dates.")] = False,
    root: options.RootOption = Path("runs"),
    json: options.JsonOption = False,
) -> None:
    """Show each stage of a run: done, running, stale and why, interrupted, missing. Without RUN: all runs."""
    from ncdcli.cli.target import find_run

    session = session_of(context, json=json)
    if run is None:
        if verify:
            raise UsageError("`--verify` needs a run", hint="ncd status RUN --verify")
        from ncdcli.cli.runs import list_runs

        list_runs(session, root)
        return
    _answer_status(session, find_run(run), verify=verify)


def _answer_status(session: Session, folder: RunFolder, *, verify: bool) -> None:
    from ncdcli.pipeline.plan import make_plan

    plan = make_plan(folder.recipe(), folder, verify=verify)
    under_way = _under_way(folder, plan)
    stages: list[dict[str, Any]] = [
        {
            "stage": decision.stage,
            "state": "running" if decision.stage == under_way else state(folder, decision),
            "reason": "" if decision.stage == under_way else decision.reason,
            "seconds": manifest.seconds if (manifest := folder.manifest(decision.stage)) is not None else None,
        }
        for decision in plan.decisions
    ]
    owner = plan.owner
    if session.json:
        in_use = None if owner is None else {"pid": owner.pid, "host": owner.host, "command": owner.command}
        session.answer({"run": str(folder.path), "in_use_by": in_use, "stages": stages})
        return
    rows = [
        (
            row["stage"],
            row["state"],
            seconds(row["seconds"]),
            "" if row["reason"] in ("done", "not done yet") else row["reason"],
        )
        for row in stages
    ]
    print_table(("stage", "state", "time", "why"), rows, right=("time",))
    if owner is not None:
        print_text(f"in use by pid {owner.pid} on {owner.host}: `{owner.command}`")
    elif not plan.nothing_to_do:
        print_text(f"to go on: ncd run {folder.path}")


def _under_way(folder: RunFolder, plan: Plan) -> str | None:
    """The stage that another process is at, None where nobody works on the run."""
    events = folder.events.read() if plan.owner is not None else []
    return str(events[-1].get("stage")) if events and events[-1].get("event") in ("started", "resumed") else None


def state(folder: RunFolder, decision: Decision) -> str:
    """done | stale | interrupted | missing, for a stage that nobody is at."""
    if decision.action == "keep":
        return "done"
    if decision.action == "resume":
        return "interrupted"
    if folder.manifest(decision.stage) is not None:
        return "stale"
    attempted = decision.fingerprint and folder.work_dir(decision.stage, decision.fingerprint).is_dir()
    return "interrupted" if attempted else "missing"


def answer_plan(session: Session, folder: RunFolder, plan: Plan) -> None:
    """Print what a command would do."""
    if session.json:
        session.answer({"run": str(folder.path), "plan": [decision_json(decision) for decision in plan.decisions]})
        return
    rows = [(decision.stage, ACTIONS[decision.action], decision.reason) for decision in plan.decisions]
    print_table(("stage", "action", "why"), rows)
    print_text(f"run folder: {folder.path}")


def decision_json(decision: Decision) -> dict[str, Any]:
    return {
        "stage": decision.stage,
        "action": decision.action,
        "reason": decision.reason,
        "fingerprint": decision.fingerprint,
        "source": None if decision.source is None else str(decision.source),
    }
