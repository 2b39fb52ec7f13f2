"""Numbers and names in sentences."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 image`, `2 images`, `1,797 samples`. `plural` is given where it is not `noun` with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A duration: "0.4 s", "12 s", "3 min 05 s", "2 h 10 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def either(words: Iterable[str]) -> str:
    """`a, b or c`."""
    parts = list(words)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + f" or {parts[-1]}" if parts else ""


def close_names(word: str, names: Iterable[str], *, most: int = 3) -> list[str]:
    """The names that come near to a misspelt one, the nearest first.

    Small and capital letters are alike here, and so are `-` and `_`.
    """
    by_plain = {_plain(name): name for name in names}
    return [by_plain[name] for name in get_close_matches(_plain(word), list(by_plain), n=most, cutoff=0.6)]


def did_you_mean(word: str, names: Iterable[str], otherwise: str = "", *, most: int = 3) -> str:
    """The question for a misspelt name, with the nearest ones; `otherwise` where none is near."""
    close = close_names(word, names, most=most)
    return f"did you mean {either(f'`{name}`' for name in close)}?" if close else otherwise


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
