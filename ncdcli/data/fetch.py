"""Brings files from their addresses, or from a mirror, by pooch: whole or not at all, tried again after a cut."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ncdcli.data.download_kinds import file_name
from ncdcli.digests import digest_file
from ncdcli.errors import FULL, MissingError, NcdError

if TYPE_CHECKING:
    from ncdcli.pipeline.context import Progress, Tick

MIRROR = "NCD_DATA_MIRROR"
RETRIES = 2  # after a connection that was cut or refused; a file that is not there is not asked for again
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 16
KILOBYTE = 1000


def fetch(url: str, folder: Path, *, sha256: str | None, progress: Progress | None) -> Path:
    """The file that `url` names, in `folder`; one that is there already, with the right checksum, is not brought again.

    $NCD_DATA_MIRROR may name a folder or another address that holds HOST/PATH, as `wget --force-directories` writes
    it; a folder may also hold the file alone. MissingError where it cannot be had, or has another checksum.
    """
    mirror = os.environ.get(MIRROR, "")
    if mirror and not mirror.startswith(("https://", "http://")):
        return _from_folder(url, Path(mirror).expanduser(), sha256)
    address = f"{mirror.rstrip('/')}/{_host_and_path(url)}" if mirror else url
    import pooch
    from requests.exceptions import RequestException

    pooch.get_logger().setLevel("ERROR")
    files = pooch.Pooch(
        folder, "", {file_name(url): sha256}, urls={file_name(url): address}, retry_if_failed=RETRIES
    )  # fmt: skip
    try:
        return Path(files.fetch(file_name(url), downloader=_downloader(progress)))
    except RequestException as error:
        raise MissingError(f"`{address}`: {_reason(error, address)}") from error
    except ValueError as error:  # another checksum
        raise MissingError(f"`{address}`: {str(error).partition(' Deleted')[0]}") from error
    except OSError as error:
        if error.errno in FULL:
            hint = "free some space, or name another data root: `--root`, `data.root` or $NCD_DATA"
            raise NcdError(f"the disk is full: could not write below `{folder}`", hint=hint) from error
        raise


def _from_folder(url: str, mirror: Path, sha256: str | None) -> Path:
    """The file in a folder that the user has filled."""
    for path in (mirror / unquote(_host_and_path(url)), mirror / _host_and_path(url), mirror / file_name(url)):
        if path.is_file():
            if sha256 is not None and (found := digest_file(path)) != sha256:
                raise MissingError(f"`{path}` has another checksum: sha256 is {found}, the card says {sha256}")
            return path
    raise MissingError(f"`{_host_and_path(url)}` is not in the mirror `{mirror}`")


def _host_and_path(url: str) -> str:
    return "".join(urlsplit(url)[1:3])


def _downloader(progress: Progress | None) -> Callable[..., Any]:
    import pooch
    from requests.exceptions import HTTPError

    def download(url: str, output_file: Any, files: Any) -> None:
        with ExitStack() as stack:
            bar = _Bar(progress, file_name(url), stack) if progress is not None else False
            bring = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_SECONDS)
            try:
                bring(url, output_file, files)
            except HTTPError as error:
                if error.response is not None and error.response.status_code < 500:
                    raise MissingError(f"`{url}`: {_reason(error, url)}") from error
                raise

    return download


class _Bar:
    """Shows what pooch tells of a download: how many bytes there will be, and how many have come."""

    def __init__(self, progress: Progress, name: str, stack: ExitStack) -> None:
        self.total = 0
        self._progress, self._name, self._stack = progress, name, stack
        self._tick: Tick | None = None
        self._bytes, self._shown = 0, 0
        self._over = False

    def update(self, count: int) -> None:
        if self._over:  # pooch fills its bars at the end
            return
        if self._tick is None:
            total = -(-self.total // KILOBYTE) or None
            self._tick = self._stack.enter_context(self._progress.track(f"{self._name}, kB", total))
        self._bytes += count
        whole = (min(self._bytes, self.total) if self.total else self._bytes) // KILOBYTE
        self._tick(whole - self._shown)
        self._shown = whole

    def reset(self) -> None:
        self._over = True

    def close(self) -> None:
        pass


def _reason(error: Any, url: str) -> str:
    """Why a file could not be had, in plain words."""
    from requests import exceptions

    host = urlsplit(url).hostname
    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, exceptions.ProxyError):
        return "the proxy cannot be reached, or refuses"
    if isinstance(error, exceptions.SSLError):
        return f"the certificate of `{host}` is not accepted"
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, exceptions.Timeout):
        return f"`{host}` does not answer within {TIMEOUT_SECONDS} s"
    if isinstance(error, exceptions.ConnectionError):
        return f"no connection to `{host}`"
    return " ".join(str(error).split())
