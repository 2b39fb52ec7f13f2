"""Prints how long a sweep of short runs takes with runs as forks of one process, and as new processes.

    python scripts/bench/sweep.py [RECIPE] [--seeds N] [--jobs N] [--repeats N] [--set FIELD=VALUE]...

The two sides take turns in one go, so that both meet the same machine; medians are compared. Processor seconds are
those of all processes of the sweep. Exits with 1 if the forks do not save time, or if the two sides' scores differ.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIDES = {"forks": {}, "new processes": {"NCD_FORK": "0"}}


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="digits-gcd-raw")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--set", action="append", default=["report.map=pca"], dest="overrides")
    arguments = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    scores: list[Any] = []
    for _ in range(arguments.repeats):
        for side, variables in SIDES.items():
            with tempfile.TemporaryDirectory() as folder:
                seconds, table = sweep(arguments, Path(folder), variables)
            times[side].append(seconds)
            scores.append(table)
    medians = {
        side: [statistics.median(column) for column in zip(*values, strict=True)] for side, values in times.items()
    }
    for side, (wall, processor) in medians.items():
        print(f"{side:14} {wall:6.2f} s, {processor:6.2f} s of processor time (median of {arguments.repeats})")
    forks, processes = medians.values()
    print(f"ratio: {forks[0] / processes[0]:.2f}; of processor time {forks[1] / processes[1]:.2f}")
    saved = [(after - before) / arguments.seeds for before, after in zip(forks, processes, strict=True)]
    print(f"saved per run: {saved[0]:.2f} s; {saved[1]:.2f} s of processor time")
    return int(saved[0] <= 0 or any(score != scores[0] for score in scores))


def sweep(arguments: argparse.Namespace, folder: Path, variables: dict[str, str]) -> tuple[tuple[float, float], Any]:
    """Seconds that passed and seconds of processor time of a sweep from nothing, and the scores that it prints."""
    (folder / "s.yaml").write_text(f"recipe: {arguments.recipe}\nseeds: {arguments.seeds}\n")
    sets = [word for override in arguments.overrides for word in ("--set", override)]
    words = [
        sys.executable,
        "-m",
        "ncdcli",
        "sweep",
        "s.yaml",
        "--json",
        "--quiet",
        "--jobs",
        str(arguments.jobs),
        *sets,
    ]
    environment = {**{name: value for name, value in os.environ.items() if name != "NCD_FORK"}, **variables}
    started, before = time.perf_counter(), processor_seconds()
    done = subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    spent = time.perf_counter() - started, processor_seconds() - before
    shutil.rmtree(folder / "runs")
    return spent, [
        {name: row[name] for name in ("all", "known", "novel", "k")} for row in json.loads(done.stdout)["table"]
    ]


def processor_seconds() -> float:
    """What processes that have ended, those of ours and theirs, have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
