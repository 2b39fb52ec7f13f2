"""Maps, small images, charts, and what is written into a page."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ncdcli.data.images import read_rgb
from ncdcli.data.sources import ImageInputs, TableInputs
from ncdcli.pipeline.context import SilentProgress
from ncdcli.reports.charts import Line, Mark, line_chart, ticks
from ncdcli.reports.facts import criteria, series, sparkline
from ncdcli.reports.features import as_columns
from ncdcli.reports.mapdata import cell, map_data, shortened, table_rows
from ncdcli.reports.page import as_json, render
from ncdcli.reports.projection import choose_rows, make_maps, principal_axes
from ncdcli.reports.thumbnails import ACROSS, CARD_BYTES, SHEET, Album, make_thumbnails


class TestProjection:
    def test_axes_are_those_of_the_covariance(self):
        values = np.random.default_rng(0).normal(size=(300, 6)) * [5, 3, 1, 1, 0.5, 0.1]
        axes = principal_axes(values, np.arange(300), width=3)
        variances, vectors = np.linalg.eigh(np.cov(values.T, bias=True))
        assert axes.shares == pytest.approx(variances[::-1][:3] / variances.sum())
        for axis, vector in zip(axes.axes, vectors.T[::-1], strict=False):
            assert abs(axis @ vector) == pytest.approx(1)
        assert axes.project(values) == pytest.approx((values - values.mean(axis=0)) @ axes.axes.T, abs=1e-4)

    def test_more_columns_than_rows(self):
        values = np.random.default_rng(0).normal(size=(8, 40))
        axes = principal_axes(values, np.arange(8), width=3)
        spread = np.linalg.svd(values - values.mean(axis=0), compute_uv=False) ** 2
        assert axes.shares == pytest.approx(spread[:3] / spread.sum())
        assert axes.axes @ axes.axes.T == pytest.approx(np.eye(3), abs=1e-9)

    def test_one_value_for_all_samples_has_a_map_too(self):
        values = np.ones((12, 4), np.float32)
        axes = principal_axes(values, np.arange(12))
        maps = make_maps(
            values, np.zeros(12, int), axes, kind="tsne", rng=np.random.default_rng(0), progress=SilentProgress()
        )
        assert all(np.isfinite(one.points).all() for one in maps)

    def test_close_samples_are_close_on_the_map(self):
        rng = np.random.default_rng(0)
        groups = np.arange(240) % 4
        values = (12 * np.eye(4, 10)[groups] + rng.normal(size=(240, 10))).astype(np.float32)
        axes = principal_axes(values, np.arange(240))
        tsne, pca = make_maps(values, groups, axes, kind="tsne", rng=rng, progress=SilentProgress())
        assert (tsne.name, pca.name) == ("t-SNE", "PCA")
        gaps = np.linalg.norm(tsne.points[:, None] - tsne.points[None], axis=2) + np.eye(240) * 1e9
        assert (groups[gaps.argmin(axis=1)] == groups).all()

    def test_every_cluster_is_on_a_map_of_a_part(self):
        clusters = np.repeat([0, 1, 2], [10, 90_000, 10_000])
        rows = choose_rows(clusters, 1000, np.random.default_rng(0))
        counts = np.bincount(clusters[rows])
        assert 990 <= len(rows) <= 1000
        assert (np.diff(rows) > 0).all()
        assert counts[0] == 10
        assert counts[1] > counts[2] > 100

    def test_all_rows_where_they_fit(self):
        assert choose_rows(np.zeros(7, int), 10, np.random.default_rng(0)).tolist() == list(range(7))


def sheet_pixels(thumbnails, row):
    """The image of a row, cut out of its sheet."""
    number, position = thumbnails.places[row]
    sheet = thumbnails.sheets[number]
    image = Image.open(io.BytesIO(sheet.webp))
    x, y = position % ACROSS * sheet.side, position // ACROSS * sheet.side
    return np.asarray(image.convert("RGB").crop((x, y, x + sheet.side, y + sheet.side)))


class TestThumbnails:
    def test_tiny_images_are_kept_to_the_pixel(self):
        array = np.random.default_rng(0).integers(0, 256, size=(1500, 8, 8, 1), dtype=np.uint8)
        album = Album(ImageInputs(array=array, channels=1), range(1500))
        found = make_thumbnails(album, cards=[7, 3, 7], others=range(1500), progress=SilentProgress())
        assert [sheet.count for sheet in found.sheets] == [2, SHEET, 1498 - SHEET]
        for row in (7, 3, 0, 1499):
            assert (sheet_pixels(found, row) == array[row]).all(), row

    def test_files_are_made_small_whole_and_upright(self, tmp_path):
        pixels = np.zeros((300, 600, 3), np.uint8)
        pixels[:, :300], pixels[:, 300:] = (255, 0, 0), (0, 0, 255)
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter: red on top
        Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
        inputs = ImageInputs(array=None, files=[str(tmp_path / "a.jpg")], read=read_rgb)
        found = make_thumbnails(Album(inputs, [5]), cards=[5], others=[], progress=SilentProgress())
        side = found.sheets[0].side
        image = sheet_pixels(found, 5).astype(int)
        assert side == 96
        top, bottom = image[side // 8, side // 2], image[-side // 8, side // 2]
        assert np.abs(top - [255, 0, 0]).max() < 30
        assert np.abs(bottom - [0, 0, 255]).max() < 30
        assert found.sheets[0].uri.startswith("data:image/webp;base64,")

    def test_many_images_are_made_smaller_to_keep_the_page_small(self):
        array = np.random.default_rng(0).integers(0, 256, size=(1200, 64, 64, 3), dtype=np.uint8)  # noise: the worst
        album = Album(ImageInputs(array=array), range(1200))
        found = make_thumbnails(album, cards=range(1200), others=[], progress=SilentProgress())
        assert found.sheets[0].side < 64
        assert sum(len(sheet.webp) for sheet in found.sheets) < 1.15 * CARD_BYTES

    def test_of_many_files_the_map_shows_a_part(self, tmp_path):
        Image.new("RGB", (10, 10), (9, 9, 9)).save(tmp_path / "a.png")
        inputs = ImageInputs(array=None, files=[str(tmp_path / "a.png")] * 7000, read=read_rgb)
        found = make_thumbnails(Album(inputs, range(7000)), cards=[], others=range(7000), progress=SilentProgress())
        assert 2000 < len(found.places) <= 3000

    def test_a_jpeg_is_decoded_small_but_not_too_small(self, tmp_path):
        Image.new("RGB", (1600, 1200)).save(tmp_path / "a.jpg")
        image = read_rgb(tmp_path / "a.jpg", at_least=96)
        assert 96 <= min(image.size) < 400


class TestMapData:
    def test_groups_name_every_point(self, make_results):
        results = make_results([0, 0, 1, 2, 2, 3], roles=["labelled", *["unlabelled"] * 4, "test"], into=[0, 1, 2, 2])
        axes = principal_axes(results.embeddings, np.arange(6))
        maps = make_maps(results.embeddings, results.groups, axes, kind="pca", rng=None, progress=SilentProgress())
        content = map_data(results, maps, None, {})
        groups = {
            group["name"]: [group["labels"][label]["text"] for label in group["of"]] for group in content["groups"]
        }
        assert groups["cluster"] == ["ant", "ant", "bee", "novel 2", "novel 2", "novel 2"]
        assert groups["true class"] == ["ant", "ant", "bee", "cat", "cat", "dog"]
        assert groups["known or novel"] == ["known class"] * 3 + ["novel cluster"] * 3
        assert groups["role"] == ["labelled", *["unlabelled"] * 4, "test"]
        counts = {label["text"]: label["count"] for label in content["groups"][0]["labels"]}
        assert counts == {"novel 2": 3, "ant": 2, "bee": 1}
        (one,) = content["maps"]
        assert one["at"] is None
        assert min(one["x"]) >= 0
        assert max(one["x"] + one["y"]) <= 4095

    def test_without_truth_labels_are_shown(self, make_results):
        results = make_results([0, 0, 1, 2], roles=["labelled", *["unlabelled"] * 3], truth=False)
        axes = principal_axes(results.embeddings, np.arange(4))
        maps = make_maps(results.embeddings, results.groups, axes, kind="pca", rng=None, progress=SilentProgress())
        group = map_data(results, maps, None, {})["groups"][1]
        assert group["name"] == "label"
        assert [group["labels"][label]["text"] for label in group["of"]] == ["ant", *["not known"] * 3]

    def test_rows_show_the_columns_that_set_clusters_apart(self):
        frame = pd.DataFrame({f"c{number:02d}": np.zeros(40) for number in range(30)})
        groups = np.arange(40) % 2
        frame["last"] = np.where(groups == 0, 1.5, -1e6)
        inputs = TableInputs(frame)
        shown = table_rows(inputs, as_columns(inputs), groups, [0, 1])
        assert shown["columns"][0] == "last"
        assert len(shown["columns"]) == 10
        assert shown["cells"][0][:2] == ["1.5", "-1000000"]

    def test_cells_and_keys_are_short(self):
        assert [cell(value) for value in (1.0, 0.123456, float("nan"), None, "x" * 99)] == [
            "1", "0.123", "–", "–", "x" * 14 + "…" + "x" * 13,
        ]  # fmt: skip
        assert shortened("abcdefghij", 5) == "ab…ij"


class TestCharts:
    def test_a_chart_is_well_formed_and_holds_its_values(self):
        odd = "a <b> & 'c'"
        svg = line_chart(
            [Line(odd, [(2, 0.5), (3, 0.75), (4, 0.6)])],
            title=odd,
            x_label="k",
            marks=[Mark(3, "3 chosen")],
            band=(2, 3),
        )
        root = ElementTree.fromstring(str(svg))
        texts = [element.text for element in root.iter() if element.text]
        assert f"{odd}: 0.75 at 3" in texts
        assert "3 chosen" in texts
        assert root.find("rect").get("class") == "band"

    @pytest.mark.parametrize("points", [[(1, 2.0)], [(1, 0.0), (2, 0.0)]])
    def test_one_point_and_a_level_curve(self, points):
        svg = str(line_chart([Line("x", points)], title="x", x_label="epoch"))
        assert "nan" not in svg
        assert ElementTree.fromstring(svg) is not None

    def test_nothing_has_no_chart(self):
        assert line_chart([], title="x", x_label="k") == ""

    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (5, 25, [5, 10, 15, 20, 25]), (0.861, 1.0, [0.9, 0.95, 1.0]), (3, 3, [3])],
    )
    def test_ticks_are_round(self, low, high, expected):
        assert ticks(low, high) == pytest.approx(expected)


class TestFacts:
    def test_curves_are_the_numbers_of_a_training(self):
        records = [
            {"epoch": 1, "loss": 2.0, "samples": 10, "flag": True},
            {"epoch": 2, "loss": float("nan"), "accuracy": 0.5},
        ]
        assert series(records) == {"loss": [(1.0, 2.0)], "accuracy": [(2.0, 0.5)]}

    def test_candidates_that_were_not_tried_are_left_out(self):
        rows = [{"k": "5", "score": "1.0", "other": ""}, {"k": "6", "score": "0.5", "other": "0.2"}]
        assert criteria(rows) == {"score": [(5.0, 1.0), (6.0, 0.5)], "other": [(6.0, 0.2)]}

    def test_sparklines(self):
        assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
        assert sparkline([3, 3]) == "▁▁"
        assert sparkline([]) == ""
        assert sparkline(list(range(400)), width=8) == "▁▂▃▄▅▆▇█"


class TestPage:
    def test_json_cannot_end_its_script(self):
        text = as_json({"key": "</script><!-- \u2028 & é 😀"})
        assert not re.search("[<>&\u2028]", text)
        assert json.loads(text) == {"key": "</script><!-- \u2028 & é 😀"}

    def test_only_our_script_may_run_and_nothing_is_loaded(self):
        page = render(
            "comparison.html", scripts=("page.js",), title="t", version="1", made="now", counted=lambda n, w, p="": w,
            groups=[], by_data={}, paths=[], low=0, high=1, single=[], stamped=False, stamp="", matrices=[],
            test_columns=[], tests=[], field_columns=[], fields=[], runs=[],
        )  # fmt: skip
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
        assert not re.search(r"https?://(?!www\.w3\.org)", page)
