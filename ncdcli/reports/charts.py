"""Line charts as SVG: drawn here, so that a page needs no library, prints sharply and works without JavaScript.

A bundled plotting library was weighed and left out: the smallest that draws scatter plots with filters and images on
hover adds 300 kB to 4 MB to every page, and none of them draws cut-outs of image sheets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ncdcli.reports.features import short

WIDTH, HEIGHT = 460, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 34
MOST_DOTS = 60  # of a line, above which only the line is drawn


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Mark:
    """A value on the horizontal axis that is told apart."""

    x: float
    text: str
    kind: str = "chosen"  # chosen | true


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    marks: Sequence[Mark] = (),
    band: tuple[float, float] | None = None,
) -> Markup:
    """An SVG of some curves over one axis; `band` is a stretch of that axis that is shaded."""
    points = [point for line in lines for point in line.points]
    if not points:
        return Markup("")
    xs = [x for x, _ in points] + [mark.x for mark in marks]
    across = _Scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = _Scale(min(y for _, y in points), max(y for _, y in points), HEIGHT - BOTTOM, TOP)
    parts = [*_axes(across, up, x_label), *_band(across, band)]
    parts += [_mark(across, mark) for mark in marks]
    for number, line in enumerate(lines):
        parts.append(_line(line, across, up, number))
    summary = f"{title}: " + "; ".join(
        f"{line.name} from {short(line.points[0][1])} to {short(line.points[-1][1])}" for line in lines if line.points
    )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}</svg>').format(
        WIDTH, HEIGHT, summary, summary, Markup("").join(parts)
    )


def ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` + 1 of them."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


class _Scale:
    """From values to pixels."""

    def __init__(self, low: float, high: float, start: float, stop: float) -> None:
        if high <= low:
            low, high = low - 0.5, high + 0.5
        self.low, self.high, self.start, self.stop = low, high, start, stop

    def __call__(self, value: float) -> str:
        at = self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)
        return f"{at:.1f}"


def _axes(across: _Scale, up: _Scale, x_label: str) -> list[Markup]:
    parts = []
    for value in ticks(up.low, up.high, most=4):
        text = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="y" x="{}" y="{}">{}</text>')
        parts.append(text.format(LEFT, WIDTH - RIGHT, up(value), up(value), LEFT - 6, up(value), short(value)))
    for value in ticks(across.low, across.high, most=8):
        parts.append(
            Markup('<text class="x" x="{}" y="{}">{}</text>').format(across(value), HEIGHT - BOTTOM + 14, short(value))
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(Markup('<text class="x label" x="{}" y="{}">{}</text>').format(middle, HEIGHT - 5, x_label))
    return parts


def _band(across: _Scale, band: tuple[float, float] | None) -> list[Markup]:
    if band is None or band[1] < across.low or band[0] > across.high:
        return []
    low, high = max(band[0], across.low), min(band[1], across.high)
    rectangle = Markup('<rect class="band" x="{}" y="{}" width="{:.1f}" height="{}"/>')
    width = max(float(across(high)) - float(across(low)), 2)
    return [rectangle.format(across(low), TOP, width, HEIGHT - BOTTOM - TOP)]


def _mark(across: _Scale, mark: Mark) -> Markup:
    at = across(mark.x)
    side = "end" if float(at) > (LEFT + WIDTH - RIGHT) / 2 else "start"
    shift = -5 if side == "end" else 5
    y = TOP + (10 if mark.kind == "chosen" else 24)
    template = Markup(
        '<g class="mark {}"><line x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text x="{:.1f}" y="{}" text-anchor="{}">{}</text></g>'
    )
    return template.format(mark.kind, at, at, TOP, HEIGHT - BOTTOM, float(at) + shift, y, side, mark.text)


def _line(line: Line, across: _Scale, up: _Scale, number: int) -> Markup:
    places = [(across(x), up(y), x, y) for x, y in line.points]
    path = " ".join(f"{'M' if not position else 'L'}{x} {y}" for position, (x, y, _, _) in enumerate(places))
    dots = Markup("")
    if len(places) <= MOST_DOTS:
        dot = Markup('<circle cx="{}" cy="{}" r="2.6"><title>{}</title></circle>')
        texts = [(x, y, f"{line.name}: {short(value)} at {short(at)}") for x, y, at, value in places]
        dots = Markup("").join(dot.format(*each) for each in texts)
    return Markup('<g class="line c{}"><path d="{}"/>{}</g>').format(number % 6, path, dots)
