"""`ncd doctor`: the environment block to paste into an issue, and what is missing with the command that brings it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from ncdcli import __version__
from ncdcli.cli.output import print_table, print_text
from ncdcli.cli.session import Session
from ncdcli.errors import MissingError

DISTRIBUTION = "ncd-cli"
DEVELOPMENT_EXTRAS = frozenset({"dev"})


def examine(session: Session) -> None:
    """Print the environment; MissingError, after that, if a required package is missing."""
    report = environment()
    if session.json:
        session.answer(report)
    else:
        _print(report)
    required = [item for item in report["missing"] if item["required"]]
    if required:
        names = ", ".join(item["what"] for item in required)
        raise MissingError(f"required packages are missing: {names}", hint=required[0]["command"])


def environment() -> dict[str, Any]:
    """Machine, packages, devices, data root, and what is missing. Imports torch, so it takes a few seconds."""
    packages, missing = _packages()
    return {
        "ncd": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "memory_gb": _memory_gb(),
        "disk_free_gb": round(shutil.disk_usage(".").free / 1e9, 1),
        "data_root": _data_root(),
        "devices": _devices(),
        "torchvision": _torchvision(),
        "loops": _loops(),
        "packages": packages,
        "missing": missing,
    }


def _packages() -> tuple[dict[str, str | None], list[dict[str, Any]]]:
    """Version of every package that `ncd` names (null: absent), and the absent ones with the command for each."""
    versions: dict[str, str | None] = {}
    missing = []
    for requirement in metadata.requires(DISTRIBUTION) or ():
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)["']""", requirement)
        if extra and extra[1] in DEVELOPMENT_EXTRAS:
            continue
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        try:
            versions[name[0]] = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            versions[name[0]] = None
            command = f"pip install '{DISTRIBUTION}[{extra[1]}]'" if extra else f"pip install {name[0]}"
            missing.append({"what": name[0], "required": extra is None, "command": command})
    return versions, missing


def _cpu() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    flags = ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text = file.read()
        found = re.search(r"model name\s*:\s*(.+)", text)
        model = found[1].strip() if found else model
        flags = f" {' '.join(text.split())} "
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return {"model": model, "cores": cores, "features": [name for name in wanted if f" {name} " in flags]}


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)


def _data_root() -> str:
    from ncdcli.data.resolve import default_root

    return str(default_root())


def _devices() -> dict[str, Any]:
    """What torch can compute on."""
    if find_spec("torch") is None:
        return {}
    import torch

    cuda = torch.cuda.is_available()
    return {
        "cuda": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] if cuda else [],
        "mps": torch.backends.mps.is_available(),
        "threads": torch.get_num_threads(),
    }


def _torchvision() -> str:
    """Whether torchvision imports by itself, only with its missing operators declared, or not at all."""
    if find_spec("torch") is None or find_spec("torchvision") is None:
        return "absent"
    from ncdcli.compat import declared_operators, import_torchvision

    import_torchvision()
    declared = ", ".join(declared_operators())
    return f"imports, with operators declared beside a CPU build of torch: {declared}" if declared else "imports"


def _loops() -> str:
    """Whether the inner loops of clustering are compiled."""
    from ncdcli.clustering.loops import COMPILED, WHY_NOT

    return "compiled" if COMPILED else f"NumPy's, slower where rows are few or narrow ({WHY_NOT})"


def _print(report: dict[str, Any]) -> None:
    cpu, devices = report["cpu"], report["devices"]
    features = f" ({', '.join(cpu['features'])})" if cpu["features"] else ""
    memory = "unknown" if report["memory_gb"] is None else f"{report['memory_gb']} GB"
    accelerators = ", ".join(devices.get("cuda", ())) or ("mps" if devices.get("mps") else "none")
    rows = [
        ("ncd", report["ncd"]),
        ("python", f"{report['python']} ({sys.executable})"),
        ("platform", report["platform"]),
        ("cpu", f"{cpu['cores']} cores, {cpu['model']}{features}"),
        ("memory", memory),
        ("disk free here", f"{report['disk_free_gb']} GB"),
        ("data root", report["data_root"]),
        ("accelerators", accelerators),
        ("torchvision", report["torchvision"]),
        ("loops of clustering", report["loops"]),
        *((name, version or "absent") for name, version in report["packages"].items()),
    ]
    print_table(("what", "found"), rows)
    for item in report["missing"]:
        kind = "required" if item["required"] else "optional"
        print_text(f"missing ({kind}): {item['what']}: {item['command']}")
