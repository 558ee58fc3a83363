# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""state.py"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverUnavailable,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    DeviceDetails,
    DeviceStatus,
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    Part,
    Picture,
    State,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.sweeper import (
    IDLE_S,
    MAX_AGE_S,
)


class Machine:
    """A machine whose driver changes, and a clock that only the test moves."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.now = 100.0
        self.looks = 0
        self.descriptions = 0
        self.samples = 0
        self.error: Exception | None = None
        self.open = 0

    def discover(self) -> Host:
        assert self.open
        self.looks += 1
        return self.host

    def describe(self, host: Host) -> tuple[DeviceDetails, ...]:
        assert self.open
        self.descriptions += 1
        if self.error is not None:
            raise self.error
        return ()

    def sample(self, host: Host) -> tuple[DeviceStatus, ...]:
        assert self.open
        self.samples += 1
        if self.error is not None:
            raise self.error
        return tuple(DeviceStatus(temperature_celsius=self.samples) for _dummy in host.devices)

    @contextmanager
    def keep_open(self) -> Iterator[None]:
        self.open += 1
        yield
        self.open -= 1

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
            sample=self.sample,
            keep_open=self.keep_open,
        )


@pytest.fixture
def machine(zoo5: Host) -> Machine:
    return Machine(zoo5)


def devices(seen: Picture) -> int:
    return len(seen.host.devices)


def details(seen: Picture) -> tuple[DeviceDetails, ...]:
    return seen.details


def temperature(seen: Picture) -> int | None:
    return seen.statuses[0].temperature_celsius


def test_a_picture_serves_for_a_second(machine: Machine) -> None:
    state = machine.state()
    for _dummy in range(3):
        state.host()
    assert (machine.looks, machine.descriptions, machine.samples) == (1, 0, 0)
    machine.now += MAX_AGE_S
    state.host()
    assert machine.looks == 2
    assert machine.open == 0


def test_details_are_asked_once_per_host(machine: Machine) -> None:
    state = machine.state()
    for _dummy in range(3):
        machine.now += MAX_AGE_S
        state.page(Part.DETAILS, details)
    assert (machine.looks, machine.descriptions) == (3, 1)
    machine.host = dataclasses.replace(machine.host, devices=machine.host.devices[1:])
    machine.now += MAX_AGE_S
    state.page(Part.DETAILS, details)
    assert state.page(Part.DETAILS, devices) == 4
    assert machine.descriptions == 2


def test_samples_are_taken_while_somebody_wants_them(machine: Machine) -> None:
    """With the GPUs that are there by then."""
    state = machine.state()
    assert state.page(Part.STATUS, temperature) == 1
    assert (machine.looks, machine.samples, machine.descriptions) == (1, 1, 0)
    machine.now += MAX_AGE_S
    state.host()
    assert (machine.looks, machine.samples) == (2, 2)
    machine.now += IDLE_S
    state.host()
    assert (machine.looks, machine.samples) == (3, 2)


def test_a_page_is_made_once_per_picture(machine: Machine) -> None:
    state = machine.state()
    made = []

    def page(seen: Picture) -> str:
        made.append(seen)
        return "page"

    assert [state.page(Part.HOST, page) for _dummy in range(3)] == ["page"] * 3
    assert len(made) == 1
    machine.now += MAX_AGE_S
    state.page(Part.HOST, page)
    assert len(made) == 2


@pytest.mark.parametrize("error", [DriverUnavailable("gone"), RuntimeError("out of luck")])
def test_what_fails_costs_its_own_part(machine: Machine, error: Exception) -> None:
    machine.error = error
    state = machine.state()
    for part, page in ((Part.DETAILS, details), (Part.STATUS, temperature)):
        with pytest.raises(type(error), match=str(error)):
            state.page(part, page)
        assert state.page(part, devices) == 5
    assert len(state.host().devices) == 5
    state.stop()


def test_fifty_threads_cause_one_sweep(machine: Machine) -> None:
    state = machine.state()
    with ThreadPoolExecutor(50) as pool:
        told = [pool.submit(state.page, Part.STATUS, temperature) for _dummy in range(50)]
        assert {one.result(10) for one in told} == {1}
    assert (machine.looks, machine.samples) == (1, 1)


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
