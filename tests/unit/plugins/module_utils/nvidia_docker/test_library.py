# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The public names, with nothing of Ansible to import, and what they cost who does not use them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).resolve().parents[5] / "plugins" / "module_utils"
PAGE = Path(__file__).resolve().parents[5] / "docs" / "library.md"


def run(code: str) -> str:
    """Run Python without site-packages and return its output."""
    start = f"import sys; sys.path.append({str(MODULE_UTILS)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-IS", "-c", start], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_public_name_is_there_and_documented() -> None:
    """Constants apart, each has a docstring."""
    code = """
import nvidia_docker
for name in nvidia_docker.__all__:
    value = getattr(nvidia_docker, name)
    assert value.__doc__, name
    assert name in dir(nvidia_docker)
print(len(nvidia_docker.__all__))
from nvidia_docker import *
print(discover.__module__, driver_volume.create.__module__)
"""
    count, *modules = run(code).split()
    assert int(count) > 20
    assert modules == ["nvidia_docker.host.discovery", "nvidia_docker.host.driver_volume"]


def test_the_package_alone_imports_nothing() -> None:
    """The command nvidia-docker starts in milliseconds."""
    code = "before = set(sys.modules)\nimport nvidia_docker\nprint(*set(sys.modules) - before)"
    assert set(run(code).split()) <= {"nvidia_docker", "__future__"}


def test_an_unknown_name_is_named() -> None:
    code = "import nvidia_docker\ntry: nvidia_docker.nothing\nexcept AttributeError as e: print(e)"
    assert run(code) == "module 'nvidia_docker' has no attribute 'nothing'\n"


@pytest.mark.parametrize(
    "name", ["discover", "select", "plan", "requirement.check", "driver_volume.create"]
)
def test_the_page_shows_the_functions(name: str) -> None:
    assert f"{name}(" in PAGE.read_text()
