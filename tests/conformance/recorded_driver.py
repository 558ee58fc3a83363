# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rebuilds a recorded driver installation: real ELF headers, links, the loader's configuration."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
ROLE = CHECKOUT / "roles" / "simulated_gpu" / "files"
sys.path[:0] = [str(CHECKOUT / "tests" / "tools"), str(ROLE)]

from elf_writer import elf  # noqa: E402
from simgpu import compiling, driver  # noqa: E402

_BITS = {"x86_64": 64, "i386": 32}
_WORKING = ("libnvidia-ml.so.", "libcuda.so.")
"""Files that answer: the simulated driver's stand in for the recorded empty ones."""
_VERSION = "375.26"
"""What the simulated driver is compiled as; only its file names have it."""


def compile_working(build: Path) -> Path:
    """Return a folder with the simulated driver, compiled once per state of its sources."""
    folder = build / driver.source_digest(ROLE / "src")[:16]
    if not folder.is_dir():
        shutil.rmtree(build, ignore_errors=True)
        new = build / "new"
        compiling.compile_driver(_VERSION, new, ROLE / "src")
        new.rename(folder)
    return folder


def install(root: Path, description: dict[str, Any], working: Path) -> Path:
    """Make the described files below ``root`` and return the libnvidia-ml that has the state."""
    nvml = None
    for file in description["files"]:
        path = below(root, file["path"])
        stand_in = _stand_in(file, working)
        if stand_in is None:
            path.write_bytes(content(file))
        else:
            shutil.copyfile(stand_in, path)
            nvml = path if path.name.startswith(_WORKING[0]) else nvml
        path.chmod(0o755 if file.get("kind") == "exec" else 0o644)
    for name, target in description["links"].items():
        below(root, name).symlink_to(target)
    below(root, "/etc/ld.so.conf").write_text("\n".join(description["ld_so_conf"]) + "\n")
    shutil.copy(working / "bin" / "nvidia-modprobe", below(root, "/usr/bin/nvidia-modprobe"))
    configure_loader(root)
    if nvml is None:
        raise SystemExit("Error: the recorded driver has no 64-bit libnvidia-ml")
    return nvml


def _stand_in(file: dict[str, Any], working: Path) -> Path | None:
    name = file["path"].rpartition("/")[2]
    for stem in _WORKING:
        if file["arch"] == "x86_64" and name.startswith(stem):
            return working / "lib" / f"{stem}{_VERSION}"
    return None


def content(file: dict[str, Any]) -> bytes:
    """Return the ELF file of an entry of ``files``."""
    abi = None
    if file.get("abi_note") is not None:
        major, minor, patch = map(int, file["abi_note"].split("."))
        abi = (major, minor, patch)
    return elf(file["soname"], tuple(file["needed"]), _BITS[file["arch"]], abi)


def below(root: Path, path: str) -> Path:
    """Return where a recorded absolute path is, with its directory made."""
    found = root / path.lstrip("/")
    found.parent.mkdir(parents=True, exist_ok=True)
    return found


def configure_loader(root: Path) -> None:
    """Make SONAME links and the loader's cache."""
    done = subprocess.run(
        ["ldconfig", "-i", "-r", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"Error: ldconfig failed: {done.stdout}")
