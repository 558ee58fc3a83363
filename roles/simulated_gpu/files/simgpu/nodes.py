# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device nodes, as the driver and nvidia-modprobe make them."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from . import layout
from .files import replace_text
from .flat import CAPS_MAJOR, UVM_MAJOR, compute_instance_cap, gpu_instance_cap
from .machine import Machine, SimulationError

_GPU_MAJOR = 195
_CONTROL, _MODESET = 255, 254
_CAPS = "/dev/nvidia-caps/nvidia-cap"


@dataclass(frozen=True)
class Node:
    path: str
    major: int
    minor: int
    mode: int = 0o666

    def is_there(self) -> bool:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return False
        right = stat.S_ISCHR(found.st_mode) and stat.S_IMODE(found.st_mode) == self.mode
        return right and found.st_rdev == os.makedev(self.major, self.minor)


def wanted_nodes(machine: Machine) -> list[Node]:
    """The nodes of a machine: control nodes, one per GPU, capability nodes for MIG."""
    uvm, caps = machine.get("uvm_major", UVM_MAJOR), machine.get("caps_major", CAPS_MAJOR)
    nodes = [
        Node("/dev/nvidiactl", _GPU_MAJOR, _CONTROL),
        Node("/dev/nvidia-modeset", _GPU_MAJOR, _MODESET),
        Node("/dev/nvidia-uvm", uvm, 0),
        Node("/dev/nvidia-uvm-tools", uvm, 1),
    ]
    able = False
    for gpu in machine["gpus"]:
        minor = gpu.get("minor")
        if not isinstance(minor, int):
            continue
        nodes.append(Node(f"/dev/nvidia{minor}", _GPU_MAJOR, minor))
        able = able or gpu.get("mig_mode") is not None
        for mig in gpu.get("migs", []):
            for cap in (
                gpu_instance_cap(minor, mig["gi"]),
                compute_instance_cap(minor, mig["gi"], mig["ci"]),
            ):
                nodes.append(Node(f"{_CAPS}{cap}", caps, cap, 0o444))
    if able:
        nodes += [Node(f"{_CAPS}1", caps, 1, 0o400), Node(f"{_CAPS}2", caps, 2, 0o444)]
    return sorted(set(nodes), key=lambda node: node.path)


def made_nodes() -> list[str]:
    """Paths of the nodes that were made since the host started."""
    try:
        return list(json.loads(layout.MADE_NODES.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return []


def missing_nodes(machine: Machine) -> list[str]:
    return [node.path for node in wanted_nodes(machine) if not node.is_there()]


def surplus_nodes(machine: Machine) -> list[str]:
    wanted = {node.path for node in wanted_nodes(machine)}
    return [path for path in made_nodes() if path not in wanted and os.path.lexists(path)]


def make_nodes(machine: Machine) -> None:
    """:raises SimulationError: something else has a node's name, or the host forbids nodes"""
    wanted = wanted_nodes(machine)
    surplus = surplus_nodes(machine)
    replace_text(layout.MADE_NODES, json.dumps(sorted({*(node.path for node in wanted), *surplus})))
    for node in wanted:
        if not node.is_there():
            _make(node)
    _unlink(surplus)
    replace_text(layout.MADE_NODES, json.dumps([node.path for node in wanted]))


def remove_nodes() -> None:
    _unlink(made_nodes())
    layout.MADE_NODES.unlink(missing_ok=True)


def _make(node: Node) -> None:
    path = Path(node.path)
    if os.path.lexists(path) and not path.is_char_device():
        raise SimulationError(f"{path} exists and is no device node: remove it")
    path.unlink(missing_ok=True)
    path.parent.mkdir(mode=0o755, exist_ok=True)
    try:
        os.mknod(path, stat.S_IFCHR, os.makedev(node.major, node.minor))
    except PermissionError as error:
        raise SimulationError(
            f"this host does not let root make {path}: it lacks CAP_MKNOD"
        ) from error
    path.chmod(node.mode)


def _unlink(paths: list[str]) -> None:
    for path in map(Path, paths):
        if path.is_char_device():
            path.unlink()
    caps = Path(_CAPS).parent
    if caps.is_dir() and not any(caps.iterdir()):
        caps.rmdir()
