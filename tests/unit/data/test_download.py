"""`--download` of tables: what every card says of it works."""

from __future__ import annotations

import gzip
import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from toydownload import data_of, left, prepare, tiny_card, tiny_files, zipped

from ncdcli.data.check import card_differences, inspect_source
from ncdcli.data.download_record import download_differences, read_record, record_path
from ncdcli.data.kinds import DataConfig
from ncdcli.data.resolve import ensure_data, load_card, open_resolved, resolve_data
from ncdcli.errors import MissingError
from ncdcli.shipped import shipped_cards

CARDS = [name for name in shipped_cards() if load_card(name).download is not None]
SHIPPED_TABLES = {name for name in shipped_cards() if load_card(name).source.kind == "table"}


def test_every_table_card_downloads():
    assert set(CARDS) == SHIPPED_TABLES


@pytest.mark.parametrize("name", CARDS)
def test_a_card_makes_of_its_archive_what_its_source_reads(name, server, tmp_path):
    data = prepare(server, name, tmp_path)
    ensure_data(data, download=True)
    resolved = resolve_data(data)
    report = inspect_source(open_resolved(resolved))
    assert not card_differences(resolved.card, report)
    assert set(report.classes) == set(resolved.card.class_names)
    source = resolved.source
    files = {field: resolved.root / getattr(source, field) for field in resolved.card.download.tables()}
    assert left(resolved.root) == {
        path.relative_to(resolved.root).as_posix() for file in files.values() for path in (file, record_path(file))
    }
    assert not download_differences(source, resolved.root, resolved.card)
    before = {file: file.read_bytes() for file in files.values()}
    asked = list(server.asked)
    ensure_data(data, download=True)
    assert (server.asked, {file: file.read_bytes() for file in before}) == (asked, before)


def lines(root: Path, name: str) -> list[str]:
    return (root / "tables" / name).read_text("utf-8").splitlines()


def test_rows_are_joined_moved_counted_and_kept_as_the_card_says(server, tmp_path):
    root = tmp_path / "root"
    for name in ("letter", "mfeat", "har", "census1990", "covtype", "mnist-table"):
        ensure_data(prepare(server, name, tmp_path), download=True)
    assert lines(root, "letter.dat")[1] == ",".join([*(str((7 + 3 * i) % 17 + 1) for i in range(16)), "B"])
    assert [line.split(" ")[-1] for line in lines(root, "mfeat-fac.dat")][2:5] == ["0", "1", "1"]
    cells = lines(root, "har_test.dat")[1].split(" ")
    assert (cells[0], cells[-2:], len(cells)) == (f"{8 / 7:.7e}", ["1", "2"], 563)
    assert lines(root, "census1990_train.csv")[0] == lines(root, "census1990_test.csv")[0]
    ids = [[line.split(",")[0] for line in lines(root, f"census1990_{part}.csv")[1:]] for part in ("train", "test")]
    assert len(ids[0]) == len(ids[1]) == 54
    assert lines(root, "census1990_test.csv")[1].split(",")[66] == "0"
    assert lines(root, "covtype_train.csv")[0].split(",")[:2] == ["0", "3"]
    assert lines(root, "covtype_test.csv")[0].split(",")[0] == str(7 * 28 % 17 + 28)
    assert lines(root, "mnist_train.csv")[2].split(",")[:4] == ["2", "0", "2", "4"]


def test_the_record_says_what_was_fetched_and_a_changed_file_is_told(server, tmp_path):
    data = prepare(server, "letter", tmp_path)
    ensure_data(data, download=True)
    file = tmp_path / "root" / "tables" / "letter.dat"
    record = read_record(file)
    (url, content), *_ = server.files.items()
    assert record.archives[0]["url"] == f"https://{url}"
    assert (record.archives[0]["bytes"], record.archives[0]["mirror"]) == (len(content), server.url)
    assert (record.card, record.rows, record.columns) == ("letter", 78, 17)
    assert "sha256 of `letter-recognition.data`" in record.checked
    file.write_text(file.read_text().replace("A", "B", 1))
    resolved = resolve_data(data)
    (problem,) = download_differences(resolved.source, resolved.root, resolved.card)
    assert "not as it was downloaded on" in problem.message
    file.unlink()
    record_path(file).write_text(record_path(file).read_text().replace(record.sha256, "0" * 64))
    with pytest.raises(MissingError, match="its source has changed") as raised:
        ensure_data(data, download=True)
    assert f"remove `{record_path(file)}`" in raised.value.hint
    assert not file.exists()


