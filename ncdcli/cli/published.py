"""Published figures in `ncd compare`: beside the mean over the seeds of each group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncdcli.cli.output import print_table, print_text
from ncdcli.reports.expected import Judged, expected_table, judge_group

if TYPE_CHECKING:
    from ncdcli.reports.comparison import Comparison, Group


def published_json(comparison: Comparison) -> list[dict[str, Any]]:
    """For programs: the groups whose recipe expects something, with what it expects and ours."""
    return [
        {
            "name": group.name,
            "runs": [entry.run for entry in group.entries],
            "figures": [item.as_json() for item in judged],
        }
        for group, judged in _judged(comparison)
    ]


def print_published(comparison: Comparison) -> None:
    """For people: a table over all groups whose recipe expects something; nothing where none does."""
    found = _judged(comparison)
    if not found:
        return
    columns, _ = expected_table([])
    rows = [
        [group.name, str(item.seeds), *row]
        for group, judged in found
        for item, row in zip(judged, expected_table(judged)[1], strict=True)
    ]
    print_text()
    print_table(("recipe", "seeds", *columns), rows, right=("seeds", "ours", "published", "tolerance"))


def _judged(comparison: Comparison) -> list[tuple[Group, list[Judged]]]:
    """The groups with published figures, and these."""
    from ncdcli.run.folder import RunFolder

    found = []
    for group in comparison.groups:
        expected = RunFolder(Path(group.entries[0].run)).recipe().expected
        if expected:
            found.append((group, judge_group(expected, group)))
    return found
