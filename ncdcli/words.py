"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 image`, `2 images`, `1,797 samples`. `plural` is given where it is not `noun` with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
