# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-cdi: keeps the CDI specification of this machine true.

systemd runs it at boot, and every 20 s to see whether anything has changed. So what makes a
specification is imported when there is one to make: the look alone takes a tenth of the time.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

from .. import __version__
from ..errors import NvidiaDockerError, UnfinishedUpgrade
from ..host import cdi_fingerprint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROGRAM = "nvidia-docker-cdi"
_ROOT = Path("/")
_VOLUMES_OF_DRIVERS = "nvidia_driver"
_LINKS = "/run/nvidia-docker-cdi/links"
_ERROR, _WARNING = "<3>", "<4>"
"""Priorities, as the journal reads them at the start of a line (sd-daemon(3))."""


def main(argv: list[str]) -> int:
    """Run the program with these arguments (without its name) and return its exit status."""
    # Nothing becomes garbage in so short a time; looking for it takes 7 % of that.
    gc.disable()
    options = vars(_parser().parse_args(argv))
    seen = options.pop("unless_same_as", None)
    try:
        machine = _machine(options, argv)
        if seen is not None and _read(seen) == machine + _written(options):
            return 0
        _make_true(options)
        if seen is not None:
            # The machine as it was before: what changed meanwhile is a difference the next time.
            _write(seen, machine + _written(options))
    except NvidiaDockerError as error:
        _say(_ERROR, f"Error: {error}")
        return 1
    except OSError as error:
        _say(_ERROR, f"Error: {error.filename}: {error.strerror}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    """What is not given is not in it: the core has the defaults."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Writes the CDI specification of this machine's GPUs, unless it is right.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for name, meaning in (
        ("path", "file of the specification (/var/run/cdi/nvidia.json)"),
        ("kind", "vendor and class of the devices (nvidia.com/gpu)"),
        ("cdi-version", "version of CDI (the lowest that is enough)"),
        ("volumes-path", "where the driver volumes are (/var/lib/nvidia-docker/volumes)"),
        ("driver-root", "directory that holds the driver (/)"),
        ("unless-same-as", "do nothing if FILE says that nothing has changed, else write it there"),
    ):
        value = "FILE" if name == "unless-same-as" else "VALUE"
        parser.add_argument(f"--{name}", metavar=value, help=meaning)
    for name, meaning in (
        ("devices", "GPUs and MIG devices, joined by commas (all)"),
        ("capabilities", "driver capabilities that containers get, joined by commas (all)"),
        ("spec-directories", "where engines look for specifications, joined by commas"),
    ):
        parser.add_argument(f"--{name}", metavar="LIST", type=_words, help=meaning)
    parser.add_argument(
        "--toolkit-hooks", action="store_true", help="let engines run the toolkit's hooks"
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _machine(options: dict[str, Any], argv: list[str]) -> str:
    # ldconfig runs when libraries of the driver are installed, and the loader's cache is new then.
    cache = os.path.join(options.get("driver_root", "/"), "etc/ld.so.cache")
    # Another release of this program may write another specification.
    return f"{__file__} {argv}\n{cdi_fingerprint.take(_ROOT, [cache])}"


def _written(options: dict[str, Any]) -> str:
    """What this program writes, and others might have changed."""
    files = [options["path"]] if "path" in options else []
    files.append(_LINKS)
    if "volumes_path" in options:
        # A volume that is made, removed or replaced is renamed in there.
        files.append(os.path.join(options["volumes_path"], _VOLUMES_OF_DRIVERS))
    return cdi_fingerprint.versions(files)


def _make_true(options: dict[str, Any]) -> None:
    from . import specification

    asked = specification.Options(**options)
    try:
        prepared = specification.prepare(asked)
    except UnfinishedUpgrade as error:
        if not specification.is_of_loaded_driver(asked):
            raise
        _say(_WARNING, f"{asked.path} stays, as it is for the loaded driver: {error}")
        return
    specification.write(prepared, asked)
    for warning in prepared.warnings:
        _say(_WARNING, warning)
    state = "written" if prepared.changed else "right already"
    names = ", ".join(device.name for device in prepared.spec.devices)
    _say("", f"{prepared.path} is {state}: {prepared.spec.kind}={names}")


def _say(priority: str, text: str) -> None:
    # On a terminal nobody takes the priority off.
    shown = "" if sys.stderr.isatty() else priority
    sys.stderr.write(f"{shown}{text}\n")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    # Half of it, after a crash, is a difference too: the next run does its work again.
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