@pytest.mark.parametrize("flat", [True, False])
def test_a_folder_may_be_the_mirror(flat, tmp_path, monkeypatch):
    monkeypatch.setenv("NCD_DATA_MIRROR", str(tmp_path / "mirror"))
    data = data_of(tiny_card("letter", tmp_path), tmp_path / "root")
    ((url, content),) = tiny_files("letter").items()
    with pytest.raises(MissingError, match=r"`archive\.ics\.uci\.edu.*` is not in the mirror"):
        ensure_data(data, download=True)
    file = tmp_path / "mirror" / (url.rpartition("/")[2] if flat else url)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    ensure_data(data, download=True)
    assert file.read_bytes() == content
    file.write_bytes(content[:50])
    (tmp_path / "root" / "tables" / "letter.dat").unlink()
    with pytest.raises(MissingError, match="cut off"):
        ensure_data(data, download=True)
    assert file.is_file()  # the user's own


def test_the_command_brings_the_data_and_says_so(server, run_ncd, tmp_path):
    server.files = dict(tiny_files("letter"))
    tiny_card("letter", tmp_path)
    code, out, err = run_ncd("data", "check", "letter.yaml")
    assert (code, out) == (4, "")
    assert f"bring it now: `ncd data check {tmp_path / 'letter.yaml'} --download`" in err
    code, out, err = run_ncd("data", "check", "letter.yaml", "--download")
    assert (code, "samples: 78 train" in out) == (0, True)
    recipe = "name: r\nbackbone: {kind: mlp}\ndata: {card: letter.yaml, root: other, labelled_rule: stratified}\n"
    (tmp_path / "r.yaml").write_text(recipe)
    assert run_ncd("run", "r.yaml", "--until", "split", "--download")[0] == 0
    assert (tmp_path / "other" / "tables" / "letter.dat.download.json").is_file()


def test_the_schema_of_cards_tells_how_a_table_is_made(run_ncd):
    code, out, _ = run_ncd("data", "schema")
    fields = json.loads(out)["$defs"]["PreparedTable"]["properties"]
    assert (code, "rows follow one another" in fields["members"]["description"]) == (0, True)


def test_show_says_where_the_data_come_from_and_what_is_checked(run_ncd):
    err = run_ncd("data", "show", "optdigits").err
    assert "from https://archive.ics.uci.edu/static/public/80/" in err
    assert "checked: sha256 of `optdigits.tra`, sha256 of `optdigits.tes`, digest of the rows" in err
    assert "`--download` brings the data by torchvision" in run_ncd("data", "show", "cifar10").err


REAL = pytest.mark.skipif("NCD_TEST_DATA" not in os.environ, reason="NCD_TEST_DATA names no folder of data")


def real_table(name: str) -> list[list[str]]:
    path = Path(os.environ["NCD_TEST_DATA"]) / "tables" / name
    return [[cell.strip() for cell in line.split(",")] for line in path.read_text().splitlines()]


def whole_numbers(field: str) -> list[list[str]]:
    """The rows of the scaled Pendigits as UCI writes them: each column runs from 0 to 100."""
    import numpy as np

    tables = Path(os.environ["NCD_TEST_DATA"]) / "tables"
    parts = {
        part: np.loadtxt(tables / f"pendigits_zscored_{part}.csv", delimiter=",", skiprows=1)
        for part in ("train", "test")
    }
    both = np.concatenate([parts["train"], parts["test"]])[:, :16]
    values = np.rint((parts[field][:, :16] - both.min(0)) / np.ptp(both, axis=0) * 100).astype(int)
    return [
        [*(f"{value:3d}" for value in row), f"{label:2.0f}"]
        for row, label in zip(values, parts[field][:, 16], strict=True)
    ]


def text(table: list[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in table).encode()


@REAL
@pytest.mark.parametrize("name", ["optdigits", "pendigits", "pendigits-uci"])
def test_archives_of_the_real_rows_have_the_checksums_of_the_cards(name, tmp_path, monkeypatch):
    """The card as it is shipped: sha256 of UCI's files, digest and counts of their rows."""
    if name == "optdigits":
        table = real_table("optdigits.dat")
        archive = {"optdigits.tra": text(table[:3823]), "optdigits.tes": text(table[3823:])}
    else:
        archive = {f"pendigits.{part[:3]}": text(whole_numbers(part)) for part in ("train", "test")}
    (tmp_path / load_card(name).download.urls[0].rpartition("/")[2]).write_bytes(zipped(archive))
    monkeypatch.setenv("NCD_DATA_MIRROR", str(tmp_path))
    ensure_data(DataConfig(card=name, root=str(tmp_path / "root")), download=True)


@REAL
@pytest.mark.parametrize("name", ["optdigits", "pendigits", "letter"])
def test_the_given_files_have_the_rows_of_the_cards(name):
    resolved = resolve_data(DataConfig(card=name, root=os.environ["NCD_TEST_DATA"]))
    assert resolved.card.download.train.rows_sha256 is not None
    assert not download_differences(resolved.source, resolved.root, resolved.card)


@REAL
def test_the_test_part_of_optdigits_is_scikit_learns():
    folder = Path(find_spec("sklearn").origin).parent
    with gzip.open(folder / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        digits = [[int(float(cell)) for cell in line.split(",")] for line in file]
    assert [[int(cell) for cell in row] for row in real_table("optdigits.dat")[3823:]] == digits
