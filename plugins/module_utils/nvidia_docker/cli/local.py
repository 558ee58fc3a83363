# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs of this machine: from the driver to docker's options."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

from ..errors import DriverUnavailable, MissingDeviceNode, NvidiaDockerError
from ..host import modprobe
from ..host.discovery import discover, require_driver
from ..image_environment import complete
from ..injection import VolumeName, plan
from ..model import Host, node_driver
from ..render.docker_cli import run_arguments
from ..requirement import DRIVER_VOLUME, Image, check
from ..selection import ALL, select


def start_discovery() -> Callable[[], Host]:
    """Look at this machine in a thread; what is returned waits for the outcome."""
    # All that either thread needs is imported by now: dataclasses does not wait for typing, which
    # another thread may be importing, and fails.
    found: list[Host] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            found.append(discover())
        except BaseException as error:  # noqa: BLE001 - raised again where the outcome is needed
            failures.append(error)

    # A daemon: docker does not wait for it if the image wants no GPU.
    thread = Thread(target=work, daemon=True)
    thread.start()

    def outcome() -> Host:
        thread.join()
        for failure in failures:
            raise failure
        return found[0]

    return outcome


def options(
    discovered: Callable[[], Host],
    image: Image,
    gpus: tuple[str, ...],
    discover_again: Callable[[], Host] = discover,
) -> list[str]:
    """Return what to add to docker's arguments, so that this image gets these GPUs.

    ``discovered`` gives what was found while the engine was asked for the image; if that lacks
    something, ``discover_again`` gives what there is when nvidia-modprobe has done its work. Raises
    NvidiaDockerError if the driver can't be used, a GPU is unknown, or the image needs more.
    """
    host = _prepared(discovered, discover_again)
    version = require_driver(host)
    devices = select(host, gpus or (ALL,))
    check(image, host, devices)
    needed = image.volumes_needed or (DRIVER_VOLUME,)
    volume = VolumeName(version) if DRIVER_VOLUME in needed else None
    try:
        injection = plan(host, devices, volume)
    except MissingDeviceNode as error:
        module = "nvidia-uvm"
        of_module = any(node_driver(path) == module for path in error.paths)
        reason = modprobe.not_loaded(module) if of_module else None
        if reason is None:
            raise
        raise NvidiaDockerError(f"missing device node {', '.join(error.paths)}: {reason}") from None
    return run_arguments(complete(injection, image))


def unknown_volumes(image: Image) -> tuple[str, ...]:
    """Return the volumes that the image asks for and that are not ours."""
    return tuple(name for name in image.volumes_needed if name != DRIVER_VOLUME)


def _prepared(discovered: Callable[[], Host], discover_again: Callable[[], Host]) -> Host:
    """Load the unified memory module; look again if something was missing before."""
    loading = modprobe.Loading()
    host = discovered()
    try:
        loading.wait()
    except NvidiaDockerError as error:
        # Why there is no driver says more than that its module can't be loaded.
        require_driver(host)
        if host.missing_nodes:
            missing = f"missing device node {', '.join(host.missing_nodes)}"
            raise NvidiaDockerError(f"{missing}: {error}") from None
        # Hosts that load the modules at boot often have no nvidia-modprobe, and no need of it.
        if not isinstance(error, modprobe.MissingModprobe):
            raise
    if host.driver.version is not None and not host.missing_nodes:
        return host
    host = discover_again()
    reason = modprobe.not_loaded("nvidia") if host.driver.version is None else None
    if reason is not None:
        raise DriverUnavailable(f"{host.reason}; {reason}" if host.reason else reason)
    return host
