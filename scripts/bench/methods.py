"""How long an epoch of each method takes beside a bare loop of the same steps.

    OMP_WAIT_POLICY=PASSIVE python scripts/bench/methods.py     # all methods, threads wait as `ncd` has them wait
    python scripts/bench/methods.py --methods simgcd uno --threads 1 --quick
    python scripts/bench/methods.py --methods pim --profile     # where our time goes

Digits methods have the settings of their shipped recipes, on scikit-learn's 1,797 digits and a fresh `small_cnn`;
`tabular_ncd` those of `optdigits-tabular-ncd` on random rows of that size; `+resnet18` and `+lite0` (timm, 32 and 64
pixels, random images and weights) are larger networks. PBN has a benchmark of its own (pbn.py).

*The bare loop* is what somebody would write for one method alone: for each batch the backbone on its views (joined, as
batch norm sees them), the method's own objective on the features, `zero_grad`, `backward`, `step`. Its batches are
those of our loop, lie ready in memory, prepared, normalised and channels last, and come with their labels and
positions; the optimizer is ours (fused). It neither draws, reads, seeds, logs, looks at the loss nor saves.

*Ours* is the training that the stage starts, with its logs, its checkpoints and a progress line. The two take turns
epoch by epoch in one process and see the same batches: unless there is dropout, they must find the same losses, which
is checked. Ratios are medians over epochs of ours / bare, of the wall and of processor time (all threads).

*refresh* is what a method itself computes between epochs (GPC's mixture, CMS's memory, SelEx's hierarchy, DTC's
targets, the pair network of MCL and KCL), the features of all rows included. It is in neither side of the ratios, and
its mean milliseconds an epoch are shown for both sides. *views* is the ratio with random views, as the recipe has them:
ours are made while it trains, the same ones lie ready for the bare loop (whose time depends on what images show).
*making* is what drawing them alone takes, as a part of the bare epoch, of the processor. *once* are our seconds before
the first and after the last epoch, the last checkpoint and the weights included.
"""

from __future__ import annotations

import argparse
import copy
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from method_cases import CPU, OBJECTIVES, Case, make_case
from method_clocks import Clock, Side, outside_of
from torch import Tensor

from ncdcli.cli.progress import LineProgress
from ncdcli.joint.kinds import KINDS as METHODS
from ncdcli.models.inference import forward_batches
from ncdcli.objectives.base import EpochFacts
from ncdcli.objectives.kinds import Augment
from ncdcli.pipeline.context import Resources
from ncdcli.training.job import Job
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor
from ncdcli.training.optim import learning_rate
from ncdcli.training.sampler import plan_epoch
from ncdcli.training.streams import Key, generator
from ncdcli.training.views import Views

LARGER = ("simgcd+resnet18", "uno+resnet18", "supcon_infonce+lite0")
TARGET = 1.15
EPOCHS = {"pim": 200, "tabular_ncd": 10}  # those of others take longer


def main() -> None:
    """Print the table."""
    names = (*METHODS, *OBJECTIVES, *LARGER)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=names, default=names, metavar="METHOD", help=", ".join(names))
    parser.add_argument("--epochs", type=int, help="of each training; default: 6, and more where they are short")
    parser.add_argument("--quick", action="store_true", help="half of the epochs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--profile", action="store_true", help="print what our loop spends its time in instead")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} thread(s), medians over epochs; ncd and views: time of an epoch / that of the bare loop")
    print(HEAD)
    for name in options.methods:
        epochs = options.epochs or EPOCHS.get(name, 6) // (2 if options.quick else 1)
        case = make_case(name, epochs)
        if options.profile:
            profile(case)
        else:
            print(line_of(case), flush=True)


