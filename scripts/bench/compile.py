"""What `compile: true` brings to a training step, and what it costs before the first one.

    python scripts/bench/compile.py                                # all cases, fp32
    python scripts/bench/compile.py --cases vit vit_last --precision fp32 bf16
    python scripts/bench/compile.py --device cuda

A step is a pass through the backbone and back, as the training loop runs it: on whole batches of random inputs, in its
precision and memory format. Both sides have the same module, and take turns in one process. Seconds are by the clock
and, on a CPU, of all cores together: the latter bear a machine that is shared better. Those of compiling are of the
first step, in one process, with nothing from an earlier compilation; `after` says how many steps they are worth.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ncdcli.models.backbone import Backbone, InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import EfficientNetLite, Mlp, SmallCnn, Timm
from ncdcli.pipeline.context import Resources
from ncdcli.training.compiled import Compiled
from ncdcli.training.gather import set_up
from ncdcli.training.launch import make_fabric

IMAGES, DIGITS = InputSpec("images", (3, 224, 224)), InputSpec("images", (1, 28, 28), 1)
VIT = "vit_tiny_patch16_224"
CASES: dict[str, tuple[Any, InputSpec, int]] = {
    "small_cnn": (SmallCnn(), DIGITS, 128),
    "mlp": (Mlp(), InputSpec("tables", (64,)), 128),
    "vit": (Timm(name=VIT, weights="none"), IMAGES, 8),
    "vit_last": (Timm(name=VIT, weights="none", train_last_blocks=1), IMAGES, 8),
    "efficientnet_lite": (EfficientNetLite(train_last_blocks="all"), IMAGES, 8),
}


class Spent(NamedTuple):
    """Seconds by the clock, and of all cores together."""

    wall: float
    cores: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16", "fp16"], default=["fp32"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, help="samples a step; default: 128 of the small ones, 8 at 224 pixels")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__} on {options.device}, {options.threads} threads; seconds a step, wall (cores)")
    for case in options.cases:
        for precision in options.precision:
            with tempfile.TemporaryDirectory() as folder:
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
                bench(case, precision, options)


def bench(case: str, precision: str, options: argparse.Namespace) -> None:
    """Print a line of the table."""
    section, spec, batch = CASES[case]
    torch.manual_seed(0)
    backbone = build_backbone(section, spec, pretrained=False)
    fabric = make_fabric(Resources(options.device), precision, strategy="auto", processes=1)
    inputs = torch.randn(options.batch or batch, *spec.shape, device=fabric.device)
    if backbone.channels_last:
        backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    backbone.train()
    sides = [set_up(fabric, backbone), set_up(fabric, Compiled(backbone, section="pretrain"))]
    step(sides[0], backbone, inputs)
    first = step(sides[1], backbone, inputs)
    times: list[list[Spent]] = [[], []]
    for _ in range(options.repeats):
        for side, spent in zip(sides, times, strict=True):
            spent.append(step(side, backbone, inputs))
    eager, compiled = (Spent(*map(statistics.median, zip(*spent, strict=True))) for spent in times)
    gained = eager.wall - compiled.wall
    after = f"{(first.wall - compiled.wall) / gained:,.0f} steps" if gained > 0 else "never"
    print(
        f"{case:18} {precision}  batch {len(inputs):3}  eager {eager.wall:.4f} ({eager.cores:.4f})"
        f"  compiled {compiled.wall:.4f} ({compiled.cores:.4f})  faster {eager.wall / compiled.wall:5.2f}"
        f" ({eager.cores / compiled.cores:.2f})  compiling {first.wall:.0f} ({first.cores:.0f})  pays after {after}",
        flush=True,
    )


def step(side: Callable[[Tensor], Tensor], backbone: Backbone, inputs: Tensor) -> Spent:
    """What a pass forward and back takes."""
    backbone.zero_grad()
    started = clock(inputs.device)
    side(inputs).square().mean().backward()
    ended = clock(inputs.device)
    return Spent(ended.wall - started.wall, ended.cores - started.cores)


def clock(device: torch.device) -> Spent:
    """Now, when the device has done what it was told; compilers count, which are processes of their own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Spent(time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used))


if __name__ == "__main__":
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # read when the compiler is first imported
    main()
