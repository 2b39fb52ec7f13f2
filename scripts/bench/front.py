"""Prints how long `ncd --help` takes beside `python -c "import torch"`, and a second `ncd run` of a finished recipe.

    python scripts/bench/front.py [RECIPE] [--repeats N]

The two sides take turns in one go, so that both meet the same machine; medians are compared. Exits with 1 if help takes
more than 0.3 of importing torch, or the second run more than 1.5 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HELP_SHARE = 0.3  # of the time of importing torch
SECOND_RUN_SECONDS = 1.5
NCD = [sys.executable, "-m", "ncdcli"]


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="digits-gcd")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        again = [*NCD, "run", arguments.recipe, "--quiet"]
        subprocess.run(again, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "ncd --help": [*NCD, "--help"],
            f"ncd run {arguments.recipe}, finished": again,
        }
        medians = measure(commands, Path(folder), repeats=arguments.repeats)
    torch, front, second = medians.values()
    print(f"ncd --help / import torch: {front / torch:.2f} (at most {HELP_SHARE})")
    print(f"second run: {second:.2f} s (at most {SECOND_RUN_SECONDS} s)")
    return int(front > HELP_SHARE * torch or second > SECOND_RUN_SECONDS)


def measure(commands: dict[str, list[str]], folder: Path, *, repeats: int) -> dict[str, float]:
    """Median seconds of each command over `repeats` rounds, after one that warms the disk cache; printed as it goes."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(repeats + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            if number:
                times[name].append(time.perf_counter() - started)
    for name, values in times.items():
        print(
            f"{name:32} median {statistics.median(values):.2f} s, {min(values):.2f}–{max(values):.2f} s, n = {repeats}"
        )
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    sys.exit(main())
