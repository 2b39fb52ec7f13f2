"""How fast embedding is beside plain loops over the same images, and how much memory it takes.

    export OMP_WAIT_POLICY=PASSIVE                      # as `ncd` sets it for itself
    python scripts/bench/embed.py                       # EfficientNet-Lite0 at 224, 64 images
    python scripts/bench/embed.py --backbone resnet18   # any timm model, random weights

All rows take the same uint8 images in memory, are timed in turn, and are compared by their medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ncdcli.data.sources import ImageInputs
from ncdcli.models.backbone import Backbone, InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.embedder import Embedder, make_card
from ncdcli.models.inference import inference_batch
from ncdcli.models.kinds import EfficientNetLite, Timm

CPU = torch.device("cpu")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet_lite")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--naive-batch", type=int, default=64, help="images in a batch of the naive loop")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory-images", type=int, default=1000, help="files in the memory measurement; 0: leave out")
    parser.add_argument("--measure-memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure_memory:
        measure_memory(options, Path(options.measure_memory))
        return
    compare_speed(options)
    if options.memory_images:
        compare_memory(options)


def make_backbone(options: argparse.Namespace) -> tuple[Any, Backbone]:
    """The recipe section and the backbone; random weights are the same each time."""
    torch.manual_seed(0)
    if options.backbone == "efficientnet_lite":
        config: Any = EfficientNetLite(image_size=options.size, crop_fraction=1.0)
    else:
        config = Timm(name=options.backbone, weights="none", image_size=options.size, crop_fraction=1.0)
    return config, build_backbone(config, InputSpec("images", ())).eval()


def make_embedder(options: argparse.Namespace) -> Embedder:
    """What `ncd embed` uses."""
    config, backbone = make_backbone(options)
    card = make_card(config, InputSpec("images", ()), backbone.dim, training={})
    return Embedder(backbone, card, device=CPU)


def compare_speed(options: argparse.Namespace) -> None:
    """Time the loops in turn."""
    pixels = np.random.default_rng(0).integers(0, 256, (options.images, options.size, options.size, 3), dtype=np.uint8)
    _, plain = make_backbone(options)
    _, channels_last = make_backbone(options)
    channels_last.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    embedder = make_embedder(options)
    own_batch = inference_batch(plain.preparation, (), CPU)
    loops: dict[str, Callable[[], Tensor]] = {
        f"naive timm loop, fp32, batch {options.naive_batch}": lambda: naive(plain, pixels, options.naive_batch),
        f"naive timm loop, fp32, batch {own_batch}": lambda: naive(plain, pixels, own_batch),
        f"bare loop, fp32, channels last, batch {own_batch}": lambda: bare(channels_last, pixels, own_batch),
        f"ncd embed, batch {own_batch}": lambda: embed(embedder, pixels),
    }
    expected = next(iter(loops.values()))()
    times: dict[str, list[float]] = {name: [] for name in loops}
    worst = {}
    for name, loop in loops.items():
        difference = (loop() - expected).abs().max() / expected.abs().max()
        worst[name] = float(difference)
    for _ in range(options.repeats):
        for name, loop in loops.items():
            started = time.perf_counter()
            loop()
            times[name].append(time.perf_counter() - started)
    first = statistics.median(next(iter(times.values())))
    print(f"{options.backbone} at {options.size}, {options.images} images, {options.threads} threads")
    print(f"{'':50} {'ms/image':>9} {'best':>9} {'speed':>6} {'difference':>10}")
    for name, values in times.items():
        middle = statistics.median(values)
        per_image = [1000 * value / options.images for value in (middle, min(values))]
        print(f"{name:50} {per_image[0]:9.2f} {per_image[1]:9.2f} {first / middle:6.2f} {worst[name]:10.1e}")


def mean_and_std(model: Backbone) -> list[Tensor]:
    """(3, 1, 1) each, of pixels in [0, 1]."""
    assert model.preparation is not None
    return [torch.tensor(values)[:, None, None] for values in (model.preparation.mean, model.preparation.std)]


@torch.no_grad()
def naive(model: Backbone, pixels: np.ndarray, batch: int) -> Tensor:
    """What one writes first: normalise, forward, collect."""
    mean, std = mean_and_std(model)
    parts = []
    for start in range(0, len(pixels), batch):
        images = torch.from_numpy(pixels[start : start + batch]).permute(0, 3, 1, 2).float().contiguous() / 255
        parts.append(model((images - mean) / std))
    return torch.cat(parts)


@torch.inference_mode()
def bare(model: Backbone, pixels: np.ndarray, batch: int) -> Tensor:
    """A loop with the settings of `ncd embed` and nothing else: no folding, no reading, no checks."""
    mean, std = mean_and_std(model)
    parts = []
    for start in range(0, len(pixels), batch):
        images = torch.from_numpy(pixels[start : start + batch]).permute(0, 3, 1, 2).float() / 255
        parts.append(model(((images - mean) / std).contiguous(memory_format=torch.channels_last)))
    return torch.cat(parts)


def embed(embedder: Embedder, pixels: np.ndarray) -> Tensor:
    """Embed as the stage does."""
    source = embedder.open(ImageInputs(pixels))
    rows = np.arange(len(pixels))
    return torch.cat(
        [torch.from_numpy(part["embeddings"]) for _, part in embedder.batches(source, rows, normalize=False)]
    )


def compare_memory(options: argparse.Namespace) -> None:
    """Peak memory of embedding n and 4 n image files, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        tile = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        for number in range(4 * options.memory_images):
            Image.fromarray(np.roll(tile, number, axis=0)).save(Path(folder) / f"{number:06}.jpg")
        for count in (options.memory_images, 4 * options.memory_images):
            command = [sys.executable, __file__, "--measure-memory", folder, "--memory-images", str(count)]
            command += ["--backbone", options.backbone, "--size", "64", "--threads", str(options.threads)]
            peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"peak memory, {count:6} files: {peak / 2**20:7.1f} MiB")


def measure_memory(options: argparse.Namespace, folder: Path) -> None:
    """Embed the files of a folder into an `.npy` and print the peak in bytes."""
    from ncdcli.models.embedding import Job, create_array, embed_rows
    from ncdcli.pipeline.context import Resources
    from ncdcli.training.monitor import SilentMonitor

    config, backbone = make_backbone(options)
    files = sorted(folder.glob("*.jpg"))[: options.memory_images]
    with tempfile.TemporaryDirectory() as output:
        from safetensors.torch import save_file

        card = make_card(config, InputSpec("images", ()), backbone.dim, training={})
        card.write(Path(output) / "model.json")
        save_file({k: v.contiguous() for k, v in backbone.state_dict().items()}, Path(output) / "model.safetensors")
        create_array(Path(output) / "embeddings.npy", (len(files), backbone.dim))
        inputs = ImageInputs(None, files, Image.open)
        job = Job(Path(output) / "model.json", inputs, Path(output), True, "fp32", Resources("cpu"))
        embed_rows(job, np.arange(len(files)), SilentMonitor(lambda: False), job.resources)
    print(peak_memory())


def peak_memory() -> int:
    """Bytes that this process had at most. Not from `getrusage`, which starts from what the parent had (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
