# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making this host simulate a machine, or none: what has to change, and changing it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import driver, layout, nodes, overlays, service
from .files import holds, replace_text
from .flat import flatten
from .machine import Machine, SimulationError, read_machine
from .state_file import read_state, write_state

_PROGRAM_PARTS = ("simulated_gpu.py", "simgpu", "src")
_COMMAND = f"""#!/bin/sh
exec python3 -B {layout.PROGRAM}/simulated_gpu.py "$@"
"""


@dataclass(frozen=True)
class Change:
    """Something to do on this host."""

    what: str
    do: Callable[[], None]
    compiles: bool = False


@contextmanager
def locked() -> Iterator[None]:
    """One change of the host at a time."""
    layout.RUN.mkdir(exist_ok=True)
    with layout.LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def refuse_real_driver() -> None:
    """:raises SimulationError: the host has an NVIDIA driver that is not simulated"""
    signs = [
        path
        for path, directory in (
            ("/sys/module/nvidia", "/sys/module"),
            ("/proc/driver/nvidia/version", "/proc/driver"),
        )
        if os.path.exists(path) and not overlays.is_covered(directory)
    ]
    signs += driver.foreign_files()
    if signs:
        raise SimulationError(
            f"this host has a real NVIDIA driver ({signs[0]}): nothing is simulated beside it"
        )


def machine_now() -> Machine:
    """The configured machine, with what :func:`change_running` changed since.

    :raises SimulationError: none was ever loaded
    """
    configured = read_machine(layout.MACHINE)
    try:
        changed = json.loads(layout.CHANGED_MACHINE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return configured
    return dict(changed["now"]) if changed["configured"] == configured else configured


def changes_to(text: str, machine: Machine, source: Path) -> list[Change]:
    """What makes the host simulate a machine; empty when it does.

    :param text: the machine file, that `machine` was read from
    :param source: the directory of this program
    :raises SimulationError: the host has a real driver
    """
    refuse_real_driver()
    changes: list[Change] = []

    def need(missing: bool, what: str, do: Callable[[], None], compiles: bool = False) -> None:
        if missing:
            changes.append(Change(what, do, compiles))

    need(not _same_program(source), f"program {layout.PROGRAM}", lambda: _install_program(source))
    other_machine = not holds(layout.MACHINE, text)
    need(other_machine, f"machine {layout.MACHINE}", lambda: replace_text(layout.MACHINE, text))
    current = machine if other_machine else machine_now()
    sources = source / "src"
    version = machine["driver"]
    state = flatten(current)
    installed = driver.is_installed(version, sources)
    need(
        not installed,
        f"driver {version}",
        lambda: driver.install_driver(version, sources, state),
        compiles=True,
    )
    need(installed and not _has_state(current), "state of the GPUs", lambda: _write_state(current))
    changes += changes_of_boot(current)
    need(not service.is_installed(), f"unit {layout.UNIT.name}", service.install)
    need(service.is_stopped(), f"start of {layout.UNIT.name}", service.start)
    return changes


def changes_of_boot(machine: Machine) -> list[Change]:
    """What a driver makes whenever the host starts."""
    changes = []
    names = nodes.missing_nodes(machine) + nodes.surplus_nodes(machine)
    if names:
        changes.append(Change(f"device nodes {' '.join(names)}", lambda: nodes.make_nodes(machine)))
    directories = overlays.outdated(machine)
    if directories:
        changes.append(
            Change(f"kernel files in {' '.join(directories)}", lambda: overlays.cover(machine))
        )
    return changes


def changes_to_none() -> list[Change]:
    """What takes away everything that was made."""
    ours = [
        (bool(nodes.made_nodes()), "device nodes", nodes.remove_nodes),
        (any(map(overlays.is_covered, overlays.directories())), "kernel files", overlays.uncover),
        (layout.UNIT.exists(), f"unit {layout.UNIT.name}", service.remove),
        (layout.STATE.exists(), "driver", driver.remove_driver),
        (layout.MACHINE.exists(), f"machine {layout.MACHINE}", layout.MACHINE.unlink),
        (layout.PROGRAM.exists(), f"program {layout.PROGRAM}", _remove_program),
        (layout.RUN.exists(), str(layout.RUN), _remove_run),
    ]
    return [Change(what, do) for there, what, do in ours if there]


def bring_up() -> None:
    """What the unit runs at boot: state, device nodes and kernel files of the machine."""
    refuse_real_driver()
    machine = machine_now()
    if not _has_state(machine):
        _write_state(machine)
    for change in changes_of_boot(machine):
        change.do()


def change_running(machine: Machine) -> None:
    """Shows a changed machine until the host starts again or another one is loaded."""
    write_state(driver.nvml_library(machine["driver"]), flatten(machine))
    configured = read_machine(layout.MACHINE)
    replace_text(layout.CHANGED_MACHINE, json.dumps({"configured": configured, "now": machine}))
    overlays.cover(machine)


def _library(machine: Machine) -> Path | None:
    library = driver.nvml_library(machine["driver"])
    return library if library.exists() else None


def _has_state(machine: Machine) -> bool:
    library = _library(machine)
    return library is not None and read_state(library) == flatten(machine)


def _write_state(machine: Machine) -> None:
    library = _library(machine)
    if library is None:
        raise SimulationError(
            f"driver {machine['driver']} is not installed: load the machine again"
        )
    write_state(library, flatten(machine))


def _program_files(root: Path) -> list[Path]:
    files: list[Path] = []
    for part in _PROGRAM_PARTS:
        path = root / part
        files += [path] if path.is_file() else sorted(path.glob("*.*"))
    return [file.relative_to(root) for file in files]


def _same_program(source: Path) -> bool:
    if source == layout.PROGRAM:
        return True
    files = _program_files(source)
    same = files == _program_files(layout.PROGRAM) and os.access(layout.COMMAND, os.X_OK)
    return (
        same
        and holds(layout.COMMAND, _COMMAND)
        and all(
            holds(layout.PROGRAM / file, (source / file).read_text(encoding="utf-8"))
            for file in files
        )
    )


def _install_program(source: Path) -> None:
    beside = layout.PROGRAM.with_name(f".{layout.PROGRAM.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    for file in _program_files(source):
        (beside / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, beside / file)
    shutil.rmtree(layout.PROGRAM, ignore_errors=True)
    beside.rename(layout.PROGRAM)
    replace_text(layout.COMMAND, _COMMAND, 0o755)


def _remove_run() -> None:
    shutil.rmtree(layout.RUN)
    layout.LOCK.unlink(missing_ok=True)


def _remove_program() -> None:
    layout.COMMAND.unlink(missing_ok=True)
    shutil.rmtree(layout.PROGRAM)
