# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real docker clients of this machine and of .build/docker-clients, and what they talk to."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# .dev holds a link ansible_collections/gpufleet/nvidia to the checkout.
sys.path.insert(0, str(ROOT / ".dev"))

from ansible_collections.gpufleet.nvidia.tests.docker_clients.engine import Engine  # noqa: E402


def clients() -> dict[str, Path]:
    """Return the path of each docker client that is here, by its version."""
    folders = [*os.get_exec_path(), "/usr/bin", "/usr/local/bin"]
    places = [*(ROOT / ".build/docker-clients").glob("*/docker")]
    places += [Path(folder, "docker") for folder in dict.fromkeys(folders)]
    found: dict[str, Path] = {}
    for place in places:
        if os.access(place, os.X_OK):
            told = subprocess.run([place, "--version"], capture_output=True, text=True, check=False)
            if told.stdout.startswith("Docker version "):
                found.setdefault(told.stdout.split()[2].strip(","), place)
    return dict(sorted(found.items()))


CLIENTS = clients()


@dataclass
class Client:
    """A real docker client whose engine is ours; its standard input is a terminal."""

    path: Path
    engine: Engine
    home: Path
    terminal: int

    @property
    def environ(self) -> dict[str, str]:
        path = os.environ["PATH"]
        return {"PATH": path, "HOME": str(self.home), "DOCKER_HOST": self.engine.address}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, *words],
            env=self.environ,
            stdin=self.terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(params=[pytest.param(path, id=version) for version, path in CLIENTS.items()])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    # Not tmp_path: its name can be too long for a socket.
    controller, terminal = os.openpty()
    try:
        with tempfile.TemporaryDirectory() as folder, Engine(Path(folder, "s")) as engine:
            yield Client(request.param, engine, Path(folder), terminal)
    finally:
        os.close(controller)
        os.close(terminal)
