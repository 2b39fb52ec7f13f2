"""Peak memory and seconds of training steps whose batch passes through the backbone in 1, 4 or 16 parts.

    OMP_NUM_THREADS=1 python scripts/bench/accumulate.py [--name vit_tiny_patch16_224] [--batch 64] [--steps 3]

Each side is GCD's pretraining (two views, one contrast over the whole batch) in a process of its own, by turns. Memory
is what the process has needed at most beyond what it had with model and data loaded.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

PARTS = (1, 4, 16)


def main() -> None:
    """Print the table; with `--parts`, be one of its sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="vit_tiny_patch16_224", help="of a timm model, with random weights")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--parts", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parts is not None:
        print(*one_side(options.name, options.batch, options.steps, options.parts))
        return
    found: dict[int, list[list[float]]] = {parts: [] for parts in PARTS}
    for _ in range(options.repeats):
        for parts in PARTS:
            printed = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--parts", str(parts)],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            found[parts].append([float(word) for word in printed.stdout.split()])
    whole = [median(values) for values in zip(*found[1], strict=True)]
    print(f"{options.name}, batches of {options.batch} images, two views each, all blocks trained")
    for parts, rows in found.items():
        seconds, memory = (median(values) for values in zip(*rows, strict=True))
        print(
            f"accumulate: {parts:2}   {seconds:6.2f} s a step, {seconds / whole[0]:.2f} of one part"
            f"   {memory:7.0f} MiB, {memory / whole[1]:.2f}"
        )


def one_side(name: str, batch: int, steps: int, parts: int) -> tuple[float, float]:
    """Seconds of a step and MiB at most, training included."""
    import numpy as np

    from ncdcli.models.build import build_backbone
    from ncdcli.models.kinds import Timm
    from ncdcli.objectives.kinds import KINDS, Augment, PretrainConfig, SupConInfoNCE
    from ncdcli.pipeline.context import Resources
    from ncdcli.recipe.base import import_kind
    from ncdcli.training.batches import ArrayImages
    from ncdcli.training.job import Job
    from ncdcli.training.launch import launch
    from ncdcli.training.loop import train
    from ncdcli.training.monitor import LocalMonitor

    pixels = np.random.default_rng(0).integers(0, 256, (batch * steps, 224, 224, 3), dtype=np.uint8)
    source, rows = ArrayImages(pixels), np.arange(len(pixels))
    backbone = build_backbone(Timm(name=name, weights="none", crop_fraction=1.0), source.spec)
    loss = SupConInfoNCE()
    objective = import_kind(KINDS, loss.kind).build(loss, backbone, n_known=5)
    config = PretrainConfig(objective=loss, epochs=1, batch_size=batch, accumulate=parts, augment=Augment(noise=0.1))
    labels, stream = np.where(rows % 2, rows % 5, -1), np.random.SeedSequence(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory() as folder:
        job = Job(backbone, objective, source, rows, labels, None, config, stream, Path(folder))
        monitor = LocalMonitor(lambda advance=1, /, **values: None, lambda: False)
        started = time.perf_counter()
        launch(train, job, resources=Resources("cpu"), precision="fp32", monitor=monitor)
        seconds = (time.perf_counter() - started) / steps
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before


if __name__ == "__main__":
    main()
