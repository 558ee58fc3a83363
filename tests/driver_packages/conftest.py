# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real roots with Debian's driver packages, their records, and driver volumes made of them.

The first run makes the roots: 3 minutes, 1.1 GB to download, 3.5 GB in .build/driver-packages.
Later runs take 2 seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# .dev holds a link ansible_collections/gpufleet/nvidia to the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".dev"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import driver_packages
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_candidates,
    driver_choice,
    driver_volume,
)

TESTS = Path(__file__).resolve().parents[1]
RECORDS = {
    "debian12-535-amd64": ("bookworm", "amd64"),
    "debian13-550-amd64": ("trixie", "amd64"),
    "debian13-550-arm64": ("trixie", "arm64"),
}


@dataclass(frozen=True)
class Driver:
    """A real root, what it has, and where that of one like it is recorded."""

    root: Path
    record: dict[str, Any]
    recorded: Path

    @property
    def version(self) -> str:
        return str(self.record["driver_version"])

    def choice(self) -> driver_choice.Choice:
        found = driver_candidates.candidates(self.root)
        return driver_choice.choose(self.root, found, self.version)

    def volume(self, store: Path) -> Path:
        """Make the driver volume and return its folder."""
        return driver_volume.create(store, self.version, self.root).path

    def differences(self, store: Path) -> tuple[str, ...]:
        """What would have to be made anew in the driver volume."""
        return driver_volume.compare(store, self.version, self.root).differences


@pytest.fixture(scope="session", params=RECORDS)
def driver(request: pytest.FixtureRequest) -> Driver:
    suite, arch = RECORDS[request.param]
    tool = [TESTS / "tools" / "driver_packages.sh", suite, arch]
    made = subprocess.run(tool, stdout=subprocess.PIPE, text=True, check=False)
    assert made.returncode == 0, "driver_packages.sh made no root; the captured output says why"
    root = Path(made.stdout.strip())
    recorded = TESTS / "golden" / "driver_packages" / f"{request.param}.json"
    return Driver(root, driver_packages.record(root), recorded)


@pytest.fixture
def store(driver: Driver) -> Iterator[Path]:
    """A place for driver volumes on the root's file system, so that hard links are possible."""
    with tempfile.TemporaryDirectory(dir=driver.root.parent, prefix="volumes-") as folder:
        yield Path(folder)
