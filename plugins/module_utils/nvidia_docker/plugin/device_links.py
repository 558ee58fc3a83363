# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-device-links, which runs as root before the plugin starts, and for
device nodes that come later."""

from __future__ import annotations

import argparse
import sys
import time

from ..host import device_links

_SETTLED_S = 1.0


def main(argv: list[str]) -> int:
    """Run it with these arguments (without its name); return its status."""
    parser = argparse.ArgumentParser(
        prog="nvidia-docker-device-links",
        description="Links the device nodes of the NVIDIA driver in /dev/char, so that systemd "
        "leaves them to running containers.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--settle", action="store_true", help="go on until no node has come for a second"
    )
    settle = parser.parse_args(argv).settle
    try:
        # systemd does not watch a path while the path's service runs.
        while _make() and settle:
            time.sleep(_SETTLED_S)
    except OSError as error:
        sys.stderr.write(f"Error: can't make links in /dev/char: {error.strerror}\n")
        return 1
    return 0


def _make() -> bool:
    """Make links, tell of them; return whether any was missing."""
    made = device_links.make()
    for node in made:
        sys.stdout.write(f"{node} is linked in /dev/char\n")
    sys.stdout.flush()
    return bool(made)
