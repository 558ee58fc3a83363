# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine that recorded CDI specifications were made on: its driver files, GPUs, device nodes.

Files are those of a record of real packages where there is one of that driver and layout, else what
the specifications name. GPUs and nodes are what they tell of them.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

# .dev holds a link ansible_collections/gpufleet/nvidia to the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".dev"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_spec import (
    Edits,
    Node,
    Spec,
    SpecHook,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    CONTROL_NODES,
    Device,
    DeviceNode,
    Driver,
    Host,
)
from driver_record import replay
from elf_writer import elf

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = CHECKOUT / "tests" / "golden" / "driver_packages"
_BY_PATH = re.compile(r"\.\./(\w+)::/dev/dri/by-path/pci-(.*)-(?:card|render)")
_LIBRARY = re.compile(r"lib[^/]*\.so(\.[0-9.]+)?")
_GLVND = re.compile(r"lib(GL|EGL|GLESv1_CM|GLESv2)\.so.*")
"""Those of Mesa have the same names; these need the dispatcher."""


def hook_words(hook: SpecHook) -> tuple[str, ...]:
    """Return a hook's name and arguments, by whichever program it is run."""
    words = hook.arguments[1:]
    return words[1:] if words[0] == "hook" else words


def links(edits: Edits) -> dict[str, str]:
    """Return the symbolic links that the toolkit's hook makes: path -> target, as it is given."""
    found = {}
    for hook in edits.hooks:
        words = hook_words(hook)
        if words[0] == "create-symlinks":
            for flag, word in zip(words, words[1:]):
                if flag == "--link":
                    target, _colons, path = word.partition("::")
                    found[path] = target
    return found


class Layout:
    """A driver root with the files of a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def replay(self, record: dict) -> None:
        """Add all files of a record of real packages."""
        replay(record, self._link, lambda path, data, _mode: self._file(path, data))

    def add(self, specs: Iterable[Spec]) -> None:
        """Add what specifications mount, with the links that belong to it."""
        for spec in specs:
            made = links(spec.common)
            for mount in spec.common.mounts:
                if not os.path.lexists(self._at(mount.host_path)):
                    self._mounted(mount.host_path, made)
            for path, target in made.items():
                if not path.startswith("/dev/") and not os.path.lexists(self._at(path)):
                    self._link(path, target)

    def add_sockets(self, specs: Iterable[Spec]) -> None:
        """Add the sockets of services: no package has them."""
        paths = {mount.host_path for spec in specs for mount in spec.common.mounts}
        for path in sorted(paths):
            if path.endswith("/socket"):
                self._socket(path)

    def _mounted(self, path: str, made: dict[str, str]) -> None:
        name = os.path.basename(path)
        if name == "socket":
            self._socket(path)
        elif _LIBRARY.fullmatch(name):
            of = [os.path.basename(link) for link, target in made.items() if target == name]
            sonames = [link for link in of if not link.endswith(".so")]
            needed = ("libGLdispatch.so.0",) if _GLVND.fullmatch(name) else ()
            self._file(path, elf(sonames[-1] if sonames else name, needed))
        elif "/bin/" in path or "/sbin/" in path:
            self._file(path, elf())
        else:
            self._file(path, b"{}" if name.endswith(".json") else b"")

    def _at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _file(self, path: str, data: bytes) -> None:
        self._at(path).parent.mkdir(parents=True, exist_ok=True)
        self._at(path).write_bytes(data)
        self._at(path).chmod(0o755)

    def _link(self, path: str, target: str) -> None:
        self._at(path).parent.mkdir(parents=True, exist_ok=True)
        self._at(path).symlink_to(target)

    def _socket(self, path: str) -> None:
        folder = self._at(path).parent
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as one:
            # The whole path may be longer than a socket's name can be.
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                one.bind(f"/proc/self/fd/{descriptor}/{os.path.basename(path)}")
            finally:
                os.close(descriptor)


def record_of(machine: str, version: str) -> dict | None:
    """Return the record of Debian's packages of this driver, for a machine that has these."""
    if machine.endswith("-debian"):
        for path in sorted(PACKAGES.glob("*-amd64.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["driver_version"] == version:
                return dict(record)
    return None


def host_of(specs: Iterable[Spec], version: str) -> tuple[Host, dict[str, tuple[str, ...]]]:
    """Return the host that these specifications of one machine tell of, and its DRM nodes."""
    names: dict[int, tuple[str, Edits]] = {}
    for spec in specs:
        by_index = {d.name: d.edits for d in spec.devices if d.name.isdigit()}
        by_uuid = {d.edits.nodes: d.name for d in spec.devices if d.name.startswith("GPU-")}
        for name, edits in by_index.items():
            if edits.nodes in by_uuid:
                names[int(name)] = (by_uuid[edits.nodes], edits)
    devices, drm = [], {}
    for index, (uuid, edits) in sorted(names.items()):
        bus_id, found = f"0000:{index:02x}:00.0", []
        for path, target in links(edits).items():
            match = _BY_PATH.fullmatch(f"{target}::{path}")
            if match is not None:
                bus_id = match[2]
                found.append(f"/dev/dri/{match[1]}")
        drm[bus_id] = tuple(sorted(found))
        minor = int(re.sub(r"\D", "", edits.nodes[0].path))
        devices.append(Device(index, uuid, minor, bus_id, None, None, None, None, False, ()))
    driver = Driver(version, None, None, version)
    return Host(driver, tuple(devices), (), CONTROL_NODES, (), None), drm


def nodes_of(specs: Iterable[Spec]) -> tuple[DeviceNode, ...]:
    """Return the device nodes that specifications tell of."""
    found: dict[str, Node] = {}
    for spec in specs:
        for _where, edits in spec.all_edits():
            found.update((node.path, node) for node in edits.nodes)
    return tuple(
        DeviceNode(
            path,
            node.major or 0,
            node.minor or 0,
            node.file_mode or 0,
            node.uid or 0,
            node.gid or 0,
        )
        for path, node in found.items()
    )
