# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module decides from what it found."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.layout import (
    SOCKETS,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.owned_file import (
    Link,
    TextFile,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.programs_state import (  # noqa: E501
    State,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.service import (
    Service,
)
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_docker_plugin as module

LAUNCHER = TextFile(Path("/usr/local/bin/nvidia-docker"), "#!/usr/bin/python3\n", 0o755)
FOLDER = Path("/etc/systemd/system")
UNIT = TextFile(FOLDER / "nvidia-docker-plugin.service", "[Service]\n", 0o644)
SOCKET_FILES = tuple(TextFile(FOLDER / name, "[Socket]\n", 0o644) for name in SOCKETS)
LINK = Link(Path("/usr/local/share/man/man1/nvidia-docker.1"), "/usr/local/lib/page")
TARGET = State("b" * 64, "2", "/usr/bin/python3", None, (LAUNCHER, *SOCKET_FILES, UNIT), (LINK,))
RUNNING = Service(True, True, 1, "b" * 64, False, (), ())
BARE = State("", "", "", None, (), ())


@pytest.mark.parametrize(
    ("before", "running", "expected"),
    [
        (TARGET, RUNNING, False),
        (TARGET, None, True),
        (TARGET, replace(RUNNING, active=False), True),
        (TARGET, replace(RUNNING, release="a" * 64), True),
        (TARGET, replace(RUNNING, release=None), True),
        (TARGET, replace(RUNNING, needs_reload=True), True),
        (replace(TARGET, files=(LAUNCHER,)), RUNNING, True),
        (
            replace(TARGET, files=(LAUNCHER, *SOCKET_FILES, replace(UNIT, text="[Unit]\n"))),
            RUNNING,
            True,
        ),
        (replace(TARGET, files=(*SOCKET_FILES, UNIT)), RUNNING, False),
        (replace(TARGET, interpreter="/usr/bin/python3.9"), RUNNING, True),
        (BARE, replace(RUNNING, active=False), True),
    ],
)
def test_restart(before: State, running: Service | None, expected: bool) -> None:
    """Needed if what runs is not what is installed, even if an earlier run installed it."""
    assert module.must_restart(before, TARGET, running) is expected


@pytest.mark.parametrize(
    ("before", "target", "running", "expected"),
    [
        (TARGET, TARGET, RUNNING, ()),
        (TARGET, TARGET, replace(RUNNING, active=False), ()),
        (TARGET, TARGET, replace(RUNNING, inactive_sockets=SOCKETS[:1]), SOCKETS),
        (TARGET, TARGET, None, SOCKETS),
        (BARE, TARGET, RUNNING, SOCKETS),
        (replace(TARGET, files=(*SOCKET_FILES[1:], UNIT)), TARGET, RUNNING, SOCKETS),
        (replace(TARGET, files=SOCKET_FILES), TARGET, RUNNING, ()),
        (TARGET, replace(TARGET, files=(LAUNCHER,)), RUNNING, ()),
    ],
)
def test_sockets_to_restart(
    before: State, target: State, running: Service | None, expected: tuple[str, ...]
) -> None:
    """Never without need: what connects meanwhile is refused."""
    assert module.sockets_to_restart(before, target, running) == expected


def test_difference_of_a_bare_host_shows_every_file() -> None:
    """The release, each launcher, the unit, where a link leads."""
    parts = module.difference(BARE, TARGET)
    assert [part["before"] for part in parts] == [""] * 7
    assert parts[0]["after"].startswith("release: bbbb")
    expected = [file.text for file in TARGET.files]
    assert [part["after"] for part in parts[1:]] == [*expected, f"-> {LINK.target}\n"]


def test_difference_shows_what_differs_only() -> None:
    """A damaged release, a mode; no file whose text is right."""
    before = replace(
        TARGET, files=(replace(LAUNCHER, mode=0o644), *TARGET.files[1:]), problem="a.py is damaged"
    )
    (part,) = module.difference(before, TARGET)
    assert "problem: a.py is damaged\n" in part["before"]
    assert "/usr/local/bin/nvidia-docker: mode 0644\n" in part["before"]
    assert "/usr/local/bin/nvidia-docker: mode 0755\n" in part["after"]
    (part,) = module.difference(replace(TARGET, links=()), TARGET)
    assert part["after_header"] == str(LINK.path)
    assert module.difference(TARGET, TARGET) == []


def test_a_virtual_environment_is_not_what_programs_run_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be gone tomorrow; the Python that it was made from stays."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv/bin/python"))
    assert not module.interpreter().startswith(str(tmp_path))
    assert os.access(module.interpreter(), os.X_OK)


def test_the_distribution_s_python_keeps_its_stable_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """python3.11 is gone after an upgrade of the distribution, python3 is not."""
    if not os.path.exists(module.SYSTEM_PYTHON):
        pytest.skip("this machine has no Python of its distribution")
    monkeypatch.setattr(sys, "executable", os.path.realpath(module.SYSTEM_PYTHON))
    assert module.interpreter() == module.SYSTEM_PYTHON
