# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine of a recording: a root of its own in memory, in which the plugin runs.

Paths in recordings are those that the recorded programs saw in their root. The plugin runs chrooted
into a root with the same paths, so its answers need no translation; ``Machine.path`` is the one
place where a recorded path becomes one of this side.

What is in the root: Python with the C library, the programs as the role installs them, the recorded
driver with the simulated NVML and CUDA in it, device nodes, what the kernel module shows in /proc
and /sys. Needs root, and namespaces of its own for mounts, network and processes (replay.py).
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import recorded_driver
from recorded_driver import CHECKOUT, below

sys.path.insert(0, str(CHECKOUT / ".dev"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    programs,
    programs_state,
    release,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.layout import (
    Layout,
)
from ansible_collections.gpufleet.nvidia.plugins.plugin_utils.programs import (
    read_files,
)
from simgpu import kernel_files
from simgpu.flat import UVM_MAJOR, flatten
from simgpu.state_file import read_state, write_state

VOLUMES = "/var/lib/nvidia-docker/volumes"
SOCKETS = "/var/lib/nvidia-docker"
LISTEN = "127.0.0.1:13476"
"""Flags of the recorded plugin, where its log does not tell others."""
USER = 997
"""The user nvidia-docker of the root."""

_GPU_MAJOR = 195
_GPU_NODES = 5
"""/dev/nvidia0 to 4 are there whatever GPUs a recorded machine has (README of the recordings)."""
_USERS = f"root:x:0:0:root:/root:/bin/sh\nnvidia-docker:x:{USER}:{USER}::/:/bin/false\n"


class Base:
    """What every root has: Python with the C library, and the installed programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.interpreter = os.path.realpath(sys.executable)
        names = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
        self.libraries = sorted(os.path.realpath(name) for name in names)
        _mount_memory(folder)
        self._copy_python()
        for name in self.libraries:
            _bind(Path(name), below(folder, name))
        self._install_programs()

    def _copy_python(self) -> None:
        modules = [str(path) for name in self.libraries for path in Path(name).rglob("*.so")]
        listed = subprocess.run(
            ["ldd", self.interpreter, *modules], stdout=subprocess.PIPE, text=True, check=True
        )
        words = {word for word in listed.stdout.split() if word.startswith("/") and ":" not in word}
        for name in {self.interpreter, *words}:
            shutil.copy(name, below(self.folder, name))

    def close(self) -> None:
        """Give the memory back."""
        _unmount(self.folder)

    def _install_programs(self) -> None:
        files = read_files()
        version = release.version(files)
        child = os.fork()
        if child == 0:
            os.chroot(self.folder)
            os.chdir("/")
            layout = Layout()
            target = programs_state.wanted(
                layout, release.digest(files), version, self.interpreter, units=None
            )
            programs.install(layout, target, files)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit("Error: the programs could not be installed into the root")


class Machine:
    """A root with the recorded driver that shows the GPUs of a machine file."""

    def __init__(
        self, folder: Path, base: Base, description: dict[str, Any], working: Path
    ) -> None:
        self.folder = folder
        self.description = description
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.volumes = VOLUMES
        self.sockets = SOCKETS
        self.listen = LISTEN
        self.user = 0
        _mount_memory(folder)
        shutil.copytree(
            base.folder,
            folder,
            symlinks=True,
            dirs_exist_ok=True,
            ignore=lambda where, names: names if where in self._bound(base) else [],
        )
        for name in base.libraries:
            _bind(Path(name), below(folder, name))
        self._make_directories()
        self.nvml = recorded_driver.install(folder, description, working)

    def _bound(self, base: Base) -> set[str]:
        return {str(below(base.folder, name)) for name in base.libraries}

    def path(self, recorded: str) -> Path:
        """Return where a path of the recordings is on this side."""
        return self.folder / recorded.lstrip("/")

    def _make_directories(self) -> None:
        for name in ("/dev", "/proc", "/run", "/tmp", "/sys", VOLUMES):
            self.path(name).mkdir(parents=True, exist_ok=True)
        below(self.folder, "/etc/passwd").write_text(_USERS)
        below(self.folder, "/etc/hosts").write_text("127.0.0.1 localhost\n")
        subprocess.run(["mount", "-t", "proc", "proc", str(self.path("/proc"))], check=True)
        for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
            self._node(f"/dev/{name}", 1, minor)

    def show(self, machine: dict[str, Any]) -> None:
        """Make the state of the driver, device nodes and kernel files those of a machine file."""
        write_state(self.nvml, flatten(machine))
        uvm = machine.get("uvm_major", UVM_MAJOR)
        self._node("/dev/nvidiactl", _GPU_MAJOR, 255)
        self._node("/dev/nvidia-uvm", uvm, 0)
        self._node("/dev/nvidia-uvm-tools", uvm, 1)
        minors = {gpu["minor"] for gpu in machine["gpus"] if isinstance(gpu.get("minor"), int)}
        for minor in minors | set(range(_GPU_NODES)):
            self._node(f"/dev/nvidia{minor}", _GPU_MAJOR, minor)
        covered = self.folder / ".proc-driver"
        for where, files in (
            (covered, kernel_files.proc_driver(machine)),
            (self.path("/sys/module"), kernel_files.sys_module(machine)),
            (self.path("/sys/bus/pci/devices"), kernel_files.pci_devices(machine)),
        ):
            for name, text in files.items():
                below(where, name).write_text(text)
        _bind(covered, self.path("/proc/driver"))

    def move_nvml_out_of_the_way(self) -> None:
        """Leave no 64-bit libnvidia-ml that the loader knows."""
        for path in self.nvml.parent.glob("libnvidia-ml.so*"):
            path.unlink()
        recorded_driver.configure_loader(self.folder)

    def state(self) -> str:
        """Return what the simulated driver shows now."""
        return read_state(self.nvml)

    def _node(self, path: str, major: int, minor: int) -> None:
        node = self.path(path)
        node.unlink(missing_ok=True)
        os.mknod(node, stat.S_IFCHR, os.makedev(major, minor))
        node.chmod(0o666)

    def inside(self) -> Callable[[], None]:
        """Return what a process that is to run in this root does first."""

        def enter() -> None:
            os.umask(0o022)
            os.chroot(self.folder)
            os.chdir("/")
            if self.user:
                os.setgroups([])
                os.setgid(self.user)
                os.setuid(self.user)

        return enter

    def close(self) -> None:
        """Give the memory back."""
        _unmount(self.folder)


def _mount_memory(folder: Path) -> None:
    folder.mkdir(parents=True)
    options = ["-o", "mode=755,size=512m"]
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], check=True)


def _bind(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(source), str(target)], check=True)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--recursive", "--lazy", str(folder)], check=True)
    folder.rmdir()
