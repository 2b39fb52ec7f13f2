"""What tests of downloads share: a server on this machine, and tiny archives of the true structure for every card."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from ncdcli.data.kinds import DataConfig
from ncdcli.shipped import shipped_cards

UCI = "archive.ics.uci.edu/static/public"
EACH = 3  # rows of each class in a tiny table


class Server:
    """Serves `files`, path -> content; `cut` and `broken` say which are cut in the middle or answered by 500."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[str] = []
        self.hold: threading.Event | None = None  # where given, half of a file is sent, and the rest after it is set
        self.url = ""


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            server.asked.append(path)
            if path in server.broken or path not in server.files:
                self.send_error(500 if path in server.broken else 404)
                return
            content = server.files[path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.wfile.flush()
            if server.hold is not None:
                server.hold.wait(10)
            if path not in server.cut:
                self.wfile.write(content[half:])

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # the same bytes at any time
    return content.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def numbers(row: int, width: int) -> list[str]:
    """Made-up cells, other ones in each row."""
    return [str((7 * row + 3 * column) % 17 + row) for column in range(width)]


def rows(classes: list[str], width: int, *, separator: str = ",", first: bool = False, each: int = EACH) -> bytes:
    """Rows of numbers and a class, last or first; the classes take turns."""
    lines = []
    for row in range(each * len(classes)):
        cells, label = numbers(row, width), classes[row % len(classes)]
        lines.append(separator.join([label, *cells] if first else [*cells, label]))
    return ("\n".join(lines) + "\n").encode()


def idx(values: list[list[int]], *shape: int) -> bytes:
    """An idx file of bytes."""
    head = bytes([0, 0, 8, len(shape) + 1]) + b"".join(size.to_bytes(4, "big") for size in (len(values), *shape))
    return gzip.compress(head + bytes(value for row in values for value in row), mtime=0)


def human_activity() -> bytes:
    inner = {"UCI HAR Dataset/features.txt": b"names\n", "__MACOSX/UCI HAR Dataset/train/._X_train.txt": b"\0"}
    for part in ("train", "test"):
        y = [str(row % 6 + 1) for row in range(6 * EACH)]
        x = ["  ".join(["", *(f"{int(cell) / 7:.7e}" for cell in numbers(row, 561))]) for row in range(6 * EACH)]
        folder = f"UCI HAR Dataset/{part}"
        inner[f"{folder}/X_{part}.txt"] = "\n".join(x).encode() + b"\n"
        inner[f"{folder}/subject_{part}.txt"] = b"".join(b"%d\n" % (row % 4) for row in range(6 * EACH))
        inner[f"{folder}/y_{part}.txt"] = "\n".join(y).encode() + b"\n"
    return zipped({"UCI HAR Dataset.names": b"about", "UCI HAR Dataset.zip": zipped(inner)})


def census() -> bytes:
    names = ["caseid", *(f"i{column}" for column in range(65)), "iYearsch", "a", "b"]
    lines = [",".join(names)]
    for row in range(18 * 2 * EACH + 5):
        cells = numbers(row, 69)
        cells[66] = str(row % 18)
        lines.append(",".join(cells))
    table = "\r\n".join(lines).encode() + b"\r\n"
    return zipped({"USCensus1990raw.data.txt": b"1,2\n", "USCensus1990.data.txt": table})


def mnist() -> dict[str, bytes]:
    files = {}
    for part in ("train", "t10k"):
        images = [[(row * column) % 256 for column in range(784)] for row in range(10 * EACH)]
        files[f"{part}-images-idx3-ubyte.gz"] = idx(images, 28, 28)
        files[f"{part}-labels-idx1-ubyte.gz"] = idx([[row % 10] for row in range(10 * EACH)])
    return {f"ossci-datasets.s3.amazonaws.com/mnist/{name}": content for name, content in files.items()}


def tiny_files(card: str) -> dict[str, bytes]:
    """HOST/PATH -> content of what the card downloads, of the true structure with a few made-up rows."""
    digits = list("0123456789")
    letters = [chr(ord("A") + number) for number in range(26)]
    if card == "optdigits":
        members = {f"optdigits.{part}": rows(digits, 64) for part in ("tra", "tes")}
        return {f"{UCI}/80/optical+recognition+of+handwritten+digits.zip": zipped({"optdigits.names": b"-", **members})}
    if card.startswith("pendigits"):
        members = {f"pendigits.{part}": rows(digits, 16, separator=", ") for part in ("tra", "tes")}
        orig = {f"pendigits-orig.{part}.Z": b"\x1f\x9d" for part in ("tra", "tes")}
        return {f"{UCI}/81/pen+based+recognition+of+handwritten+digits.zip": zipped({**orig, **members})}
    if card.startswith("letter"):
        members = {"Index": b"-", "letter-recognition.data": rows(letters, 16, first=True)}
        return {f"{UCI}/59/letter+recognition.zip": zipped(members)}
    if card == "satimage":
        members = {f"sat.{part}": rows(list("123457"), 36, separator=" ") for part in ("trn", "tst")}
        return {f"{UCI}/146/statlog+landsat+satellite.zip": zipped(members)}
    if card == "texture":
        names = [str(name) for name in (2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14)]
        table = b"@relation texture\n@attribute A1 real [0.0, 1.0]\n@data\n" + rows(names, 40, separator=", ")
        return {"sci2s.ugr.es/keel/dataset/data/classification/texture.zip": zipped({"texture.dat": table})}
    if card == "mfeat":
        table = "".join("  ".join(["", *numbers(row, 216)]) + "\n" for row in range(10 * EACH)).encode()
        members = {"mfeat.info": b"-", "mfeat-fac": table, "mfeat.tar": tarred({"mfeat/mfeat-fac": table})}
        return {f"{UCI}/72/multiple+features.zip": zipped(members)}
    if card == "har":
        return {f"{UCI}/240/human+activity+recognition+using+smartphones.zip": human_activity()}
    if card == "census1990":
        return {f"{UCI}/116/us+census+data+1990.zip": census()}
    if card == "cnae9":
        table = rows(list("123456789"), 856, first=True)
        return {f"{UCI}/233/cnae+9.zip": zipped({"CNAE-9.data": table, "CNAE-9.names": b"-"})}
    if card == "covtype":
        table = gzip.compress(rows(list("1234567"), 54, each=2 * EACH + 1), mtime=0)
        return {f"{UCI}/31/covertype.zip": zipped({"covtype.data.gz": table, "covtype.info": b"-"})}
    assert card == "mnist-table"
    return mnist()


def tiny_card(name: str, folder: Path) -> Path:
    """A copy of a shipped card that says how many rows the tiny files have, and other checksums; nothing else."""
    content = yaml.safe_load(shipped_cards()[name].read_text("utf-8"))
    classes, download = content["classes"], content["download"]
    parts = 2 if name in ("optdigits", "pendigits", "satimage") else 1
    content["train_samples"] = EACH * classes * parts
    content["test_samples"] = EACH * classes if content["source"].get("test") else 0
    content["source"].pop("test_rows", None)
    content["source"].pop("test_fraction", None)
    for table in (download["train"], download.get("test", {})):
        if "class_rows" in table:
            table["class_rows"] = [EACH * parts] * classes
        table.pop("rows_sha256", None)
    if name == "mfeat":
        download["train"]["class_every"] = EACH
    if name == "census1990":
        download["train"]["rows_of_each_class"] = [0, EACH]
        download["test"]["rows_of_each_class"] = [EACH, 2 * EACH]
    if name == "covtype":
        download["train"]["rows"] = [0, 7 * EACH]
        download["test"]["rows"] = [7 * EACH + 7, 14 * EACH + 7]
    download["sha256"] = _checksums(download.get("sha256", {}), tiny_files(name))
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(content), "utf-8")  # which is YAML
    return path


def _checksums(known: dict[str, str], files: dict[str, bytes]) -> dict[str, str]:
    """For each name that has a checksum, that of the tiny file or member."""
    contents = {path.rpartition("/")[2]: content for path, content in files.items()}
    for content in files.values():
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                contents |= {info.filename: archive.read(info) for info in archive.infolist()}
    return {name: hashlib.sha256(contents[name]).hexdigest() for name in known}


def data_of(card: Path, root: Path) -> DataConfig:
    return DataConfig(card=str(card), root=str(root))


def prepare(server: Server, name: str, tmp_path: Path) -> DataConfig:
    """The files of a card on the server, and a `data` section that downloads them."""
    server.files = dict(tiny_files(name))
    return data_of(tiny_card(name, tmp_path), tmp_path / "root")


def left(root: Path) -> set[str]:
    """All files below a data root, the lock left out."""
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    return found - {".ncd-download/lock"}
