"""The page of a run in a real browser: it opens without a fault, shows what it should, and can be used by keyboard.

Skipped where there is no Chromium. With $NCD_SCREENSHOTS the pages are left there as pictures, to be looked at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from browser import Page, find_browser, open_browser
from reported import ODD, embedding_run, image_run, ncd, table_run, text_run

from ncdcli.naming import clusters_of, read_names

BROWSER = find_browser()
MOST_BYTES = 10_000_000

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """made("images") -> the page of that run, made once."""
    makers = {
        "images": image_run,
        "table": table_run,
        "texts": text_run,
        "many": lambda folder: embedding_run(folder, rows=3000, known=60, novel=240, k=300),
        "one": lambda folder: embedding_run(folder, rows=90, known=2, novel=1, k=3),
    }
    pages: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in pages:
            folder = makers[name](tmp_path_factory.mktemp(name))
            ncd(folder, "run", "recipe.yaml", "--quiet", "--json")
            pages[name] = folder / "runs" / "page" / "report" / "report.html"
        return pages[name]

    return make


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    assert BROWSER is not None
    with open_browser(BROWSER) as page:
        yield page


def open_page(browser: Page, path: Path, name: str, **options: bool) -> Page:
    browser.open(path, **options)
    if folder := os.environ.get("NCD_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.shoot(Path(folder) / f"{name}.png", whole=True)
    return browser


def count(page: Page, selector: str) -> int:
    return int(page.run(f"document.querySelectorAll({selector!r}).length"))


def text(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector({selector!r}).textContent"))


def write(page: Page, field: str, value: str, *, event: str = "input") -> None:
    page.run(f"byId({field!r}).value = {value!r}; byId({field!r}).dispatchEvent(new Event({event!r}))")
    page.settle()


def middle(page: Page, selector: str) -> tuple[float, float]:
    box = f"document.querySelector({selector!r}).getBoundingClientRect()"
    page.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
    page.settle()
    return page.run(f"{box}.x + {box}.width / 2"), page.run(f"{box}.y + {box}.height / 2")


@pytest.mark.parametrize("name", ["images", "table", "texts", "many", "one"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_opens_without_a_fault_and_asks_for_nothing(browser: Page, made: Callable[[str], Path], name: str, dark: bool):
    path = made(name)
    page = open_page(browser, path, f"{name}-{'dark' if dark else 'light'}", dark=dark)
    assert page.faults == []
    assert [url for url in page.requests if not url.startswith("data:")] == [path.resolve().as_uri()]
    assert path.stat().st_size < MOST_BYTES
    clusters = {"images": 4, "table": 4, "texts": 4, "many": 300, "one": 3}[name]
    assert count(page, ".card") == clusters
    assert text(page, "#cluster-count") == f"{clusters} of {clusters} shown"


@pytest.mark.parametrize("name", ["images", "table"])
def test_odd_names_are_text(browser: Page, made: Callable[[str], Path], name: str):
    page = open_page(browser, made(name), name)
    assert count(page, "main script:not([type='application/json'])") == 0
    assert count(page, "main b b, img") == 0
    names = page.run("[...document.querySelectorAll('.card h3 bdi')].map(one => one.textContent)")
    known = [odd.replace("/", "∕") if name == "images" else odd for odd in ODD[:2]]
    assert set(known) < set(names)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")  # nothing hangs over the side


def test_images_of_the_samples_are_shown(browser: Page, made: Callable[[str], Path]):
    """The sheet of images is read by the browser, and holds the pixels of the samples in their places."""
    page = open_page(browser, made("images"), "images")
    assert count(page, ".card .thumb") >= 4 * 3 * 3
    thumb = "document.querySelector('.card .thumb')"
    colour = page.run(
        f"""new Promise(done => {{
          const style = getComputedStyle({thumb}), image = new Image();
          image.onload = () => {{
            const canvas = document.createElement('canvas'), side = Number(style.getPropertyValue('--native'));
            canvas.width = canvas.height = 1;
            const pen = canvas.getContext('2d'), at = name => (Number(style.getPropertyValue(name)) + 0.5) * side;
            pen.drawImage(image, at('--x'), at('--y'), 1, 1, 0, 0, 1, 1);
            done([...pen.getImageData(0, 0, 1, 1).data]);
          }};
          image.src = style.backgroundImage.slice(5, -2);
        }})"""
    )
    key = str(page.run(f"{thumb}.dataset.key"))
    folder = made("images").parents[3]
    pixels = np.asarray(Image.open(folder / key.replace("unlabelled/", "pool/")))
    assert np.abs(np.array(colour[:3]) - pixels.mean(axis=(0, 1))).max() < 40
    assert colour[3] == 255


def test_the_legend_filters_the_map(browser: Page, made: Callable[[str], Path]):
    page = open_page(browser, made("images"), "images")
    assert text(page, "#shown") == "96 shown"
    first = int(text(page, "#legend li small"))
    page.click(*middle(page, "#legend li button"))
    assert text(page, "#shown") == f"{96 - first} shown"
    assert page.run("document.querySelector('#legend button').getAttribute('aria-pressed')") == "false"
    page.click(*middle(page, "#none"))
    assert text(page, "#shown") == "0 shown"
    page.click(*middle(page, "#all"))
    assert text(page, "#shown") == "96 shown"
    write(page, "find", "unlabelled/0")
    assert text(page, "#shown") == "96 shown, 24 found"
    groups = page.run("[...document.querySelectorAll('#colour option')].map(one => one.textContent)")
    assert groups == ["cluster", "true class", "known or novel", "role", "margin"]
    write(page, "colour", "3", event="change")
    assert page.run("[...document.querySelectorAll('#legend bdi')].map(one => one.textContent)") == [
        "labelled",
        "unlabelled",
    ]
    assert page.faults == []


def test_the_pointer_and_the_keyboard_show_a_sample(browser: Page, made: Callable[[str], Path]):
    page = open_page(browser, made("images"), "images")
    middle(page, "#canvas")
    page.run("canvas.focus()")
    page.key("ArrowRight")
    assert not page.run("tip.hidden")
    first = text(page, "#tip bdi")
    assert first.endswith(".png")
    assert count(page, "#tip .thumb") == 1
    page.key("ArrowLeft")
    assert text(page, "#tip bdi") != first
    page.key("Escape")
    assert page.run("tip.hidden")
    page.move(*middle(page, ".card .thumb"))
    assert text(page, "#tip bdi") == page.run("document.querySelector('.card .thumb').dataset.key")
    assert page.faults == []


def test_the_rows_of_a_table_are_shown_with_what_sets_them_apart(browser: Page, made: Callable[[str], Path]):
    page = open_page(browser, made("table"), "table")
    middle(page, "#canvas")
    page.run("canvas.focus()")
    page.key("ArrowDown")
    assert {"width", "<b>height</b>", "kind"} <= set(
        page.run("[...tip.querySelectorAll('td')].map(one => one.textContent)")
    )
    assert count(page, ".card .features li") >= 4
    assert count(page, ".card .rule") >= 1
    assert "true class" not in page.run("[...document.querySelectorAll('#colour option')].map(one => one.textContent)")
    assert count(page, "#confusion") == 0


def test_texts_are_shown_with_the_terms_that_set_them_apart(browser: Page, made: Callable[[str], Path]):
    page = open_page(browser, made("texts"), "texts")
    features = page.run("[...document.querySelectorAll('.features li')].map(one => one.textContent)")
    assert any("exchange rate" in feature for feature in features)
    rows = page.run("[...document.querySelectorAll('table.rows td:last-child')].map(one => one.textContent)")
    assert any(row.startswith("<b>pay</b> the bill, number") for row in rows)
    assert any(row.startswith("what is the exchange rate, number") for row in rows)


def test_cards_are_filtered_found_and_ordered(browser: Page, made: Callable[[str], Path]):
    page = open_page(browser, made("many"), "many")
    page.click(*middle(page, "[data-show=novel]"))
    assert text(page, "#cluster-count") == "240 of 300 shown"
    write(page, "cluster-find", "27")
    shown = page.run("[...document.querySelectorAll('.card:not([hidden])')].map(one => one.dataset.number)")
    assert sorted(map(int, shown)) == [number for number in range(60, 300) if "27" in str(number)]
    page.run("location.hash = '#c3'")
    page.settle()
    assert text(page, "#cluster-count") == "300 of 300 shown"
    write(page, "cluster-order", "size", event="change")
    sizes = page.run("[...document.querySelectorAll('.card')].map(one => Number(one.dataset.size))")
    assert sizes == sorted(sizes, reverse=True)


def test_dark_and_light_can_be_chosen(browser: Page, made: Callable[[str], Path]):
    page = open_page(browser, made("one"), "one")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    page.click(*middle(page, "#theme"))
    assert page.run(ground) != light
    page.click(*middle(page, "#theme"))
    assert page.run(ground) == light


def test_everything_but_the_map_is_there_without_javascript(browser: Page, made: Callable[[str], Path]):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.size(1280, 900)
        browser.go(made("images"))
        root = browser.call("DOM.getDocument", depth=1)["root"]["nodeId"]
        cards = browser.call("DOM.querySelectorAll", nodeId=root, selector=".card .thumb")["nodeIds"]
        assert len(cards) >= 36
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_a_narrow_screen_and_paper(browser: Page, made: Callable[[str], Path], tmp_path: Path):
    page = browser
    page.open(made("images"), width=390, height=800)
    wide = "[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1)"
    scrolled = ".scroll, details, .two, svg, .clip"
    outside = f"{wide}.filter(one => !one.closest('{scrolled}')).map(one => one.outerHTML.slice(0, 90))"
    assert page.run(outside) == []
    printed = page.call("Page.printToPDF", printBackground=False)["data"]
    assert len(printed) > 20_000


def test_names_typed_on_the_cards_are_saved_as_the_file_that_label_reads(
    browser: Page, made: Callable[[str], Path], tmp_path: Path
):
    page = open_page(browser, made("images"), "images")
    page.run("URL.createObjectURL = blob => { window.saved = blob; return 'data:,' }")
    page.run("HTMLAnchorElement.prototype.click = () => {}")
    page.run("document.querySelector('[data-name=\"2\"]').value = 'a \"new\" one, really'")
    page.run("document.querySelector('[data-merge=\"3\"]').value = '2'")
    page.click(*middle(page, "#save-names"))
    path = tmp_path / "clusters.csv"
    path.write_text(page.run("saved.text()"), encoding="utf-8", newline="")
    names = read_names(path, clusters_of(made("images").parents[1]))
    assert names.names[2:] == ('a "new" one, really',) * 2
    assert names.into == (0, 1, 2, 2)


def test_a_comparison_opens_too(browser: Page, made: Callable[[str], Path]):
    folder = made("images").parents[3]
    for seed in ("0", "1"):
        words = ["--set", f"seed={seed}", "--set", "cluster.kind=kmeans", "--set", "report.map=pca"]
        ncd(folder, "run", "recipe.yaml", *words, "--run", f"runs/other-{seed}", "--quiet")
    ncd(folder, "report", "runs/page", "runs/other-0", "runs/other-1", "-o", "comparison.html")
    page = open_page(browser, folder / "comparison.html", "comparison")
    assert page.faults == []
    assert count(page, ".spread i") == 9  # three runs, three subsets
    assert text(page, "h1") == "Comparison of 3 runs"
