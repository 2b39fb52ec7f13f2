"""Trials as one SVG file: scores in the order of the trials with the best so far, and a panel for each field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from ncdcli.reports.charts import ticks
from ncdcli.reports.features import short
from ncdcli.sweep.load import text_of
from ncdcli.tune.trials import Trial

WIDTH, ACROSS, GAP = 960, 3, 20  # pixels, panels in a row, pixels between them
TALL, SMALL = 300, 210  # heights
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 26, 38
LEGEND = "● through all folds  ○ given up: mean of the folds done  │ failed  — best so far"
MOST_LABELS, LONGEST = 8, 14  # of values of a choice; characters of one
STYLE = """
text{font:12px system-ui,sans-serif;fill:#444}.title{font-weight:600;fill:#111}
.y{text-anchor:end;dominant-baseline:middle}.x{text-anchor:middle}.legend{text-anchor:end}.grid{stroke:#e3e3e3}.done{fill:#2563ab;stroke:#2563ab}.pruned{fill:#fff;stroke:#8aa9c9}
.failed{stroke:#c2410c;stroke-width:2}.best{fill:#d97706;stroke:#d97706}
.line{fill:none;stroke:#d97706;stroke-width:1.5}
"""


@dataclass(frozen=True)
class _Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        share = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.stop - self.start), 1)

    def marks(self) -> list[float]:
        """Round values to write at the axis."""
        if not self.log:
            return ticks(self.low, self.high, most=4)
        powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
        return [10.0**power for power in powers] if len(powers) > 1 else [self.low, self.high]


def draw_trials(trials: Sequence[Trial], space: Mapping[str, Any], *, label: str) -> str:
    """The SVG. Filled dots are trials that went through all folds, hollow ones were given up, strokes failed."""
    scored = [trial for trial in trials if trial.score is not None and trial.state in ("done", "pruned")]
    rows = math.ceil(len(space) / ACROSS)
    height = TALL + rows * (SMALL + GAP)
    scores = [trial.score for trial in scored if trial.score is not None] or [0.0, 1.0]
    low, high = min(scores), max(scores)
    margin = 0.05 * (high - low) or 0.05
    parts = [_history(trials, scored, (low - margin, high + margin), label)]
    width = (WIDTH - (ACROSS - 1) * GAP) / ACROSS
    for number, (field, spec) in enumerate(space.items()):
        x, y = number % ACROSS * (width + GAP), TALL + GAP + number // ACROSS * (SMALL + GAP)
        panel = _panel(field, spec, scored, (low - margin, high + margin), width)
        parts.append(Markup('<g transform="translate({:.1f},{})">{}</g>').format(x, y, panel))
    template = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<style>{}</style><rect width="100%" height="100%" fill="#fff"/>{}</svg>\n'
    )
    text = f"{len(trials)} trials: {label}"
    return str(template.format(WIDTH, height, WIDTH, height, text, Markup(STYLE), Markup("").join(parts)))


def _history(trials: Sequence[Trial], scored: Sequence[Trial], scale: tuple[float, float], label: str) -> Markup:
    across = _Axis(0, max((trial.number for trial in trials), default=1) or 1, LEFT, WIDTH - RIGHT)
    up = _Axis(*scale, TALL - BOTTOM, TOP)
    whole = [value for value in ticks(across.low, across.high, most=8) if value == int(value)]
    legend = Markup('<text class="legend" x="{}" y="16">{}</text>').format(WIDTH - RIGHT, LEGEND)
    parts = [_frame(f"{label}, trial by trial", WIDTH, TALL, up), legend]
    parts.append(_labels([(across(v), f"{v:g}") for v in whole], TALL))
    done = [(trial.number, trial.score) for trial in scored if trial.state == "done" and trial.score is not None]
    best = list(accumulate((score for _, score in done), max))
    if done:
        steps = [f"M{across(done[0][0])} {up(best[0])}"]
        steps += [f"H{across(number)}V{up(score)}" for (number, _), score in zip(done[1:], best[1:], strict=True)]
        steps.append(f"H{across(across.high)}")
        parts.append(Markup('<path class="line" d="{}"/>').format("".join(steps)))
    parts += [_dot(trial, across(trial.number), up, top=bool(best) and trial.score == best[-1]) for trial in scored]
    parts += [_stroke(trial, across(trial.number)) for trial in trials if trial.state == "failed"]
    return Markup("").join(parts)


def _panel(field: str, spec: Any, scored: Sequence[Trial], scale: tuple[float, float], width: float) -> Markup:
    """Score against one field's value."""
    up = _Axis(*scale, SMALL - BOTTOM, TOP)
    here = [trial for trial in scored if field in trial.point]
    if hasattr(spec, "low"):
        across = _Axis(spec.low, spec.high, LEFT, width - RIGHT, spec.log)
        labels = [(across(value), short(value)) for value in across.marks()]
        places = [across(trial.point[field]) for trial in here]
    else:
        texts = [text_of(value) for value in spec]
        across = _Axis(-0.5, len(texts) - 0.5, LEFT, width - RIGHT)
        labels = [(across(n), _cut(text)) for n, text in enumerate(texts)] if len(texts) <= MOST_LABELS else []
        places = [across(texts.index(text_of(trial.point[field]))) for trial in here]
    best = max((trial.score or 0.0 for trial in here if trial.state == "done"), default=None)
    dots = [
        _dot(trial, x, up, top=trial.state == "done" and trial.score == best)
        for trial, x in zip(here, places, strict=True)
    ]
    return Markup("").join([_frame(field, width, SMALL, up), _labels(labels, SMALL), *dots])


def _frame(title: str, width: float, height: int, up: _Axis) -> Markup:
    line = Markup('<line class="grid" x1="{}" x2="{:.1f}" y1="{}" y2="{}"/><text class="y" x="{}" y="{}">{}</text>')
    lines = [line.format(LEFT, width - RIGHT, up(v), up(v), LEFT - 6, up(v), short(v)) for v in up.marks()]
    return Markup('<text class="title" x="{}" y="16">{}</text>').format(LEFT, title) + Markup("").join(lines)


def _labels(labels: Sequence[tuple[float, str]], height: int) -> Markup:
    text = Markup('<text class="x" x="{}" y="{}">{}</text>')
    return Markup("").join(text.format(x, height - BOTTOM + 16, label) for x, label in labels)


def _dot(trial: Trial, x: float, up: _Axis, *, top: bool) -> Markup:
    kind = "best" if top and trial.state == "done" else trial.state
    score = trial.score or 0.0
    values = ", ".join(f"{field}={text_of(value)}" for field, value in trial.point.items())
    title = f"trial {trial.number}, {trial.state}: {score:.4f} ({values})"
    dot = Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>')
    return dot.format(kind, x, up(score), 5 if kind == "best" else 3.5, title)


def _stroke(trial: Trial, x: float) -> Markup:
    line = Markup('<line class="failed" x1="{}" x2="{}" y1="{}" y2="{}"><title>{}</title></line>')
    return line.format(x, x, TALL - BOTTOM - 8, TALL - BOTTOM, f"trial {trial.number} failed: {trial.message}")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
