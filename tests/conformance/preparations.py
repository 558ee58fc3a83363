# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a recording says in words only: how its machine was made different.

Keyed by the words themselves, the name of a recording or of a case in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import recorded_driver
from machine import USER, Machine
from recorded_driver import below

_LIBRARIES = "/usr/lib/nvidia-375"
_OTHER_FILE_SYSTEM = "/mnt/vols"


def _script_for_nvidia_smi(machine: Machine) -> None:
    path = machine.path("/usr/bin/nvidia-smi")
    path.unlink()
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)


def _tls_without_note(machine: Machine) -> None:
    for file in machine.description["files"]:
        if "libnvidia-tls" in file["path"] and file.get("abi_note") == "2.3.99":
            plain = recorded_driver.content({**file, "abi_note": None})
            machine.path(file["path"]).write_bytes(plain)


def _truncated_library(machine: Machine) -> None:
    os.truncate(machine.path(f"{_LIBRARIES}/libnvcuvid.so.375.26"), 10)


def _second_opengl(machine: Machine) -> None:
    second = below(machine.folder, "/usr/lib/other/libOpenGL.so.0")
    shutil.copy(machine.path(f"{_LIBRARIES}/libOpenGL.so.0"), second)
    with machine.path("/etc/ld.so.conf").open("a") as file:
        file.write("/usr/lib/other\n")
    recorded_driver.configure_loader(machine.folder)


def _other_file_system(machine: Machine) -> None:
    machine.volumes = _OTHER_FILE_SYSTEM
    folder = machine.path(_OTHER_FILE_SYSTEM)
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder)], check=True)


def _other_user(machine: Machine) -> None:
    machine.user = USER
    for name in (machine.sockets, machine.volumes):
        os.chown(machine.path(name), USER, USER)
    # The files that a test looks at afterwards.
    os.chmod(machine.folder, 0o755)


def _vanished_library(machine: Machine) -> None:
    machine.path(f"{_LIBRARIES}/libnvidia-ifr.so.375.26").unlink()


def _no_volumes_directory(machine: Machine) -> None:
    machine.path(machine.volumes).rmdir()


def _no_cache(machine: Machine) -> None:
    machine.path("/etc/ld.so.cache").unlink()
    _by_variable(machine)


def _bad_cache(machine: Machine) -> None:
    machine.path("/etc/ld.so.cache").write_bytes(b"no cache at all\n" * 8)
    _by_variable(machine)


def _by_variable(machine: Machine) -> None:
    """The recorded plugin found NVML without the cache."""
    machine.environment["LD_LIBRARY_PATH"] = _LIBRARIES


def _incomplete_volume(machine: Machine) -> None:
    machine.path(f"{machine.volumes}/nvidia_driver/375.26/lib64").mkdir(parents=True)


def _nothing(machine: Machine) -> None:
    """The root has no ``which``: nothing looks for it."""


NO_UVM_TOOLS = "no /dev/nvidia-uvm-tools"


def _no_uvm_tools(machine: Machine) -> None:
    """As with drivers before it: their nvidia-modprobe does not make it."""
    machine.path("/dev/nvidia-uvm-tools").unlink()
    modprobe = machine.path("/usr/bin/nvidia-modprobe")
    modprobe.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n")
    modprobe.chmod(0o755)


CASES: dict[str, Callable[[Machine], None]] = {
    "nvidia-smi is a shell script": _script_for_nvidia_smi,
    "libnvidia-tls without an ABI note": _tls_without_note,
    "a truncated library": _truncated_library,
    "two directories in the cache with a file libOpenGL.so.0": _second_opengl,
    "volume directory on another file system": _other_file_system,
    "run as user nvidia-docker without CAP_FOWNER (fs.protected_hardlinks=1)": _other_user,
    "`which` not executable": _nothing,
    "a library of the cache vanished (dangling link)": _vanished_library,
    "volumes directory does not exist": _no_volumes_directory,
    "no ld.so.cache": _no_cache,
    "bad ld.so.cache": _bad_cache,
    "libnvidia-ml.so.1 not found by the loader": Machine.move_nvml_out_of_the_way,
    "volume-driver-partial-accepted.json": _incomplete_volume,
    NO_UVM_TOOLS: _no_uvm_tools,
}

_MADE_DIRECTORY = re.compile(r"nvidia_driver/[^ ,]+(?= \(empty\))")
_MADE_FILE = re.compile(r"file (nvidia_driver/[^ ,]+)")


def by_note(machine: Machine, note: str) -> None:
    """Do what a note between two steps says was done by hand; other notes are only remarks."""
    if not note.endswith("made by hand"):
        return
    root: Path = machine.path(machine.volumes)
    for name in _MADE_DIRECTORY.findall(note):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in _MADE_FILE.findall(note):
        (root / name).write_text("")


def _empty_store(machine: Machine) -> None:
    shutil.rmtree(machine.path(machine.volumes), ignore_errors=True)


_AFTERWARDS = {
    # v1 refused it, here it made a volume.
    'POST /VolumeDriver.Create {"Name": "nvidia_driver"}': _empty_store,
    # v1 deleted the whole store, here nothing was removed.
    'POST /VolumeDriver.Remove {"Name": "nvidia_driver_.."}': _empty_store,
}


def as_v1_left_it(machine: Machine, request: str) -> None:
    """Make the volumes what they were after v1, where we do something else on purpose.

    Else one such difference would make all that follows in its session differ too.
    """
    if request in _AFTERWARDS:
        _AFTERWARDS[request](machine)
