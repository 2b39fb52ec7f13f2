"""Counting and training as curves."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from ncdcli.reports.charts import Line, Mark, line_chart
from ncdcli.reports.facts import criteria
from ncdcli.reports.features import short
from ncdcli.reports.results import Results


def counting_view(results: Results) -> dict[str, Any]:
    """Curves of the criteria over k, the estimate, its interval, and what each criterion would choose."""
    counting = results.counting
    chosen = results.k
    true = (results.metrics.get("k") or {}).get("true")
    marks = [Mark(float(chosen), f"{chosen} chosen")]
    if true is not None and true != chosen:
        marks.append(Mark(float(true), f"{true} true", "true"))
    interval = counting.get("interval")
    statistics: dict[str, Any] = counting.get("statistics") or {}
    band = (float(interval[0]), float(interval[1])) if interval else None
    curves = criteria(results.candidates)
    return {
        "charts": [
            (name, line_chart([Line(name, points)], title=name, x_label="number of classes k", marks=marks, band=band))
            for name, points in curves.items()
        ],
        "criterion": counting.get("criterion"),
        "interval": interval,
        "range": counting.get("range"),
        "chosen": chosen,
        "true": true,
        "statistics": [(name, _value_text(value)) for name, value in statistics.items() if not isinstance(value, dict)],
        "tables": [
            (name, [(key, _value_text(one)) for key, one in value.items()])
            for name, value in statistics.items()
            if isinstance(value, dict)
        ],
    }


def _value_text(value: Any) -> str:
    """A value of `k.json` in a few characters."""
    if isinstance(value, float):
        return short(value)
    return ", ".join(map(_value_text, value)) if isinstance(value, list) else str(value)


def training_charts(results: Results) -> list[tuple[str, Markup]]:
    """(name, chart) of every number that the training has written once an epoch."""
    return [
        (name, line_chart([Line(name, points)], title=name, x_label="epoch"))
        for name, points in results.training.items()
    ]
