#!/usr/bin/env python3
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""simulated-gpu: turns this host into one that behaves like an NVIDIA GPU host."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import List, Optional

from simgpu import catalogue, compiling
from simgpu.flat import flatten
from simgpu.machine import Machine, SimulationError, read_machine
from simgpu.state_file import read_state, write_state

__all__ = ["SimulationError", "build", "flatten", "main", "read_machine", "read_state", "write_state"]


def build(machine: Machine, prefix: Path, nodes: bool = True) -> Path:
    """Compiles the machine's driver into ``prefix/lib`` and ``prefix/bin``; needs neither root nor device nodes.

    :param nodes: False for a driver that does not look at /dev
    :return: the path of libnvidia-ml, to be given to :func:`write_state`
    :raises SimulationError: the machine is not right or the compiler failed
    """
    state = flatten(machine, nodes)
    compiling.compile_driver(machine["driver"], prefix)
    library = prefix / "lib" / catalogue.NVML.file.format(version=machine["driver"])
    write_state(library, state)
    return library


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="simulated-gpu", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("build", help="compile a machine's driver into a folder, for tests")
    verb.add_argument("--machine", type=Path, required=True)
    verb.add_argument("--prefix", type=Path, required=True)
    verb.add_argument("--no-nodes", action="store_true", help="see all GPUs, whatever is in /dev")
    options = parser.parse_args(arguments)
    try:
        print(build(read_machine(options.machine), options.prefix, nodes=not options.no_nodes))
    except SimulationError as error:
        print(f"simulated-gpu: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