class BareLoop:
    """The bare loop: one epoch a call."""

    def __init__(self, case: Case) -> None:
        self.case, self.side = case, Side()
        self.backbone, self.objective = copy.deepcopy((case.backbone, case.objective))
        if self.backbone.channels_last:
            self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = self.objective.make_optimizers(case.config.optimizer, self.backbone)
        self.clock, self.refresh = Clock(), Clock()
        self.objective.refresh = outside_of(self.clock, self.refresh, self.objective.refresh)  # type: ignore[method-assign]

    def epoch(self, number: int) -> None:
        """Train and measure one epoch."""
        config = self.case.config
        batches = list(ready_batches(self.case, number, channels_last=self.backbone.channels_last))
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            rate = learning_rate(config.schedule, config.optimizer.lr, number, config.epochs)
            group["lr"] = rate * group.get("lr_factor", 1.0)
        rngs = [generator(self.case.stream, Key.MADE_VIEWS, number, batch) for batch in range(len(batches))]
        self.clock.start()
        losses = self._train(number, batches, rngs)
        self.clock.stop()
        sizes = torch.tensor([len(labels) for _, labels, _ in batches])
        total = (torch.stack(losses).view(len(batches), -1) * sizes[:, None]).sum() / sizes.sum()
        self.side.take(self.clock, self.refresh, float(total))

    def _train(self, number: int, batches: Any, rngs: list[np.random.Generator]) -> list[Tensor]:
        backbone, objective, losses = self.backbone, self.objective, []
        objective.begin_epoch(number, self.case.config.epochs)
        if objective.refreshes:
            labels = torch.from_numpy(self.case.labels)
            rng = generator(self.case.stream, Key.REFRESH, number)
            objective.refresh(EpochFacts(number, self.case.config.epochs, labels, self._features, rng))
        backbone.train()
        objective.train()
        several = len(self.optimizers) > 1
        for (inputs, labels, positions), rng in zip(batches, rngs, strict=True):
            views, more = objective.views, {"positions": positions} if objective.uses_positions else {}
            if objective.makes_views:
                with torch.no_grad():
                    inputs = torch.cat([inputs, objective.make_views(inputs, labels, rng)])
            for phase, optimizer in enumerate(self.optimizers):
                second = objective.second_backbone()
                if second is not None:
                    with torch.no_grad():
                        more["second"] = second(inputs).unflatten(0, (views, -1)).unbind()
                features = backbone(inputs).unflatten(0, (-1, len(labels))).unbind()
                loss, _ = objective(features, labels, **more, **({"phase": phase} if several else {}))
                for each in self.optimizers:
                    each.zero_grad()
                loss.backward()
                if self.case.config.gradient_clip is not None:
                    torch.nn.utils.clip_grad_norm_(backbone.parameters(), self.case.config.gradient_clip)
                optimizer.step()
                objective.after_step(backbone)
                losses.append(loss.detach())
        return losses

    def _features(self) -> Tensor:
        self.backbone.eval()
        parts = forward_batches(self.backbone, self.case.source, self.case.rows, device=CPU)
        return torch.cat([features for _, features in parts])


