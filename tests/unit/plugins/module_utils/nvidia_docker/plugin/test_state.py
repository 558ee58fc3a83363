# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""state.py"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverUnavailable,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    DeviceDetails,
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    State,
)


class Machine:
    """A machine whose driver changes, and a clock that only the test moves."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.now = 100.0
        self.looks = 0
        self.descriptions = 0

    def discover(self) -> Host:
        self.looks += 1
        return self.host

    def describe(self, host: Host) -> tuple[DeviceDetails, ...]:
        self.descriptions += 1
        return ()

    def load_driver(self, version: str | None, module: str | None) -> None:
        driver = Driver(version, None, None, module)
        self.host = dataclasses.replace(self.host, driver=driver, reason="none loaded")

    def state(self) -> State:
        return State(
            Path("/v"),
            self.discover,
            self.describe,
            module_version=lambda: self.host.driver.module_version,
            clock=lambda: self.now,
        )


@pytest.fixture
def machine(zoo5: Host) -> Machine:
    return Machine(zoo5)


def test_a_picture_serves_for_a_second(machine: Machine) -> None:
    state = machine.state()
    for _dummy in range(3):
        state.host()
    assert machine.looks == 1
    machine.now += 1
    state.host()
    assert machine.looks == 2


def test_details_are_asked_once_per_picture(machine: Machine) -> None:
    state = machine.state()
    for _dummy in range(3):
        machine.now += 2
        state.described()
    assert (machine.looks, machine.descriptions) == (3, 1)
    machine.host = dataclasses.replace(machine.host, devices=machine.host.devices[1:])
    machine.now += 2
    host, _dummy = state.described()
    assert len(host.devices) == 4
    assert machine.descriptions == 2


def test_another_driver_is_seen_at_once(machine: Machine) -> None:
    state = machine.state()
    assert state.loaded_version() == "375.26"
    machine.load_driver("384.90", "384.90")
    assert state.loaded_version() == "384.90"


def test_nvml_is_asked_only_where_the_kernel_does_not_tell(machine: Machine) -> None:
    """A mount must not wait for a driver that hangs."""
    state = machine.state()
    assert (state.loaded_version(), machine.looks) == ("375.26", 0)
    machine.load_driver("384.90", None)
    assert (state.loaded_version(), machine.looks) == ("384.90", 1)


@pytest.mark.parametrize(
    ("library", "module", "loaded"),
    [("384.90", "375.26", "375.26"), ("384.90", None, "384.90"), (None, "375.26", "375.26")],
)
def test_the_kernel_module_decides(
    machine: Machine, library: str | None, module: str | None, loaded: str
) -> None:
    machine.load_driver(library, module)
    assert machine.state().loaded_version() == loaded


def test_no_driver(machine: Machine) -> None:
    machine.load_driver(None, None)
    with pytest.raises(DriverUnavailable, match="none loaded"):
        machine.state().loaded_version()
