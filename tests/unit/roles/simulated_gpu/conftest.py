# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One compiled driver for all tests; a test gives it the machine that it wants to see."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILES = Path(__file__).resolve().parents[4] / "roles" / "simulated_gpu" / "files"
# On badinit NVML does not start: it has tests of its own.
NAMES = sorted({path.stem for path in (FILES / "machines").glob("*.json")} - {"badinit"})

# The program runs from its own folder, on hosts and here.
sys.path.insert(0, str(FILES))

import simulated_gpu  # noqa: E402

Machine = dict[str, Any]


@dataclass(frozen=True)
class Driver:
    """A driver in a folder of its own that shows all GPUs, whatever is in /dev."""

    prefix: Path
    library: Path

    def show(self, machine: Machine) -> None:
        simulated_gpu.write_state(self.library, simulated_gpu.flatten(machine, nodes=False))


@pytest.fixture(scope="session")
def read() -> Callable[[str], Machine]:
    """A function from a name to the machine file's JSON."""
    return lambda name: json.loads((FILES / "machines" / f"{name}.json").read_text())


@pytest.fixture(params=NAMES)
def machine(request: pytest.FixtureRequest, read: Callable[[str], Machine]) -> Machine:
    """Every machine file on which NVML starts, in turn."""
    return read(request.param)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory, read: Callable[[str], Machine]) -> Driver:
    prefix = tmp_path_factory.mktemp("driver")
    return Driver(prefix, simulated_gpu.build(read("zoo5"), prefix, nodes=False))


@pytest.fixture(scope="session")
def nvml(driver: Driver) -> ModuleType:
    """The real binding, bound to this driver: other tests of the process may have another."""
    found = importlib.util.find_spec("pynvml")
    assert found is not None and found.origin is not None
    spec = importlib.util.spec_from_file_location("pynvml_of_simulated_gpu", found.origin)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.nvmlLib = ctypes.CDLL(str(driver.library))
    return module


@pytest.fixture(scope="session")
def cuda(driver: Driver) -> ctypes.CDLL:
    return ctypes.CDLL(str(driver.prefix / "lib" / "libcuda.so.1"))
