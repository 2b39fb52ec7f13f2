"""fp16 as a precision of Fabric, on every device."""

from __future__ import annotations

from typing import Any

from lightning_fabric.plugins import MixedPrecision


class Float16(MixedPrecision):
    """Products in float16, a scaled loss, and weights and inputs in float32.

    Fabric's own `16-mixed` becomes bf16 on a CPU, where torch has had both since 2.3, and rounds inputs to float16 at
    once, where greater ones than 65,504 are lost. Here autocast converts what it multiplies.
    """

    def __init__(self, device: str) -> None:
        super().__init__("16-mixed", device)

    def convert_input(self, data: Any) -> Any:
        return data
