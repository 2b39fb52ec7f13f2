"""Finds files in what was downloaded: as they are, packed by gzip, in a zip or tar, or in an archive in that."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, cast

from ncdcli.digests import BLOCK_BYTES
from ncdcli.errors import MissingError
from ncdcli.recipe.shape import shorten

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
# What is raised by reading an archive that was cut off or is damaged.
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True)
class Member:
    """One file: on the disk, or in an archive that is."""

    path: str  # through all archives, as in `har.zip/UCI HAR Dataset.zip/train/X_train.txt`
    file: Path
    inside: str | None = None  # its name in the archive `file`; None: `file` itself

    def is_called(self, name: str) -> bool:
        """Whether its path ends in `name`, with or without `.gz`."""
        wanted, parts = PurePosixPath(name).parts, PurePosixPath(self.path).parts[-len(PurePosixPath(name).parts) :]
        return parts == wanted or (*parts[:-1], parts[-1].removesuffix(".gz")) == wanted


class Downloads:
    """The files that were downloaded. Archives in archives are unpacked into `work`, and only where they are needed."""

    def __init__(self, files: Sequence[Path], work: Path) -> None:
        self._top = [Member(file.name, file) for file in files]
        self._work = work
        self._inner: dict[Member, list[Member]] = {}

    def find(self, name: str) -> Member:
        """The file whose path ends in `name`; of several the one in the fewest archives.

        MissingError where there is none, or where two are equally near.
        """
        level, seen = self._top, self._top
        while level:
            matches = [member for member in level if member.is_called(name)]
            if len(matches) > 1:
                paths = " and ".join(f"`{member.path}`" for member in matches[:2])
                raise MissingError(f"`{name}` may be {paths}: the card has to name more of the path")
            if matches:
                return matches[0]
            level = [inner for member in level for inner in self._members(member)]
            seen = level or seen
        names = shorten(", ".join(f"`{member.path}`" for member in seen))
        raise MissingError(f"no file called `{name}` is in what was downloaded ({names})")

    @contextmanager
    def open(self, member: Member) -> Iterator[IO[bytes]]:
        """The content of a file, unpacked where it is packed by gzip."""
        with self._stored(member) as stored:
            if member.path.endswith(".gz"):
                with gzip.open(stored) as content:
                    yield cast(IO[bytes], content)
            else:
                yield stored

    def digest(self, member: Member) -> str:
        """SHA-256 of a file as it is stored."""
        digest = sha256()
        with self._stored(member) as stored:
            while block := stored.read(BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def _members(self, member: Member) -> list[Member]:
        """The files in an archive; none where it is no archive."""
        if not member.path.endswith(ARCHIVES):
            return []
        if member not in self._inner:
            file = member.file
            if member.inside is not None:
                file = self._work / f"inner-{len(self._inner)}{PurePosixPath(member.path).suffix}"
                with self._stored(member) as stored, open(file, "wb") as unpacked:
                    shutil.copyfileobj(stored, unpacked, BLOCK_BYTES)
            self._inner[member] = [Member(f"{member.path}/{name}", file, name) for name in _names(file, member.path)]
        return self._inner[member]

    @contextmanager
    def _stored(self, member: Member) -> Iterator[IO[bytes]]:
        if member.inside is None:
            with open(member.file, "rb") as file:
                yield file
        elif zipfile.is_zipfile(member.file):
            with zipfile.ZipFile(member.file) as archive, archive.open(member.inside) as stored:
                yield stored
        else:
            with tarfile.open(member.file) as tar:
                yield tar.extractfile(member.inside) or io.BytesIO()


def _names(file: Path, path: str) -> list[str]:
    """Names of the files in an archive. MissingError where it is none."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return [info.filename for info in archive.infolist() if not info.is_dir()]
    if not path.endswith(".zip") and tarfile.is_tarfile(file):
        with tarfile.open(file) as tar:
            return [info.name for info in tar if info.isfile()]
    with open(file, "rb") as content:
        start = content.read(40)
    raise MissingError(f"`{path}` is cut off, or no archive: it starts with {start!r}")
