# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads the kernel's unified memory module and makes its device nodes, as every CUDA program needs.

nvidia-modprobe is setuid root and comes with the driver: it works for users who are not root.
"""

from __future__ import annotations

from ..errors import NvidiaDockerError
from . import process

_COMMAND = ("nvidia-modprobe", "-u", "-c=0")


def load_uvm() -> None:
    """Load nvidia-uvm and make its device nodes.

    Raises NvidiaDockerError if nvidia-modprobe is missing or fails, with what it said.
    """
    command = " ".join(_COMMAND)
    try:
        status, output, errors = process.start(_COMMAND).wait()
    except FileNotFoundError:
        raise NvidiaDockerError(
            f"can't run '{command}', which loads the kernel module nvidia-uvm: it is not in PATH; "
            "install nvidia-modprobe (it is part of the NVIDIA driver)"
        ) from None
    except OSError as error:
        raise NvidiaDockerError(
            f"can't run '{command}', which loads the kernel module nvidia-uvm: {error.strerror}"
        ) from None
    if status != 0:
        said = " ".join((errors + output).split()) or "it said nothing"
        raise NvidiaDockerError(
            f"'{command}' could not load the kernel module nvidia-uvm (status {status}): {said}"
        )
