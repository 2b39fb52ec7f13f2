"""A user's own pool, whose truth nobody knows, and new samples: `ncd run` and `ncd predict`."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
from finished import Ncd


def write_own_data() -> np.ndarray:
    """`own.yaml`: 160 embeddings around 4 centres, which are returned; half of two classes' labels, no truth."""
    generator = np.random.default_rng(0)
    centres = 8 * np.eye(4, 6)
    classes = np.repeat(np.arange(4), 40)
    np.save("x.npy", (centres[classes] + generator.normal(size=(160, 6))).astype(np.float32))
    labels = [f"class{label}" if label < 2 and row % 2 else "" for row, label in enumerate(classes)]
    Path("y.csv").write_text("class\n" + "\n".join(labels) + "\n")
    Path("own.yaml").write_text(
        "version: 1\nname: own\n"
        "data: {source: {kind: embeddings, train: x.npy, labels: y.csv}, validation_fraction: 0.2}\n"
        "backbone: {kind: precomputed}\npretrain: {objective: {kind: none}}\n"
        "embed: {normalize: false}\nestimate_k: {kind: fixed, k: 4}\n"
    )
    return centres


class TestWithoutTruth:
    def test_what_can_be_known_is_given_and_what_cannot_is_named(self, ncd: Ncd) -> None:
        write_own_data()
        result = ncd("run own.yaml")
        assert result.code == 0
        lines = result.out.splitlines()
        assert next(line for line in lines if line.startswith("known_accuracy.validation")).split()[1] == "100.0"
        assert any(line.startswith("silhouette of the pool: ") for line in lines)
        assert any(line.startswith("not available: unlabelled: ") for line in lines)
        assert "number of classes: 4 estimated" in lines
        assert ncd("run own --json").json["headline"] is None

    def test_a_bound_on_what_nobody_knows_names_what_is_known(self, ncd: Ncd) -> None:
        write_own_data()
        result = ncd("run own.yaml --require 'gcd_v2.unlabelled.novel>=0.5'")
        assert result.code == 2
        assert "gcd_v2.validation.known" in result.last_line


class TestPredict:
    def test_new_samples_go_to_the_nearest_centroid(self, ncd: Ncd, tmp_path: Path) -> None:
        """Against a plain restatement, on embeddings: every distance, then the least one."""
        centres, generator = write_own_data(), np.random.default_rng(1)
        assert ncd("run own.yaml --quiet").code == 0
        new = (centres[[0, 3, 2, 2]] + generator.normal(size=(4, 6))).astype(np.float32)
        np.save("new.npy", new)
        Path("x.npy").unlink()  # the samples that it was made from are not needed

        result = ncd("predict own --input new.npy --json")
        assert result.code == 0, result.err
        assert result.json["file"] == "runs/own/predictions/new.csv"
        centroids = np.load("runs/own/cluster/centroids.npy")
        expected = [min(range(4), key=lambda c: np.sum((row - centroids[c]) ** 2)) for row in new]
        rows = list(csv.DictReader(Path("runs/own/predictions/new.csv").read_text().splitlines()))
        assert [int(row["cluster"]) for row in rows] == expected
        assert rows[0]["match"] == "class0"
        assert [row["match"] for row in rows[1:]] == ["novel"] * 3
        assert rows[2]["cluster"] == rows[3]["cluster"] != rows[1]["cluster"]
        assert all(0 <= float(row["margin"]) <= 1 for row in rows)
        assert sum(entry["samples"] for entry in result.json["clusters"]) == 4

    def test_where_to_write_can_be_chosen(self, ncd: Ncd) -> None:
        from PIL import Image

        Path("images").mkdir()
        for number in range(3):
            Image.fromarray(np.full((8, 8), 80 * number, np.uint8)).save(f"images/{number}.png")
        result = ncd("predict tiny --input images --output deep/er/out.csv")
        assert result.code == 0, result.err
        assert [row["key"] for row in csv.DictReader(Path("deep/er/out.csv").read_text().splitlines())] == [
            "0.png",
            "1.png",
            "2.png",
        ]
        assert result.out.splitlines()[-1] == "3 samples, written to deep/er/out.csv"

    def test_an_absent_input_or_stage_exits_with_4(self, ncd: Ncd) -> None:
        assert ncd("predict tiny --input nowhere").code == 4
        shutil.rmtree("runs/tiny/cluster")
        result = ncd("predict tiny --input images")
        assert result.code == 4
        assert result.last_line == "hint: ncd run runs/tiny"

    def test_stages_that_were_not_made_from_each_other_are_refused(self, ncd: Ncd) -> None:
        Path("images").mkdir()
        assert ncd("embed tiny --set embed.normalize=false --quiet").code == 0
        result = ncd("predict tiny --input images")
        assert result.code == 4
        assert "was made from an earlier `embed`" in result.err
