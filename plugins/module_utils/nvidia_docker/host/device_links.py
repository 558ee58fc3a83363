# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links ``/dev/char/195:0 -> ../nvidia0``, as udev makes them for the devices that it knows.

Where Docker leaves control groups to systemd, runc 1.1.3 to 1.1.6 (Debian 12 has 1.1.5) names a
container's device node to systemd only if the node has such a link (opencontainers/runc#3671): the
others are taken from a running container by ``systemctl daemon-reload`` or ``docker update``.
NVIDIA's kernel modules tell udev nothing of their devices.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .device_nodes import DeviceNodes

_OURS = re.compile(r"\.\./nvidia[a-z0-9/-]*")
_NODES = ("nvidia[0-9]*", "nvidiactl", "nvidia-modeset", "nvidia-uvm*", "nvidia-caps/nvidia-cap*")


def make(root: Path = Path("/")) -> tuple[str, ...]:
    """Make the links that are missing, and those that lead to another device's node.

    ``root`` is where /dev and /proc are looked up. Returns the paths of the nodes that had no right
    link, sorted. Raises OSError, as without the right to write there.
    """
    folder = root / "dev/char"
    made = []
    for node in _nodes(root):
        number = os.stat(node).st_rdev
        link = folder / f"{os.major(number)}:{os.minor(number)}"
        if _number(link) == number:
            continue
        _make_folder(folder)
        beside = link.with_name(f".{link.name}.{os.getpid()}")
        beside.symlink_to(Path("..") / node.relative_to(root / "dev"))
        os.replace(beside, link)
        made.append(f"/{node.relative_to(root)}")
    return tuple(made)


def remove(root: Path = Path("/")) -> tuple[str, ...]:
    """Remove links that ``make()`` may have made, and the folder if nothing else is in it.

    Return their paths, sorted. Raises OSError, as without the right to write there.
    """
    folder = root / "dev/char"
    found = [link for link in sorted(folder.glob("*:*")) if _OURS.fullmatch(_target(link))]
    for link in found:
        link.unlink()
    # Where udev runs others have links there too.
    with suppress(OSError):
        if found:
            folder.rmdir()
    return tuple(f"/{link.relative_to(root)}" for link in found)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        # Whatever the umask of this process is.
        folder.chmod(0o755)


def _target(link: Path) -> str:
    return os.readlink(link) if link.is_symlink() else ""


def _nodes(root: Path) -> Iterator[Path]:
    nodes = DeviceNodes(root)
    for path in sorted(path for name in _NODES for path in (root / "dev").glob(name)):
        if nodes.is_right(f"/{path.relative_to(root)}"):
            yield path


def _number(link: Path) -> int | None:
    try:
        return os.stat(link).st_rdev
    except OSError:
        return None
