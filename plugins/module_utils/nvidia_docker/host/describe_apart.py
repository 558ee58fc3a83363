# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""discovery.describe() in a process of its own, for programs that outlive a driver.

libcuda has no way back: a process that has started it keeps the device nodes open, which blocks
``rmmod nvidia``, and after an upgrade it still has the old driver's.
"""

from __future__ import annotations

import pickle
import subprocess
import sys

from ..errors import DriverUnavailable, NvidiaDockerError
from ..model import DeviceDetails, Host
from . import discovery

_CHILD = """
import sys
sys.path[:] = sys.argv[2:]
from importlib import import_module
import_module(sys.argv[1]).main()
"""


def describe(host: Host) -> tuple[DeviceDetails, ...]:
    """Return the details of ``host.devices``, in the same order. Raises as discovery.describe(),
    and DriverUnavailable if libcuda takes its process down."""
    if not host.devices:
        return ()
    done = subprocess.run(  # pylint: disable=ansible-bad-function  # no Ansible here
        [sys.executable, "-IS", "-c", _CHILD, __name__, *sys.path],
        input=pickle.dumps(host),
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise DriverUnavailable(
            f"the process that asks libcuda about the GPUs ended with status {done.returncode}"
        )
    answer: tuple[DeviceDetails, ...] | NvidiaDockerError = pickle.loads(done.stdout)
    if isinstance(answer, NvidiaDockerError):
        raise answer
    return answer


def main() -> None:
    """The process: a host comes in on standard input, its details go out."""
    answer: tuple[DeviceDetails, ...] | NvidiaDockerError
    host: Host = pickle.load(sys.stdin.buffer)
    try:
        answer = discovery.describe(host)
    except NvidiaDockerError as error:
        answer = error
    pickle.dump(answer, sys.stdout.buffer)
