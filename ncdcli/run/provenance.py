"""With what a stage was made: code, packages, machine, threads, memory. Imports none of what it names."""

from __future__ import annotations

import os
import platform
import re
import resource
import socket
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

DISTRIBUTION = "ncd-cli"
PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pandas", "pillow", "pydantic", "safetensors",
    "torch", "torchvision", "timm", "lightning-fabric", "faiss-cpu", "faiss-gpu",
)  # fmt: skip
KIBIBYTE = 1024


@lru_cache(maxsize=1)
def code() -> dict[str, Any]:
    """Version of ncd, and where it runs from a git checkout the commit and whether its code differs from it."""
    folder = Path(__file__).resolve().parents[1]
    content: dict[str, Any] = {"version": _version(DISTRIBUTION)}
    if (folder.parent / ".git").exists():
        commit = _git(folder, "rev-parse", "HEAD")
        if commit:
            content |= {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--", "."))}
    return content


@lru_cache(maxsize=1)
def packages() -> dict[str, str]:
    """Installed versions of the packages that compute, by name."""
    return {name: found for name in PACKAGES if (found := _version(name)) is not None}


def host() -> str:
    """Name of this machine."""
    return socket.gethostname()


def python() -> str:
    """Version of Python."""
    return platform.python_version()


def threads() -> int:
    """Threads that numeric libraries use: torch's setting where torch is loaded, else the processors we may use."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    return usable_cores()


def usable_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device(asked: str) -> str:
    """The device that a torch stage was run on: what was asked for, and for `auto` what torch turned to."""
    torch = sys.modules.get("torch")
    if torch is None or asked == "cpu":
        return "cpu"
    if asked in ("auto", "cuda") or asked.startswith("cuda:"):
        return f"cuda ({torch.cuda.get_device_name()})" if torch.cuda.is_initialized() else "cpu"
    return asked


def forget_peak_memory() -> None:
    """Let `peak_memory_bytes` count from now on, where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """Greatest resident memory of this process since `forget_peak_memory`; elsewhere than on Linux, ever."""
    with suppress(OSError, ValueError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * KIBIBYTE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIBIBYTE  # macOS counts bytes


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    """Output of a git command, empty where git is missing or refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
