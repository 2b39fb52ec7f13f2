"""Processes that are there at once: forks of one that has imported torch, where new ones would import it for seconds.

It is Python's own, one for each process of tests; nothing is computed in it, and its variables are those of its start.
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

from ncdcli.recipe.resolve import load_recipe
from ncdcli.sweep.preload import modules_for
from ncdcli.training import launch

METHOD = "forkserver" if sys.platform == "linux" else "spawn"
STAGES = ("pretrain", "embed", "joint_training")


def processes() -> Any:
    """Where `Process` starts one."""
    if METHOD == "forkserver":
        multiprocessing.set_forkserver_preload(modules_for(load_recipe("digits-simgcd").recipe, STAGES))
    return multiprocessing.get_context(METHOD)


def train_in(patch: Any) -> None:
    """Have a training's processes be such ones, until the patch is undone."""
    from lightning_fabric.strategies import DDPStrategy

    processes()
    make = launch.make_fabric

    def make_fabric(*given: Any, strategy: Any, **named: Any) -> Any:
        return make(*given, strategy=DDPStrategy(start_method=METHOD) if strategy == "ddp_spawn" else strategy, **named)

    patch.setattr(launch, "make_fabric", make_fabric)
