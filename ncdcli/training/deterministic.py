"""`--deterministic`: torch's deterministic kernels alone, for as long as a stage computes.

Random numbers need nothing of it: each is a function of the recipe's seed (`ncdcli.training.streams`), and the
processes of `--workers` decode files and draw none. On a CPU the same command gives the same bytes in any case. A GPU
adds numbers up in the order in which its threads end, unless it is told not to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ncdcli.errors import NcdError

# cuBLAS reads it when it starts in a process: no product may be computed before. These two values fix the order.
WORKSPACE, FIXED = "CUBLAS_WORKSPACE_CONFIG", (":4096:8", ":16:8")
NO_KERNEL = "does not have a deterministic implementation"  # what torch says of an operation


@contextmanager
def deterministic(asked: bool) -> Iterator[None]:
    """Within, where `asked`: torch takes deterministic kernels alone. All settings are put back at the end.

    NcdError, saying which, where an operation has none. Processes that are started within inherit the variable of
    cuBLAS, and have to call this themselves.
    """
    if not asked:
        yield
        return
    cudnn, before = torch.backends.cudnn, os.environ.get(WORKSPACE)
    settings = cudnn.deterministic, cudnn.benchmark
    algorithms, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    if before not in FIXED:
        os.environ[WORKSPACE] = FIXED[0]
    cudnn.deterministic, cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(True)
    try:
        yield
    except RuntimeError as error:
        if NO_KERNEL not in str(error):
            raise
        raise explained(error) from error
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warns)
        cudnn.deterministic, cudnn.benchmark = settings
        if before is None:
            os.environ.pop(WORKSPACE, None)
        else:
            os.environ[WORKSPACE] = before


def explained(error: RuntimeError) -> NcdError:
    """The error in our words, for an operation of which torch has no deterministic kernel."""
    operation = str(error).split(NO_KERNEL)[0].split()[-1]
    return NcdError(
        f"`--deterministic` cannot be kept: torch's `{operation}` has no deterministic form on this device",
        hint="leave `--deterministic` out, compute on the processor with `--device cpu`, or change the recipe",
    )
