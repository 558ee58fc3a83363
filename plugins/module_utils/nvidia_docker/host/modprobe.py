# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads the kernel's unified memory module and makes its device nodes, as every CUDA program needs.

nvidia-modprobe is setuid root and comes with the driver: it works for users who are not root.
"""

from __future__ import annotations

import os

from ..errors import NvidiaDockerError
from . import process

_COMMAND = ("nvidia-modprobe", "-u", "-c=0")
_WORDS = " ".join(_COMMAND)
_MENDING = (
    "install or rebuild the driver's kernel modules for the running kernel (DKMS does it), reboot "
    "after an update of kernel or driver, and look in dmesg whether Secure Boot refuses them"
)


class MissingModprobe(NvidiaDockerError):
    """There is no nvidia-modprobe."""


class Loading:
    """nvidia-modprobe, started; other work can be done until it ends."""

    __slots__ = ("_failure", "_process")

    def __init__(self) -> None:
        self._process = None
        try:
            self._process = process.start(_COMMAND)
        except FileNotFoundError:
            self._failure: NvidiaDockerError = MissingModprobe(
                f"can't run '{_WORDS}', which loads the kernel module nvidia-uvm: it is not in "
                "PATH; install nvidia-modprobe (it is part of the NVIDIA driver)"
            )
        except OSError as error:
            self._failure = NvidiaDockerError(
                f"can't run '{_WORDS}', which loads the kernel module nvidia-uvm: {error.strerror}"
            )

    def wait(self) -> None:
        """Wait until it ends.

        Raises MissingModprobe, or NvidiaDockerError if it can't be run or fails, with what it said.
        """
        if self._process is None:
            raise self._failure
        status, output, errors = self._process.wait()
        if status != 0:
            said = " ".join((errors + output).split()) or "it said nothing"
            raise NvidiaDockerError(
                f"'{_WORDS}' could not load the kernel module nvidia-uvm (status {status}): {said}"
            )


def load_uvm() -> None:
    """Load nvidia-uvm and make its device nodes. Raises NvidiaDockerError as ``Loading.wait``."""
    Loading().wait()


def not_loaded(module: str, root: str = "/") -> str | None:
    """Return what to say if nvidia-modprobe ran well and this kernel module is not loaded, and what
    usually mends it; None if the module is there. ``root`` is where /sys is looked up."""
    # Every module that is loaded has a directory, with _ for -.
    if os.path.isdir(os.path.join(root, "sys/module", module.replace("-", "_"))):
        return None
    return f"'{_WORDS}' ran, but the kernel module {module} is not loaded: {_MENDING}"
