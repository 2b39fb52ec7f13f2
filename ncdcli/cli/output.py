"""Results on stdout: tables for people, one JSON object for programs. Nothing else goes to stdout."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ncdcli.words import duration


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object. NaN and infinities, which JSON does not have, become null."""
    print(json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def print_text(text: str = "") -> None:
    """Print a line of a result."""
    print(text)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", right: Sequence[str] = ()
) -> None:
    """Print a table; the columns named in `right` hold numbers and are aligned to the right.

    A terminal gets rich's table, folded to its width; a pipe gets the same cells without folding.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    if console.is_terminal:
        console.print(table)
        return
    console.width = max(console.width, console.measure(table, options=console.options.update(width=10_000)).maximum)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _plain(cell: str) -> Any:
    """A cell whose brackets are not read as rich's markup."""
    from rich.text import Text

    return Text(cell)


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same table in Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The same table as CSV, without a newline at the end."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def percent(fraction: float | None) -> str:
    """0.7314 -> "73.1"; an absent or undefined value -> "–"."""
    return "–" if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.1f}"


def seconds(value: float | None) -> str:
    """A duration: "0.4 s", "12 s", "3 min 05 s", "2 h 10 min"; an absent one -> "–"."""
    return "–" if value is None else duration(value)
