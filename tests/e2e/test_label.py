"""The practitioner's loop: discover, look, name, and go on with named clusters as labelled samples."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ncdcli.data.columns import read_columns

COLOURS = {"red": (200, 30, 30), "green": (30, 190, 30), "blue": (30, 30, 200), "grey": (120, 120, 120)}
RECIPE = """\
version: 1
name: own
data: {{source: {source}}}
backbone: {{kind: {backbone}}}
pretrain: {{objective: {{kind: none}}}}
embed: {{normalize: false}}
estimate_k: {{kind: fixed, k: 4}}
evaluate: {{stability_seeds: 0}}
report: {{map: pca}}
"""


def write_images() -> None:
    """12 images of each colour; half of the red and green ones are labelled."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for number in range(12):
            labelled = name in ("red", "green") and number % 2
            folder = Path("labelled", name) if labelled else Path("pool", str(number % 3))
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(np.array(colour) + rng.normal(0, 6, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}{number:02d}.png")
    source = "{kind: image_folder, labelled: labelled, unlabelled: pool}"
    Path("own.yaml").write_text(RECIPE.format(source=source, backbone="identity"))


def write_rows() -> None:
    rng = np.random.default_rng(0)
    with open("rows.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "x", "y", "kind"])
        for row in range(80):
            group = row % 4
            x, y = rng.normal([8 * (group % 2), 8 * (group // 2)])
            writer.writerow([row, round(x, 3), round(y, 3), f"class{group}" if group < 2 and row % 8 < 4 else ""])
    source = "{kind: table, train: rows.csv, label: kind, id: number}"
    Path("own.yaml").write_text(RECIPE.format(source=source, backbone="identity"))


def write_embeddings() -> None:
    rng = np.random.default_rng(0)
    groups = np.arange(80) % 4
    np.save("x.npy", (8 * np.eye(4, 5)[groups] + rng.normal(size=(80, 5))).astype(np.float32))
    labels = [f"class{group}" if group < 2 and row % 8 < 4 else "" for row, group in enumerate(groups.tolist())]
    Path("y.csv").write_text("\n".join(["class", *labels]) + "\n")
    source = "{kind: embeddings, train: x.npy, labels: y.csv}"
    Path("own.yaml").write_text(RECIPE.format(source=source, backbone="precomputed"))


def name_clusters(names: dict[int, tuple[str, str]]) -> None:
    """Fill in `name` and `merge_into`, by cluster."""
    path = Path("runs/own/clusters.csv")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["name"], row["merge_into"] = names.get(int(row["cluster"]), ("", ""))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def run_of(run_ncd: Callable, write: Callable[[], None]) -> Path:
    write()
    assert run_ncd("run", "own.yaml", "--quiet").code == 0
    return Path("runs/own")


def test_names_reach_the_report_the_assignments_and_predictions(run_ncd: Callable) -> None:
    run = run_of(run_ncd, write_rows)
    before = (run / "cluster" / "assignments.csv").read_bytes()
    written = run_ncd("label", "runs/own")
    assert written.code == 0
    assert f"to fill in: {run / 'clusters.csv'}" in written.out
    name_clusters({2: ("<b>first</b>", ""), 3: ("", "2")})

    status = json.loads(run_ncd("status", "runs/own", "--json").out)["stages"][-1]
    assert (status["stage"], status["reason"]) == ("report", "input `clusters.csv` is new")
    answer = json.loads(run_ncd("label", "runs/own", "--json", "--quiet").out)
    assert [row["name"] for row in answer["clusters"]] == ["class0", "class1", "<b>first</b>", "<b>first</b>"]

    assert (run / "cluster" / "assignments.csv").read_bytes() == before
    columns = read_columns(run / "report" / "assignments.csv", texts=["name"], numbers=["cluster", "merged"])
    assert set(columns["name"][np.isin(columns["cluster"], (2, 3))]) == {"<b>first</b>"}
    assert set(columns["merged"].tolist()) == {0, 1, 2}
    page = (run / "report" / "report.html").read_text()
    assert "<b>first</b>" not in page
    assert "&lt;b&gt;first&lt;/b&gt;" in page
    clusters = json.loads((run / "report" / "clusters.json").read_text())["clusters"]
    assert [(one["name"], one["parts"]) for one in clusters if one["novel"]] == [("<b>first</b>", [3])]

    predicted = json.loads(run_ncd("predict", "runs/own", "--input", "rows.csv", "--json", "--quiet").out)
    assert {one["name"] for one in predicted["clusters"]} == {"class0", "class1", "<b>first</b>"}
    assert {one["match"] for one in predicted["clusters"]} == {"class0", "class1", "novel"}
    assert "name" in Path(predicted["file"]).read_text().splitlines()[0].split(",")
    shown = run_ncd("show", "runs/own").out
    assert "<b>first</b>" in shown
    assert run_ncd("run", "runs/own", "--quiet").out.count("up to date") == 7


def test_without_names_assignments_stay_where_they_are(run_ncd: Callable) -> None:
    run = run_of(run_ncd, write_rows)
    assert not (run / "report" / "assignments.csv").exists()


def test_another_clustering_leaves_the_names_out_and_says_so(run_ncd: Callable) -> None:
    run = run_of(run_ncd, write_rows)
    run_ncd("label", "runs/own")
    name_clusters({2: ("first", "")})
    again = run_ncd("run", "runs/own", "--set", "estimate_k.k=5")
    assert again.code == 0
    assert "`clusters.csv` names another clustering" in again.err
    assert not json.loads((run / "report" / "clusters.json").read_text())["named"]
    predicted = run_ncd("predict", "runs/own", "--input", "rows.csv")
    assert "names another clustering" in predicted.err
    assert run_ncd("label", "runs/own").code == 3
    renewed = run_ncd("label", "runs/own", "--renew")
    assert renewed.code == 0
    assert (run / "clusters.1.csv").is_file()
    assert "first" not in (run / "clusters.csv").read_text()


def test_a_mistake_ends_with_3_and_changes_nothing(run_ncd: Callable) -> None:
    run = run_of(run_ncd, write_rows)
    run_ncd("label", "runs/own")
    before = (run / "report" / "report.html").read_bytes()
    name_clusters({2: ("same", ""), 3: ("same", "")})
    ended = run_ncd("label", "runs/own")
    assert ended.code == 3
    assert "clusters.csv:3: cluster 2 is called `same` as well" in ended.err
    assert (run / "report" / "report.html").read_bytes() == before


def test_images_are_promoted_as_links(run_ncd: Callable) -> None:
    run = run_of(run_ncd, write_images)
    run_ncd("label", "runs/own")
    columns = read_columns(run / "cluster" / "assignments.csv", texts=["key"], numbers=["cluster"])
    of_blue = next(c for key, c in zip(columns["key"], columns["cluster"], strict=True) if "blue" in key)
    name_clusters({int(of_blue): ("blue ones", "")})
    answer = json.loads(run_ncd("label", "runs/own", "--promote", "next", "--json").out)
    assert answer["labelled"] == {"blue ones": 12, "green": 6, "red": 6}
    assert (answer["promoted"], answer["pool"]) == (12, 24)
    links = sorted(Path("next/labelled/blue ones").rglob("*.png"))
    assert len(links) == 12
    assert all(link.is_symlink() and link.resolve().name.startswith("blue") for link in links)
    assert not any("blue" in path.name for path in Path("next/unlabelled").rglob("*.png"))

    assert run_ncd(*answer["next"].split()[1:3], "--labelled", "next/labelled", "--unlabelled", "next/unlabelled",
                   "--output", "next.yaml", "--name", "next").code == 0  # fmt: skip
    assert run_ncd("run", "next.yaml", "--until", "split", "--quiet").code == 0
    assert json.loads(Path("runs/next/split/classes.json").read_text())["known"] == ["blue ones", "green", "red"]
    assert run_ncd("label", "runs/own", "--promote", "next").code == 2  # there is something already


def test_doubtful_samples_stay_in_the_pool(run_ncd: Callable) -> None:
    run = run_of(run_ncd, write_rows)
    run_ncd("label", "runs/own")
    name_clusters({2: ("first", "")})
    columns = read_columns(run / "cluster" / "assignments.csv", texts=["margin", "role"], numbers=["cluster"])
    sure = (columns["margin"].astype(float) >= 0.8) & (columns["cluster"] == 2)
    answer = json.loads(run_ncd("label", "runs/own", "--promote", "next", "--min-margin", "0.8", "--json").out)
    assert answer["promoted"] == sure.sum() > 0
    with open("next/table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows].count("first") == sure.sum()
    assert {row["key"] for row in rows} == {str(row) for row in range(80)}
    with open("rows.csv", newline="") as file:
        given = {row["number"]: row for row in csv.DictReader(file)}
    assert all(float(row["x"]) == float(given[row["key"]]["x"]) for row in rows)
    assert all(row["class"] == given[row["key"]]["kind"] for row in rows if given[row["key"]]["kind"])


def test_embeddings_are_promoted_as_labels_in_the_order_of_the_array(run_ncd: Callable) -> None:
    run = run_of(run_ncd, write_embeddings)
    run_ncd("label", "runs/own")
    name_clusters({2: ("first", ""), 3: ("", "2")})
    answer = json.loads(run_ncd("label", "runs/own", "--promote", "next", "--json").out)
    columns = read_columns(Path("next/labels.csv"), texts=["key", "class"])
    assert columns["key"].tolist() == [f"train/{row}" for row in range(80)]
    assert set(columns["class"][np.arange(80) % 4 >= 2]) == {"first"}
    assert answer["labelled"]["first"] == 40
    given = ["", *Path("y.csv").read_text().splitlines()][2:]
    assert all(new == old for new, old in zip(columns["class"], given, strict=True) if old)
    assert run.is_dir()


@pytest.mark.parametrize(
    ("words", "code"),
    [("label runs/own --promote next", 4), ("label runs/own --min-margin 0.5", 2), ("label runs/none", 4)],
)
def test_wrong_usage(run_ncd: Callable, words: str, code: int) -> None:
    run_of(run_ncd, write_rows)
    assert run_ncd(*words.split()).code == code


def test_a_name_that_cannot_be_a_folder_is_told(run_ncd: Callable) -> None:
    run_of(run_ncd, write_images)
    run_ncd("label", "runs/own")
    name_clusters({2: ("a/b", ""), 3: ("é" * 150, "")})
    ended = run_ncd("label", "runs/own", "--promote", "next")
    assert ended.code == 3
    assert "a/b: cannot be the name of a folder" in ended.err
    assert "is too long" in ended.err
    assert not Path("next").exists()
