"""How a stage's files come to count: checked, synced to disk, manifest last, in place by one rename."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ncdcli.errors import NcdError
from ncdcli.pipeline.context import Resources
from ncdcli.pipeline.distributed import world_size
from ncdcli.pipeline.fingerprint import Ingredients
from ncdcli.pipeline.spec import StageSpec, name_of
from ncdcli.pipeline.work import is_temporary
from ncdcli.run import files, provenance
from ncdcli.run.folder import RunFolder, read_state
from ncdcli.run.manifest import MANIFEST, FileRecord, Manifest

READ_ONLY = 0o444


def record_outputs(folder: Path, spec: StageSpec) -> dict[str, FileRecord]:
    """Name -> record of the files that the stage wrote, synced to disk.

    NcdError if a declared file is missing, or a file is there that is neither declared nor temporary.
    """
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    declared = dict(map(name_of, spec.outputs))
    missing = [name for name, optional in declared.items() if not optional and name not in found]
    if missing:
        raise NcdError(f"stage `{spec.name}` did not write {_listed(missing)}")
    undeclared = sorted(name for name in found - declared.keys() if not is_temporary(name) and name != MANIFEST)
    if undeclared:
        raise NcdError(f"stage `{spec.name}` wrote {_listed(undeclared)}, which its row in the table does not declare")
    records = {}
    for name in sorted(found & declared.keys()):
        files.sync(folder / name)
        records[name] = FileRecord.of(folder / name)
    return records


def make_manifest(
    spec: StageSpec,
    ingredients: Ingredients,
    *,
    outputs: Mapping[str, FileRecord],
    resources: Resources,
    command: str,
) -> Manifest:
    """The manifest of a stage whose code has just run in this process, without its times."""
    return Manifest(
        stage=spec.name,
        version=spec.version,
        fingerprint=ingredients.fingerprint,
        config=dict(ingredients.config),
        seed=ingredients.seed,
        inputs=dict(ingredients.inputs),
        outputs=dict(outputs),
        started="",
        seconds=0.0,
        device=provenance.device(resources.device) if spec.distributed else "cpu",
        deterministic=spec.distributed and resources.deterministic,
        threads=provenance.threads(),
        processes=max(resources.processes, world_size()) if spec.distributed else 1,
        peak_memory_bytes=provenance.peak_memory_bytes(),
        code=provenance.code(),
        packages=provenance.packages(),
        command=command,
        python=provenance.python(),
        host=provenance.host(),
    )


def publish(run: RunFolder, manifest: Manifest) -> None:
    """Turn the work folder of a finished stage into the stage's folder. Safe to do again after a crash at any point.

    Order: temporary files out, manifest in (it says that the folder is whole), what was there before to `.old`, rename.
    """
    work = run.work_dir(manifest.stage, manifest.fingerprint)
    manifest.write(work)
    for entry in list(work.iterdir()):
        if is_temporary(entry.name):
            files.remove(entry)
    files.sync(work)
    target = run.stage_dir(manifest.stage)
    if target.exists():
        _set_aside(run, manifest.stage)
    files.rename(work, target)
    files.sync(run.path)


def link_outputs(source: Path, work: Path, manifest: Manifest) -> bool:
    """Fill `work` with read-only hard links to the outputs in `source`, or with copies where links cannot be made.

    False if the files are no longer those of the manifest (another process has replaced them meanwhile), or are another
    user's and can be neither linked nor copied.
    """
    files.remove(work)
    work.mkdir(parents=True)
    for name in manifest.outputs:
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _link_or_copy(source / name, target)
            target.chmod(READ_ONLY)
        except (FileNotFoundError, PermissionError):
            return False
    return not manifest.changed_outputs(work)


def check_inputs_unchanged(run: RunFolder, records: Mapping[str, FileRecord], *, stage: str) -> None:
    """Nothing, or NcdError: an input is not what it was when the stage started, so its output cannot be trusted."""
    changed = [name for name, record in records.items() if not record.matches(run.path / name)]
    if changed:
        raise NcdError(
            f"{_listed(changed)} changed while `{stage}` was reading: its result is not kept",
            hint="let nothing else write to the run folder",
        )


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another device, or a file system without hard links
        shutil.copy2(source, target)
        files.sync(target)


def _set_aside(run: RunFolder, stage: str) -> None:
    """Move what lies in a stage's place to `.old`, over an earlier result of the same fingerprint."""
    manifest, _ = read_state(run.stage_dir(stage), stage)
    old = run.old_dir(stage, manifest.fingerprint if manifest else "damaged")
    files.remove(old)
    old.parent.mkdir(exist_ok=True)
    files.rename(run.stage_dir(stage), old)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
