"""Runs `ncd` again and again in processes forked from this one, which has imported torch once, and kills them.

Reads a JSON object a line: {"words", "folder", "begun", "after"}. Starts `ncd WORDS` in the folder; kills it with
SIGKILL `after` seconds after something matches the pattern `begun` (null: never). Answers {"code"}; that of a killed
process is -9.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

MODULES = (
    "torch", "torch.profiler", "torch.utils.data", "lightning_fabric", "safetensors.torch", "scipy.optimize",
    "scipy.sparse", "pandas", "rich.progress", "rich.table",
    "ncdcli.cli.main", "ncdcli.cli.summary", "ncdcli.recipe.resolve", "ncdcli.pipeline.runner", "ncdcli.data.packaged",
    "ncdcli.models.small_cnn", "ncdcli.objectives.supcon_infonce", "ncdcli.training.loop", "ncdcli.training.launch",
    "ncdcli.counting.max_acc", "ncdcli.clustering.semi_kmeans", "ncdcli.stages.split", "ncdcli.stages.pretrain",
    "ncdcli.stages.embed", "ncdcli.stages.estimate_k", "ncdcli.joint.simgcd", "ncdcli.joint.embedder",
    "ncdcli.stages.joint_training", "ncdcli.clustering.head", "ncdcli.stages.cluster", "ncdcli.stages.evaluate",
)  # fmt: skip
POLL_SECONDS = 0.002


def main() -> None:
    for module in MODULES:
        import_module(module)
    loop = import_module("ncdcli.training.loop")
    # A checkpoint as often as can be: at the usual distance of seconds a run as short as these would write none.
    loop.SAVE_SECONDS, loop.SAVE_SECONDS_WITHIN, loop.SAVE_SHARE, loop.CHECK_BATCHES = 1e-6, 1e-6, 1.0, 2
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)


def run(words: list[str], folder: str, begun: str | None, after: float) -> dict[str, int]:
    child = os.fork()
    if not child:
        run_ncd(words, folder)
    kill_at = None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return {"code": os.waitstatus_to_exitcode(status)}
        if kill_at is None and begun is not None and any(Path(folder).glob(begun)):
            kill_at = time.monotonic() + after
        if kill_at is not None and time.monotonic() >= kill_at:
            os.kill(child, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def run_ncd(words: list[str], folder: str) -> None:
    """`ncd` in this process, with what it prints in `output.txt`; does not return."""
    os.chdir(folder)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code: object = 70
    try:
        import_module("ncdcli.cli.main").main(words)
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
