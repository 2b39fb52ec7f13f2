from __future__ import annotations

import pytest

from ncdcli.metrics.stability import affordable_rows


@pytest.mark.parametrize(
    ("rows", "clusters", "dim", "expected"),
    [
        (1_797, 10, 64, 1_797),  # all there are
        (60_000, 10, 64, 20_000),
        (60_000, 94, 64, 20_000),
        (60_000, 200, 64, 9_469),  # 5e8 / (200 · 264)
        (60_000, 307, 64, 6_169),  # 20.1 a cluster
        (60_000, 308, 64, 0),
        (60_000, 160, 768, 3_228),
        (60_000, 161, 768, 0),
        (1_000_000, 1_000, 16, 0),
        (2_000, 1_000, 16, 2_000),  # few in a cluster, but no sample that could be too small
    ],
)
def test_the_cost_of_reclustering_is_bounded(rows: int, clusters: int, dim: int, expected: int) -> None:
    assert affordable_rows(rows, clusters=clusters, dim=dim) == expected
