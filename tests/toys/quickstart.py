"""Processes that are there at once: forks of this one, which has imported torch, where new ones would for seconds.

Not where torch or BLAS compute in several threads: a fork would wait in it for those that it does not have.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import Any

from ncdcli.training import launch

METHOD = "fork" if sys.platform == "linux" and os.environ.get("OMP_NUM_THREADS") == "1" else "spawn"


def processes() -> Any:
    """Where `Process` starts one."""
    return multiprocessing.get_context(METHOD)


def train_in(patch: Any) -> None:
    """Have a training's processes be such ones, until the patch is undone."""
    from lightning_fabric.strategies import DDPStrategy

    make = launch.make_fabric

    def make_fabric(*given: Any, strategy: Any, **named: Any) -> Any:
        return make(*given, strategy=DDPStrategy(start_method=METHOD) if strategy == "ddp_spawn" else strategy, **named)

    patch.setattr(launch, "make_fabric", make_fabric)
