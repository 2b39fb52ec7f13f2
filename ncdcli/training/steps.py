"""What moves the weights: optimizers, clipped gradients, and in fp16 the scale of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ncdcli.errors import NcdError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LEAST_SCALE = 2.0**-13  # below it gradients are no numbers, and not only large: it began at 2^16


class Steps:
    """Takes the optimizer steps of a training on its processes.

    In fp16 small gradients would become zero. So the loss is multiplied before they are computed, and they are divided
    afterwards, before they are clipped. A step whose gradients overflowed is left out, and the factor is halved; it is
    doubled after 2,000 steps in a row that were taken (Micikevicius et al., ICLR 2018, arXiv 1710.03740, section 3.2).
    `asked`: somebody wants to know which steps were taken, for which one waits for the device.
    """

    def __init__(
        self, fabric: Fabric, optimizers: Sequence[torch.optim.Optimizer], *, clip: float | None, asked: bool
    ) -> None:
        self.fabric, self.optimizers, self.clip, self.asked = fabric, optimizers, clip, asked
        self.alone = fabric.world_size == 1
        self.steppers = optimizers if self.alone else [fabric.setup_optimizers(optimizer) for optimizer in optimizers]
        self.scaler = loss_scaler(fabric)

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of all groups of parameters, times the `lr_factor` of those that have one."""
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = rate * group.get("lr_factor", 1.0)

    def take(self, loss: Tensor, phase: int) -> bool:
        """Step with one of the optimizers; False where it is known that the step was left out."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        self._backward(loss)
        if self.clip is not None:
            if self.scaler is not None:
                self.scaler.unscale_(self.optimizers[phase])
            parameters = [p for group in self.optimizers[phase].param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        if self.scaler is None:
            self.steppers[phase].step()
            return True
        before = self.scaler.get_scale() if self.asked else 0.0
        if self.alone:
            self.scaler.step(self.optimizers[phase])
            self.scaler.update()
        else:
            self.steppers[phase].step()  # Fabric does both
        return not self.asked or self.scaler.get_scale() >= before

    def check_scale(self, section: str) -> None:
        """NcdError where no scale brings gradients into the range of float16."""
        if self.scaler is not None and self.scaler.get_scale() < LEAST_SCALE:
            raise NcdError(
                "gradients are beyond float16 in every step, however the loss is scaled",
                hint=f"set `{section}.precision: fp32` (or `bf16`), or lower `{section}.optimizer.lr`",
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        scaler = {} if self.scaler is None else {"scaler": self.scaler.state_dict()}
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers], **scaler}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])

    def outcome(self) -> dict[str, Any]:
        """What `model.json` says of it: in fp16 the scale at the end, else nothing."""
        return {} if self.scaler is None else {"loss_scale": self.scaler.get_scale()}

    def _backward(self, loss: Tensor) -> None:
        """Gradients of the loss, by Fabric where there are several processes, which scales it, too."""
        if not self.alone:
            self.fabric.backward(loss)
            return
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()


def loss_scaler(fabric: Fabric) -> torch.amp.GradScaler | None:
    """What scales the loss, in fp16."""
    return getattr(fabric.strategy.precision, "scaler", None)