def ready_batches(case: Case, number: int, *, channels_last: bool) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(views · b, …) inputs, (b,) labels and positions of each batch that our loop would draw."""
    plan, views = plan_of(case, number), views_of(case, case.config.augment)
    for batch, inputs in enumerate(views.epoch(plan, CPU)):
        positions = np.searchsorted(case.rows, plan.order[plan.part(batch)])
        if channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        yield inputs, torch.from_numpy(case.labels[positions]), torch.from_numpy(positions)


def plan_of(case: Case, number: int) -> Any:
    config, views = case.config, case.objective.views
    draws = {"rows": case.rows, "labels": case.labels, "views": 1 if case.objective.makes_views else views}
    return plan_epoch(case.stream, epoch=number, sampler=config.sampler, batch_size=config.batch_size, **draws)


def views_of(case: Case, augment: Augment) -> Views:
    turns = case.objective.turns
    return Views(case.source, case.backbone.preparation, augment, case.stream, case.rows, turns=turns)


def train_by_turns(case: Case, augment: Augment, *, bare: BareLoop | None) -> tuple[Side, float]:
    """What our training of a case takes, and its seconds before and after all epochs; after each one, a bare epoch."""
    backbone, objective = copy.deepcopy((case.backbone, case.objective))
    config = case.config.model_copy(update={"augment": augment})
    side, clock, refresh, once = Side(), Clock(), Clock(), Clock()
    begun = False
    objective.refresh = outside_of(clock, refresh, objective.refresh)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder, LineProgress(StringIO()).track(case.name, 10**6) as progress:

        def tick(advance: int = 1, /, **values: float) -> None:
            nonlocal begun
            progress(advance, **values)
            if not begun:
                begun = True
                once.stop()
                clock.start()
            elif values:  # an epoch ends; what follows, a checkpoint now and then, is of the next one
                clock.stop()
                side.take(clock, refresh, values["loss"])
                if bare is not None:
                    bare.epoch(len(side.epochs) - 1)
                (clock if len(side.epochs) < config.epochs else once).start()

        job = Job(backbone, objective, case.source, case.rows, case.labels, None, config, case.stream, Path(folder))
        monitor = LocalMonitor(tick, lambda: False)
        once.start()
        launch(train, job, resources=Resources("cpu"), precision="fp32", monitor=monitor)
        once.stop()
    return side, once.wall


HEAD = (
    f"{'method':22} {'bare ms':>8} {'ncd':>6} {'cpu':>6}  {'≤ 1.15':6} {'refresh ms':>13} {'once s':>7} "
    f"{'views':>6} {'cpu':>6} {'making':>7}"
)


def line_of(case: Case) -> str:
    """Measure a case, and a line of the table."""
    train_by_turns(replace(case, config=case.config.model_copy(update={"epochs": 1})), Augment(), bare=BareLoop(case))
    bare = BareLoop(case)
    ours, once = train_by_turns(case, Augment(), bare=bare)
    check_losses(case, ours, bare.side)
    wall, processor = ratios(ours, bare.side)
    epoch = statistics.median(wall for wall, _ in bare.side.epochs)
    mean = [1000 * statistics.fmean(side.refreshes) for side in (ours, bare.side)]
    refresh = f"{mean[0]:.0f} / {mean[1]:.0f}" if case.objective.refreshes else "–"
    line = f"{case.name:22} {1000 * epoch:8.1f} {wall:6.2f} {processor:6.2f}  {'yes' if wall <= TARGET else 'NO':6}"
    line += f" {refresh:>13} {once:7.2f}"
    if case.augment == Augment():
        return line
    bare = BareLoop(replace(case, config=case.config.model_copy(update={"augment": case.augment})))
    ours, _ = train_by_turns(case, case.augment, bare=bare)
    check_losses(case, ours, bare.side)
    wall, processor = ratios(ours, bare.side)
    epoch = statistics.median(processor for _, processor in bare.side.epochs)
    return f"{line} {wall:6.2f} {processor:6.2f} {seconds_of_views(case) / epoch:7.2f}"


def ratios(ours: Side, bare: Side) -> tuple[float, float]:
    """Medians over epochs of ours / bare, of the wall and of the processor."""
    pairs = list(zip(ours.epochs, bare.epochs, strict=True))
    wall, processor = (statistics.median(one[at] / other[at] for one, other in pairs) for at in (0, 1))
    return wall, processor


def check_losses(case: Case, ours: Side, bare: Side) -> None:
    """Say so where the two did not do the same steps."""
    drops = any(getattr(module, "p", 0) for module in case.backbone.modules() if isinstance(module, torch.nn.Dropout))
    phases = len(case.objective.make_optimizers(case.config.optimizer, case.backbone))
    expected = [loss * phases for loss in bare.losses]
    if not drops and not np.allclose(ours.losses, expected, rtol=1e-3):
        print(f"{case.name}: NOT THE SAME STEPS: losses {ours.losses} and {expected}")


def seconds_of_views(case: Case) -> float:
    """Median seconds of the processor for drawing the random views of an epoch, and for nothing else."""
    seconds = []
    for number in range(3):
        started = time.process_time()
        for _ in views_of(case, case.augment).epoch(plan_of(case, number), CPU):
            pass
        seconds.append(time.process_time() - started)
    return statistics.median(seconds)


def profile(case: Case) -> None:
    """Print the functions that our training spends most time in."""
    train_by_turns(replace(case, config=case.config.model_copy(update={"epochs": 1})), case.augment, bare=None)
    profiler = cProfile.Profile()
    profiler.runcall(train_by_turns, case, case.augment, bare=None)
    print(case.name)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
