"""`clusters.csv`: written to be filled in, read back, and every mistake told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ncdcli.errors import DataError
from ncdcli.naming import Cluster, default_names, fits, names_if_fitting, read_names, write_template

CLUSTERS = [
    Cluster(0, 20, "cat", "cat"),
    Cluster(1, 30, "dog", "dog"),
    Cluster(2, 7, "novel"),
    Cluster(3, 9, "novel"),
    Cluster(4, 5, "novel"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clusters.csv"
    write_template(path, CLUSTERS)
    return path


def fill(path: Path, **cells: str) -> Path:
    """fill(path, c2="bird,,a note"): what stands in `name`, `merge_into` and `note` of clusters."""
    lines = path.read_text("utf-8").splitlines()
    for position, line in enumerate(lines):
        number = line.split(",")[0]
        if f"c{number}" in cells:
            lines[position] = line.removesuffix(",,") + cells[f"c{number}"]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        read_names(path, CLUSTERS)
    return [f"{Path(problem.place).name}: {problem.message}" for problem in caught.value.problems]


def test_the_template_has_novel_clusters_first_and_names_nothing(path: Path) -> None:
    assert path.read_text().splitlines() == [
        "cluster,size,match,suggested_name,name,merge_into,note",
        "2,7,novel,,,,",
        "3,9,novel,,,,",
        "4,5,novel,,,,",
        "0,20,cat,cat,,,",
        "1,30,dog,dog,,,",
    ]
    names = read_names(path, CLUSTERS)
    assert names == default_names(CLUSTERS)
    assert names.names == ("cat", "dog", "novel 2", "novel 3", "novel 4")
    assert not any(names.given)


def test_names_merges_and_notes_are_read(path: Path) -> None:
    names = read_names(fill(path, c2="“bird”,,not sure", c3=",2,", c4=",1,"), CLUSTERS)
    assert names.names == ("cat", "dog", "“bird”", "“bird”", "dog")
    assert names.into == (0, 1, 2, 2, 1)
    assert names.given == (False, False, True, True, False)
    assert names.notes == ("", "", "not sure", "", "")
    assert (names.merged, names.count) == (2, 3)


def test_a_name_in_the_line_of_a_part_alone_is_that_of_the_whole(path: Path) -> None:
    assert read_names(fill(path, c3="bird,2,"), CLUSTERS).names[2:4] == ("bird", "bird")


def test_a_known_class_may_be_confirmed(path: Path) -> None:
    assert read_names(fill(path, c0="cat,,"), CLUSTERS).given == (True, False, False, False, False)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"c2": "bird,,", "c3": "bird,,"}, ["clusters.csv:3: cluster 2 is called `bird` as well"]),
        ({"c2": "cat,,"}, ["clusters.csv:2: cluster 0 is called `cat` as well"]),
        ({"c2": ",2,"}, ["clusters.csv:2: cluster 2 is merged into itself"]),
        ({"c2": ",9,", "c3": ",bird,"}, [
            "clusters.csv:2: `merge_into` names no cluster: `9`",
            "clusters.csv:3: `merge_into` names no cluster: `bird`",
        ]),
        ({"c0": ",2,"}, ["clusters.csv:5: cluster 0 is the known class `cat`: it cannot be part of another"]),
        ({"c2": ",3,", "c3": ",4,"}, ["clusters.csv:2: cluster 3 is merged into 4 itself"]),
        ({"c2": ",3,", "c3": ",2,"}, [
            "clusters.csv:2: cluster 3 is merged into 2 itself",
            "clusters.csv:3: cluster 2 is merged into 3 itself",
        ]),
        ({"c0": "lion,,"}, ["clusters.csv:5: cluster 0 is the known class `cat`, not `lion`"]),
        ({"c2": "novel,,"}, ["clusters.csv:2: `novel` is what clusters without a name are called"]),
        ({"c2": "x" * 201 + ",,"}, ["clusters.csv:2: a name of 201 characters"]),
        ({"c2": "a\x07b,,"}, ["clusters.csv:2: the name 'a\\x07b' holds a character that cannot be printed"]),
        ({"c2": "a,b,,"}, ["clusters.csv:2: 8 cells; the first line has 7"]),
    ],
    ids=["same name", "name of a known class", "itself", "no cluster", "known class merged", "chain", "circle",
         "known class renamed", "novel", "long", "bell", "unquoted comma"],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(path: Path, cells: dict[str, str], expected: list[str]) -> None:
    assert faults(fill(path, **cells)) == expected


def test_a_file_of_another_clustering_is_left_out_where_nobody_asked_for_it(path: Path) -> None:
    other = [*CLUSTERS[:4], Cluster(4, 6, "novel")]
    assert fits(path, CLUSTERS)
    assert not fits(path, other)
    assert names_if_fitting(path, other) is None
    assert not fits(path, CLUSTERS[:4])
    with pytest.raises(DataError) as caught:
        read_names(path, other)
    (problem,) = caught.value.problems
    assert "cluster 4 holds 5 samples here" in problem.message
    assert "--renew" in problem.hint


def test_a_missing_line_a_double_one_and_a_foreign_one(path: Path) -> None:
    text = path.read_text()
    path.write_text(text.replace("4,5,novel,,,,\n", ""))
    assert faults(path) == ["clusters.csv:1: cluster 4 has no line"]
    path.write_text(text + "4,5,novel,,,,\n7,5,novel,,,,\n")
    assert faults(path) == ["clusters.csv:7: cluster 4 is named in line 4 already", "clusters.csv:8: no cluster `7`"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_what_spreadsheets_save_is_read(path: Path, separator: str) -> None:
    fill(path, c2='"bird",,')
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b",", separator.encode()).replace(b"\n", b"\r\n"))
    assert read_names(path, CLUSTERS).names[2] == "bird"


def test_what_is_no_such_table(path: Path) -> None:
    path.write_text("number,name\n1,x\n")
    assert faults(path) == ["clusters.csv:1: no column `cluster`"]
    path.write_bytes("cluster,size,match,name,merge_into,note\n2,7,novel,Vögel,,\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_names(path, CLUSTERS)
