"""Whatever goes wrong with a download is one error, and leaves nothing half-written."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from toydownload import Server, left, prepare, zipped

from ncdcli.data import download as module
from ncdcli.data.resolve import ensure_data
from ncdcli.errors import MissingError, NcdError

FAULTS = {
    "absent": "the server answered 404",
    "broken": "the server answered 500",
    "cut": "the connection was cut",
    "gone": "no connection to `127.0.0.1`",
    "other": "has another checksum: sha256 is",
    "page": "is cut off, or no archive: it starts with b'<!DOCTYPE",
    "half": "is cut off, or no archive",
    "empty": "no file called `letter-recognition.data` is in what was downloaded (`letter+recognition.zip/Index`)",
    "short": "`letter.dat` would have 75 rows, the card says 78",
    "narrow": "`letter.dat` would have 16 columns, the card says 17",
    "classes": "`letter.dat` would have other classes than the card",
    "count": "`letter.dat` would have 4 rows of class A, the card says 3",
}


def spoil(server: Server, fault: str, card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the download of `letter` go wrong."""
    (url, content), *_ = list(server.files.items())
    if fault == "absent":
        server.files.clear()
    elif fault == "gone":
        monkeypatch.setenv("NCD_DATA_MIRROR", "http://127.0.0.1:9")
    elif fault in ("broken", "cut"):
        (server.broken if fault == "broken" else server.cut).add(url)
    elif fault == "other":
        text = json.loads(card.read_text())
        text["download"]["sha256"] = {"letter-recognition.data": "0" * 64}
        card.write_text(json.dumps(text))
    else:
        text = json.loads(card.read_text())
        del text["download"]["sha256"]
        card.write_text(json.dumps(text))
        table = b"".join(
            b"%c,%s\n" % (65 + row % 26, b",".join([b"1"] * 16)) for row in range(75 if fault == "short" else 78)
        )
        if fault == "narrow":
            table = table.replace(b",1\n", b"\n")
        if fault == "classes":
            table = table.replace(b"A,", b"a,")
        if fault == "count":
            table = table.replace(b"B,", b"A,", 1)
        members = {"Index": b"-"} if fault == "empty" else {"letter-recognition.data": table}
        broken = {"page": b"<!DOCTYPE html>", "half": content[:-40]}
        server.files[url] = broken.get(fault) or zipped(members)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_is_one_error_and_leaves_nothing(fault, server, tmp_path, monkeypatch):
    data = prepare(server, "letter", tmp_path)
    spoil(server, fault, tmp_path / "letter.yaml", monkeypatch)
    with pytest.raises(MissingError) as raised:
        ensure_data(data, download=True)
    assert raised.value.exit_code == 4
    assert raised.value.message.startswith("letter cannot be downloaded: ")
    assert FAULTS[fault] in raised.value.message
    assert "NCD_DATA_MIRROR=FOLDER" in raised.value.hint
    assert f"{tmp_path / 'root'}/tables/letter.dat" in raised.value.hint  # by hand
    assert left(tmp_path / "root") == set()


def test_a_server_that_fails_is_asked_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr("ncdcli.data.fetch.RETRIES", 1)
    monkeypatch.setattr(time, "sleep", lambda _: server.broken.clear())
    data = prepare(server, "letter", tmp_path)
    server.broken = set(server.files)
    ensure_data(data, download=True)
    assert len(server.asked) == 2


def test_files_that_are_there_are_never_touched(server, tmp_path):
    data = prepare(server, "har", tmp_path)
    given = tmp_path / "root" / "tables" / "har_train.dat"
    given.parent.mkdir(parents=True)
    given.write_text("mine")
    with pytest.raises(MissingError, match="is there and was not downloaded") as raised:
        ensure_data(data, download=True)
    assert "har_test.dat` beside it" in raised.value.hint
    assert (given.read_text(), server.asked) == ("mine", [])
    given.unlink()
    ensure_data(data, download=True)
    (given.parent / "har_test.dat").unlink()
    before = given.stat().st_mtime_ns
    ensure_data(data, download=True)
    assert given.stat().st_mtime_ns == before
    assert (given.parent / "har_test.dat").is_file()


def test_a_full_disk_is_told(server, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    data = prepare(server, "letter", tmp_path)
    monkeypatch.setattr(module, "write_rows", full)
    with pytest.raises(NcdError, match="the disk is full") as raised:
        ensure_data(data, download=True)
    assert raised.value.exit_code == 1
    assert not any(name.startswith("tables/") for name in left(tmp_path / "root"))


def test_an_interrupted_download_goes_on_with_what_was_brought(server, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    data = prepare(server, "mnist-table", tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_rows", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ensure_data(data, download=True)
    assert not any(name.startswith("tables/") for name in left(tmp_path / "root"))
    assert len(server.asked) == 4
    ensure_data(data, download=True)
    assert len(server.asked) == 4


def test_a_killed_download_leaves_nothing_that_is_taken_for_whole(server, tmp_path):
    data = prepare(server, "letter", tmp_path)
    server.hold = threading.Event()
    child = multiprocessing.get_context("fork").Process(target=ensure_data, args=(data, True))
    child.start()
    while not server.asked:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    server.hold.set()
    tables = tmp_path / "root" / "tables"
    tables.mkdir()
    (tables / ".new-letter.dat.1.tmp").write_text("half")  # by one that was killed while it wrote
    ensure_data(data, download=True)
    assert left(tmp_path / "root") == {"tables/letter.dat", "tables/letter.dat.download.json"}


def test_two_at_once_download_once(server, tmp_path):
    data = prepare(server, "letter", tmp_path)
    server.hold = threading.Event()
    faults = []

    def download() -> None:
        try:
            ensure_data(data, download=True)
        except Exception as error:  # noqa: BLE001 - told below
            faults.append(error)

    threads = [threading.Thread(target=download) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not server.asked:
        time.sleep(0.01)
    server.hold.set()
    for thread in threads:
        thread.join()
    assert (faults, len(server.asked)) == ([], 1)
