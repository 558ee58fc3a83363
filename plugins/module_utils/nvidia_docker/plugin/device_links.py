# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-device-links, which runs as root before the plugin starts."""

from __future__ import annotations

import argparse
import sys

from ..host import device_links


def main(argv: list[str]) -> int:
    """Run it with these arguments (without its name); return its status."""
    argparse.ArgumentParser(
        prog="nvidia-docker-device-links",
        description="Links the device nodes of the NVIDIA driver in /dev/char, so that systemd "
        "leaves them to running containers.",
        allow_abbrev=False,
    ).parse_args(argv)
    try:
        made = device_links.make()
    except OSError as error:
        sys.stderr.write(f"Error: can't make links in /dev/char: {error.strerror}\n")
        return 1
    for node in made:
        sys.stdout.write(f"{node} is linked in /dev/char\n")
    return 0
