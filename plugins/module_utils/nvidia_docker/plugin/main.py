# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program nvidia-docker-plugin: Docker's volume driver and the REST API."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from pathlib import Path

from .. import __version__
from ..errors import NvidiaDockerError
from ..host import describe_apart, discovery, modprobe, volume_store
from ..host.image_reader import RemoteImageReader
from ..host.volume_maker import RemoteVolumeMaker
from . import remote_api, systemd, volume_driver
from .server import Server, listen_tcp, listen_unix
from .state import State

LISTEN = "127.0.0.1:3476"
SOCKET_DIRECTORY = "/run/docker/plugins"
SOCKET_NAME = "nvidia-docker.sock"

logger = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run the program with these arguments (without its name) and return its exit status."""
    options = _parse(argv)
    if options.version:
        sys.stdout.write(f"NVIDIA Docker plugin: {__version__}\n")
        return 0
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
    try:
        _serve(options)
    except NvidiaDockerError as error:
        logger.error("Error: %s", error)
        return 1
    logger.info("Successfully terminated")
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    """v1's flags; Go takes them with one dash or two, with a blank or an equals sign."""
    parser = argparse.ArgumentParser(
        prog="nvidia-docker-plugin",
        description="Docker's volume driver nvidia-docker, and the REST API that describes GPUs.",
        allow_abbrev=False,
    )
    for flag, default, meaning in (
        ("d", volume_store.VOLUMES_ROOT, "where the driver volumes are stored"),
        ("l", LISTEN, "address of the REST API; :3476 is every interface"),
        ("s", SOCKET_DIRECTORY, f"directory of the plugin socket {SOCKET_NAME}"),
    ):
        parser.add_argument(
            f"-{flag}", f"--{flag}", dest=flag, default=default, help=f"{meaning} ({default})"
        )
    for flag, meaning in (
        ("--volume-maker", "makes the driver volumes"),
        ("--image-reader", "asks the Docker engine for images"),
    ):
        parser.add_argument(
            flag, metavar="SOCKET", help=f"unix socket of the helper that {meaning} (this process)"
        )
    parser.add_argument(
        "--allowed-host",
        metavar="NAME",
        action="append",
        default=[],
        type=remote_api.host_name,
        help="serve requests of the REST API to this host name too; may be repeated",
    )
    parser.add_argument("-v", "--v", "--version", dest="version", action="store_true")
    parser.add_argument("ignored", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _serve(options: argparse.Namespace) -> None:
    server = Server()
    signal.set_wakeup_fd(server.wakeup, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: server.stop())
    _load_unified_memory()
    root = Path(options.d).absolute()
    maker = RemoteVolumeMaker(Path(options.volume_maker)) if options.volume_maker else None
    reader = RemoteImageReader(Path(options.image_reader)) if options.image_reader else None
    state = State(
        root,
        discovery.discover,
        describe_apart.describe,
        maker,
        reader,
        keep_open=discovery.kept_open,
    )
    _look_at_the_machine(state)
    logger.info("Provisioning volumes at %s", options.d)
    passed = systemd.listeners()
    plugin = [one for one in passed if one.family == socket.AF_UNIX]
    rest = [one for one in passed if one.family != socket.AF_UNIX]
    if not rest:
        rest.append(listen_tcp(options.l))
    if not plugin:
        path = Path(options.s) / SOCKET_NAME
        plugin.append(listen_unix(path))
        server.remove_when_stopped(path)
    logger.info("Serving plugin API at %s", options.s)
    for listener in plugin:
        server.add(listener, volume_driver.API, state)
    logger.info("Serving remote API at %s", options.l)
    name = socket.gethostname().lower()
    names = {name, name.partition(".")[0], *options.allowed_host}
    for listener in rest:
        server.add(listener, remote_api.api(names), state)
    systemd.tell("READY=1")
    beat_s = systemd.watchdog_s()
    if beat_s is None:
        server.run()
    else:
        server.run(lambda: systemd.tell("WATCHDOG=1"), beat_s)
    state.stop()


def _load_unified_memory() -> None:
    logger.info("Loading NVIDIA unified memory")
    try:
        modprobe.load_uvm()
    except NvidiaDockerError as error:
        # The volumes can be listed and removed all the same, and the driver may come later.
        logger.warning("Warning: %s", error)


def _look_at_the_machine(state: State) -> None:
    # One look does both; v1 had two steps.
    logger.info("Loading NVIDIA management library")
    logger.info("Discovering GPU devices")
    try:
        host = state.host()
    except NvidiaDockerError as error:
        # Volumes don't need it, and the others are told when they ask.
        logger.warning("Warning: %s", error)
        return
    if host.reason is not None:
        logger.warning("Warning: %s", host.reason)
    for device in host.unreadable:
        logger.warning("Warning: GPU %s can't be used: %s", device.known_as, device.reason)
