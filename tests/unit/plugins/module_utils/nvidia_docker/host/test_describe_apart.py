# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""describe_apart.py on the simulated driver."""

from __future__ import annotations

import pytest

START = """
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    describe_apart, discovery
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverUnavailable
)
host = discovery.discover()
"""
SAME = """
apart = describe_apart.describe(host)
print("libcuda" in open("/proc/self/maps").read(), apart == discovery.describe(host), len(apart))
"""
# The libraries are not found any more.
GONE = """
import os
del os.environ["LD_LIBRARY_PATH"]
try:
    describe_apart.describe(host)
except DriverUnavailable as error:
    print(error)
"""
KILLED = """
describe_apart._CHILD = "import os; os.kill(os.getpid(), 11)"
try:
    describe_apart.describe(host)
except DriverUnavailable as error:
    print(error)
"""


@pytest.mark.parametrize(("machine", "count"), [("zoo5", 5), ("cudadev", 5), ("none", 0)])
def test_the_details_are_the_same_and_libcuda_stays_out(on_machine, machine, count) -> None:
    assert on_machine(machine, START + SAME).decode() == f"False True {count}\n"


def test_a_driver_that_is_gone(on_machine) -> None:
    """The reason is NVML's, from the other process."""
    assert b"install the NVIDIA driver" in on_machine("zoo5", START + GONE)


def test_a_crash_of_libcuda_is_not_ours(on_machine) -> None:
    assert b"ended with status -11" in on_machine("zoo5", START + KILLED)
