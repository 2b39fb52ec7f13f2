"""fp16 as a precision of Fabric, on every device."""

from __future__ import annotations

from typing import Any

import torch
from lightning_fabric.plugins import MixedPrecision

FIRST_SCALE = 2.0**16  # of the loss: torch's own


class Float16(MixedPrecision):
    """Products in float16, a scaled loss, and weights and inputs in float32.

    Fabric's own `16-mixed` becomes bf16 on a CPU, where torch has had both since 2.3, and rounds inputs to float16 at
    once, where greater ones than 65,504 are lost. Here autocast converts what it multiplies.

    Of several processes each has, until their gradients are averaged, as many times the gradient of one that is alone
    (`gather_views` sums them). The scale begins so much lower, and the same steps overflow.
    """

    def __init__(self, device: str, processes: int = 1) -> None:
        super().__init__("16-mixed", device, torch.amp.GradScaler(device, init_scale=FIRST_SCALE / processes))

    def convert_input(self, data: Any) -> Any:
        return data
