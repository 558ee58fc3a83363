# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel directories covered by a tmpfs: the driver's entries beside links to the originals.

/proc and /sys take no files, so a tmpfs covers the directory; its mount source marks it as ours.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import kernel_files, layout
from .files import holds, replace_text
from .machine import Machine, SimulationError

_MARK = "simulated-gpu"


@dataclass(frozen=True)
class Overlay:
    """A covered directory.

    :param keep: name of the bind mount that shows the original, for links to it; "" where the
        originals are links themselves, which are repeated
    """

    directory: str
    keep: str
    content: Callable[[Machine], dict[str, str]]

    @property
    def original(self) -> Path:
        return layout.RUN / self.keep


OVERLAYS = (
    Overlay("/proc/driver", "proc-driver", kernel_files.proc_driver),
    Overlay("/sys/module", "sys-module", kernel_files.sys_module),
    Overlay("/sys/bus/pci/devices", "", kernel_files.pci_devices),
)


def mounts() -> dict[str, str]:
    """Mount point to source, the topmost mount of each."""
    found: dict[str, str] = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            before, _dummy, after = line.partition(" - ")
            found[before.split(" ")[4]] = after.split(" ")[1]
    return found


def directories() -> list[str]:
    return [overlay.directory for overlay in OVERLAYS]


def is_covered(directory: str) -> bool:
    return mounts().get(directory) == _MARK


def outdated(machine: Machine) -> list[str]:
    """The directories that do not show this machine."""
    present = [overlay for overlay in OVERLAYS if os.path.isdir(overlay.directory)]
    return [overlay.directory for overlay in present if not _shows(overlay, machine)]


def cover(machine: Machine) -> None:
    """:raises SimulationError: the host forbids mounts"""
    covered = mounts()
    for overlay in OVERLAYS:
        # A host without PCI has no such directory, and nobody looks there.
        if not os.path.isdir(overlay.directory):
            continue
        if covered.get(overlay.directory) != _MARK:
            _cover(overlay, machine, covered)
        elif not _shows(overlay, machine):
            _write(Path(overlay.directory), overlay.content(machine))


def uncover() -> None:
    covered = mounts()
    for overlay in OVERLAYS:
        if covered.get(overlay.directory) == _MARK:
            _run("umount", "--lazy", overlay.directory)
        if overlay.keep and str(overlay.original) in covered:
            _run("umount", "--lazy", str(overlay.original))


def _shows(overlay: Overlay, machine: Machine) -> bool:
    if not is_covered(overlay.directory):
        return False
    root = Path(overlay.directory)
    found = {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for entry in root.iterdir()
        if not entry.is_symlink()
        for path in entry.rglob("*")
        if path.is_file()
    }
    return found == overlay.content(machine)


def _cover(overlay: Overlay, machine: Machine, covered: dict[str, str]) -> None:
    """The tmpfs is filled elsewhere and bound when complete: nobody sees the directory empty."""
    directory = Path(overlay.directory)
    if overlay.keep:
        overlay.original.mkdir(exist_ok=True)
        if str(overlay.original) not in covered:
            _run("mount", "--bind", overlay.directory, str(overlay.original))
        links = {name: f"{overlay.original}/{name}" for name in os.listdir(directory)}
    else:
        links = {name: os.readlink(directory / name) for name in os.listdir(directory)}
    staged = layout.RUN / "staged"
    staged.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", "mode=755", _MARK, str(staged))
    try:
        for name, target in links.items():
            (staged / name).symlink_to(target)
        _write(staged, overlay.content(machine))
        _run("mount", "--bind", str(staged), overlay.directory)
    finally:
        _run("umount", str(staged))


def _write(root: Path, content: dict[str, str]) -> None:
    """Makes our entries be the content; links stay, save that of a device at a GPU's address."""
    for name, text in content.items():
        path = root / name
        top = root / Path(name).parts[0]
        if top.is_symlink():
            top.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        if not holds(path, text):
            replace_text(path, text, mode=0o444)
    folders = {parent for name in content for parent in Path(name).parents}
    for entry in [entry for entry in root.iterdir() if not entry.is_symlink()]:
        for path in [*sorted(entry.rglob("*"), reverse=True), entry]:
            place = path.relative_to(root)
            if path.is_dir() and place not in folders:
                path.rmdir()
            elif path.is_file() and str(place) not in content:
                path.unlink()


def _run(*command: str) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        reason = done.stdout.strip().splitlines()[0] if done.stdout.strip() else "no reason given"
        if "permission denied" in reason:
            reason = "root may not mount here, as in a container without CAP_SYS_ADMIN"
        raise SimulationError(f"{' '.join(command)} failed: {reason}")
