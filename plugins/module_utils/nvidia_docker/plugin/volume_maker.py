# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-volume-maker: answers one request that comes in on standard input.

systemd starts it for each connection to its socket; nothing else of it ever runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ..errors import InvalidInput
from ..host import volume_store
from ..host.driver_volume import Wanted
from ..host.volume_maker import LARGEST_REQUEST, LocalVolumeMaker, answer


def main(argv: list[str]) -> int:
    """Run the program with these arguments (without its name) and return its exit status."""
    options = _parse(argv)
    try:
        wanted = Wanted.of(options.capabilities.split(","), options.link)
    except InvalidInput as error:
        sys.stderr.write(f"Error: --capabilities: {error}\n")
        return 2
    maker = LocalVolumeMaker(Path(options.d), wanted=wanted)
    try:
        with os.fdopen(0, "rb") as connection:
            request = connection.readline(LARGEST_REQUEST)
        reply = answer(maker, request)
        # For the journal: the one who asked is told the same.
        sys.stderr.write(f"{request.decode(errors='replace').strip()} -> {reply.decode()}")
        with os.fdopen(1, "wb") as connection:
            connection.write(reply)
    except OSError as error:
        sys.stderr.write(f"Error: who asked is gone ({error.strerror})\n")
        return 1
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nvidia-docker-volume-maker",
        description="Makes or removes a driver volume, as a line of JSON on standard input says.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "-d", default=volume_store.VOLUMES_ROOT, help="where the driver volumes are stored"
    )
    parser.add_argument(
        "--capabilities",
        default="all",
        help="driver capabilities of the volumes, joined by commas (all)",
    )
    parser.add_argument(
        "--link",
        choices=("auto", "hard"),
        default="auto",
        help="hard: refuse to copy where no hard link can be made (auto)",
    )
    return parser.parse_args(argv)
