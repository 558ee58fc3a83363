# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs nvidia-docker-volume-maker and nvidia-docker-image-reader: each answers one question
that comes in on standard input.

systemd starts one for each connection to its socket; nothing else of them ever runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..host import helper, image_reader, volume_maker, volume_store
from ..host.driver_volume import Wanted


def make_volume(argv: list[str]) -> int:
    """Run nvidia-docker-volume-maker with these arguments (without its name); return its status."""
    options = _parse_volume_maker(argv)
    try:
        wanted = Wanted.of(options.capabilities.split(","), options.link)
    except InvalidInput as error:
        sys.stderr.write(f"Error: --capabilities: {error}\n")
        return 2
    maker = volume_maker.LocalVolumeMaker(Path(options.d), wanted=wanted)
    return _answer(lambda request: volume_maker.act(maker, request), told=True)


def read_image(argv: list[str]) -> int:
    """Run nvidia-docker-image-reader with these arguments (without its name); return its status."""
    argparse.ArgumentParser(
        prog=image_reader.PROGRAM,
        description="Tells labels and environment of the image that standard input names.",
        allow_abbrev=False,
    ).parse_args(argv)
    reader = image_reader.LocalImageReader()
    # An environment may hold secrets: the journal gets none.
    return _answer(lambda request: image_reader.act(reader, request), told=False)


def _answer(act: Callable[[dict[str, Any]], Mapping[str, object]], told: bool) -> int:
    try:
        # Left open: a file that is opened next would be standard input of the docker client.
        with os.fdopen(0, "rb", closefd=False) as connection:
            question = connection.readline(helper.LARGEST_QUESTION)
        reply = helper.answer(question, act)
        if told:
            sys.stderr.write(f"{question.decode(errors='replace').strip()} -> {reply.decode()}")
        with os.fdopen(1, "wb", closefd=False) as connection:
            connection.write(reply)
    except OSError as error:
        sys.stderr.write(f"Error: who asked is gone ({error.strerror})\n")
        return 1
    return 0


def _parse_volume_maker(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=volume_maker.PROGRAM,
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
