# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the checkout importable under its collection name, and starts the plugin to attack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# .dev holds a link ansible_collections/gpufleet/nvidia to the checkout.
sys.path.insert(0, str(ROOT / ".dev"))

from ansible_collections.gpufleet.nvidia.tests.fuzz.plugin import Plugin  # noqa: E402


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the libraries of a simulated driver with eight GPUs are."""
    return Plugin.build_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def plugin(tmp_path: Path, driver: Path) -> Iterator[Plugin]:
    with Plugin(tmp_path, driver) as running:
        yield running
