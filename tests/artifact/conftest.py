# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the built collection, as Galaxy would get it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
NAME = f"gpufleet-nvidia-{GALAXY['version']}.tar.gz"
sys.path.insert(0, str(ROOT / "tests" / "tools"))

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command of .venv outside the checkout, whose ansible.cfg is not for users."""

    def do(*command: str | Path, ok: bool = True, cwd: Path = Path("/"), **environment: str):
        path = f"{ROOT}/.venv/bin:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "ANSIBLE_HOME": str(ROOT / ".build" / "ansible")}
        for name in ("ANSIBLE_CONFIG", "MAKEFLAGS", "PYTHONDONTWRITEBYTECODE"):
            env.pop(name, None)
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**env, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not ok or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    return do


@pytest.fixture(scope="session")
def artifact(run) -> Path:
    """The tarball that `make build` makes."""
    run("make", "-C", ROOT, "build")
    return ROOT / ".build" / NAME


@pytest.fixture(scope="session")
def install(run, artifact) -> Callable[[Path], Path]:
    """Install the tarball into a folder and return the installed collection."""

    def into(folder: Path) -> Path:
        options = ["--offline", "--no-deps", "--collections-path", folder]
        run("ansible-galaxy", "collection", "install", *options, artifact)
        return folder / "ansible_collections" / "gpufleet" / "nvidia"

    return into


@pytest.fixture(scope="session")
def installed(install, tmp_path_factory) -> Path:
    """The installed collection, for tests that change nothing of it."""
    return install(tmp_path_factory.mktemp("collections"))
