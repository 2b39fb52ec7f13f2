"""Housekeeping: what a run keeps that no command will use again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncdcli.pipeline.plan import Identity, Plan, make_plan
from ncdcli.pipeline.spec import STAGES, StageSpec
from ncdcli.run import files
from ncdcli.run.folder import SHORT, RunFolder


@dataclass(frozen=True)
class Cleaned:
    """What was removed, or would be."""

    folders: tuple[Path, ...]
    freed_bytes: int  # files that another run shares by hard links free nothing


def clean(
    run: RunFolder,
    *,
    dry_run: bool = False,
    everything: bool = False,
    recipe: Any = None,
    table: Sequence[StageSpec] = STAGES,
    identity: Identity | None = None,
) -> Cleaned:
    """Remove replaced results (`.old`) and interrupted work that the present recipe cannot resume.

    Work whose stage waits for an earlier one is kept, for it may yet be resumed; `everything` removes all work.
    RunBusyError while another process writes.
    """
    run.info()
    with nullcontext() if dry_run else run.lock("ncd clean"):
        work = _entries(run.path / ".work")
        if work and not everything:
            plan = make_plan(recipe or run.recipe(), run, table=table, identity=identity)
            work = [folder for folder in work if _is_stale(folder, plan)]
        folders = [*_entries(run.path / ".old"), *work]
        freed = sum(map(files.size_alone, folders))
        for folder in folders if not dry_run else ():
            files.remove(folder)
    return Cleaned(tuple(folders), freed)


def _is_stale(work: Path, plan: Plan) -> bool:
    stage, _, fingerprint = work.name.rpartition("-")
    decision = next((decision for decision in plan.decisions if decision.stage == stage), None)
    if decision is None or decision.action in ("keep", "reuse"):
        return True
    return decision.fingerprint is not None and decision.fingerprint[:SHORT] != fingerprint


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
