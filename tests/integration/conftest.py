# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests on the demo host: run `make demo` first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = os.environ.get("GPUFLEET_DEMO", "gpufleet-demo")
FOLDER = ROOT / ".build" / "demo" / HOST
# .dev holds a link ansible_collections/gpufleet/nvidia to the checkout.
sys.path[:0] = [str(ROOT / ".dev"), str(ROOT / "tests" / "integration")]

import toolkit_hosts  # noqa: E402

SUITES = ("bookworm",)
"""Debian releases on whose hosts a file without the mark ``suites`` is run."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _run(command: list[str], *, ok: bool, timeout: int = 300, **more: Any):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, **more
    )
    if ok:
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "suites(*names): hosts to run on: Debian releases, or toolkit for toolkit_hosts.py",
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--suite", help="run only what belongs to this host")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--suite``, leave out what belongs to the other hosts, which are tested beside."""
    suite = config.getoption("suite")
    if suite is None:
        return
    marks = {item: item.get_closest_marker("suites") for item in items}
    others = [item for item, mark in marks.items() if suite not in (mark.args if mark else SUITES)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def host() -> str:
    """Name of the container that is the demo host."""
    return HOST


@pytest.fixture(scope="session")
def folder() -> Path:
    """Where the demo's inventory is, and ``on_controller`` runs."""
    return FOLDER


@pytest.fixture(scope="session")
def on_host() -> Run:
    """Run a shell line on the demo host."""

    def run(line: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        return _run(["docker", "exec", HOST, "bash", "-c", line], ok=ok)

    return run


@pytest.fixture(scope="session")
def on_controller() -> Run:
    """Run a shell line beside the demo's inventory, with the checkout's ansible.cfg."""

    def run(line: str, ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{ROOT}/.venv/bin:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        return _run(["bash", "-c", line], ok=ok, cwd=FOLDER, env={**env, **environment})

    return run


@pytest.fixture(scope="session")
def facts(on_controller: Run) -> Callable[[], dict[str, Any]]:
    """Return ansible_facts.nvidia of the demo host."""

    def read() -> dict[str, Any]:
        done = on_controller("ansible -i inventory gpus -m nvidia_facts")
        return json.loads(done.stdout.split("=>", 1)[1])["ansible_facts"]["ansible_nvidia"]

    return read


@pytest.fixture(scope="session")
def newer_image(on_host: Run) -> str:
    """An image on the demo host that no driver can serve yet."""
    name = "gpufleet/cuda:99.0"
    on_host(
        "printf 'FROM gpufleet/cuda:8.0\\nLABEL com.nvidia.cuda.version=99.0\\n' | "
        f"docker build -q -t {name} -"
    )
    return name


@pytest.fixture(scope="module")
def machine(on_controller: Run) -> Iterator[Callable[[str], None]]:
    """Make the demo host another machine; in the end it is again what the demo made it."""

    def load(name: str) -> None:
        wanted = f"-e simulated_gpu_machine={name}"
        on_controller(f"ansible-playbook -i inventory gpufleet.nvidia.simulated {wanted}")

    yield load
    on_controller("ansible-playbook -i inventory gpufleet.nvidia.simulated")
    on_controller("ansible-playbook -i inventory gpufleet.nvidia.site")


@pytest.fixture(scope="session")
def hosts() -> Iterator[tuple[toolkit_hosts.Host, ...]]:
    """Hosts of Docker 20.10 and 26 with every way to give a container GPUs."""
    every, new = toolkit_hosts.up()
    yield every
    toolkit_hosts.down(new)
