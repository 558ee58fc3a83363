# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""simulated-gpu: makes this host behave like an NVIDIA GPU host."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from simgpu import catalogue, compiling, driver, host
from simgpu.flat import flatten
from simgpu.machine import Machine, SimulationError, read_machine
from simgpu.state_file import read_state, write_state

__all__ = [
    "SimulationError",
    "build",
    "flatten",
    "main",
    "read_machine",
    "read_state",
    "write_state",
]

_HERE = Path(__file__).resolve().parent
_FIXED = {"format", "driver", "gpus", "minor", "busid", "migs"}


def build(machine: Machine, prefix: Path, nodes: bool = True) -> Path:
    """Compiles the machine's driver into ``prefix/lib`` and ``prefix/bin``; needs no root.

    :param nodes: False for a driver that does not look at /dev
    :return: the path of libnvidia-ml, to be given to :func:`write_state`
    :raises SimulationError: the machine is not right or the compiler failed
    """
    state = flatten(machine, nodes)
    compiling.compile_driver(machine["driver"], prefix, _HERE / "src")
    library = prefix / "lib" / catalogue.NVML.file.format(version=machine["driver"])
    write_state(library, state)
    return library


def answer(changes: list[host.Change], error: str = "") -> None:
    """For the role: one JSON object."""
    compiler = shutil.which("gcc") is not None and Path("/usr/include/stdio.h").exists()
    missing = not compiler and any(change.compiles for change in changes)
    names = ["C compiler"] * missing + [change.what for change in changes]
    print(json.dumps({"error": error, "changes": names, "compiler_missing": missing}))


def apply(changes: list[host.Change], check: bool, as_json: bool) -> None:
    for change in [] if check else changes:
        change.do()
    if as_json:
        answer(changes)
    else:
        print("\n".join(change.what for change in changes) or "nothing to change")


def load(path: Path, check: bool, as_json: bool) -> None:
    """Makes this host simulate the machine of a file, now and after each boot."""
    machine = read_machine(path)
    apply(host.changes_to(path.read_text(encoding="utf-8"), machine, _HERE), check, as_json)


def changed(machine: Machine, assignment: str) -> Machine:
    """A machine with one value changed: ``0.temp=71``, ``procs.4242=python3``, ``init=err:9``.

    :raises SimulationError: the assignment names nothing that may change while the machine runs
    """
    path, equals, text = assignment.partition("=")
    if not equals:
        raise SimulationError(f"{assignment!r} is no assignment such as 0.temp=71")
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = text
    first, _dummy, rest = path.partition(".")
    copy: dict[str, Any] = json.loads(json.dumps(machine))
    place: Any = copy
    if first.isdigit():
        gpus = copy["gpus"]
        if int(first) >= len(gpus):
            raise SimulationError(f"there is no GPU {first}: the machine has {len(gpus)}")
        place, first = gpus[int(first)], rest
    elif rest:
        place, first = copy.setdefault(first, {}), rest
    if first in _FIXED or not isinstance(place, dict):
        raise SimulationError(
            f"{path} cannot change while the machine runs: load another machine file"
        )
    place[first] = value
    return copy


def set_values(assignments: list[str]) -> None:
    machine = host.machine_now()
    for assignment in assignments:
        machine = changed(machine, assignment)
    host.change_running(machine)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="simulated-gpu", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser(
        "load", help="simulate the machine of a file, from now on and after each boot"
    )
    verb.add_argument("machine", type=Path)
    other = verbs.add_parser("remove", help="take away everything that was made")
    for each in (verb, other):
        each.add_argument(
            "--check", action="store_true", help="say what would change, change nothing"
        )
        each.add_argument(
            "--json", action="store_true", help="answer with one JSON object, errors too"
        )
    verb = verbs.add_parser(
        "set", help="change values until the next boot: 0.temp=71 1.ecc_mem=null 2.temp=err:15"
    )
    verb.add_argument("assignments", nargs="+", metavar="GPU.FIELD=VALUE")
    verbs.add_parser("show", help="print the state that all processes see")
    verbs.add_parser("up", help="make device nodes and kernel files, as at boot")
    verb = verbs.add_parser("build", help="compile a machine's driver into a folder, for tests")
    verb.add_argument("--machine", type=Path, required=True)
    verb.add_argument("--prefix", type=Path, required=True)
    verb.add_argument("--no-nodes", action="store_true", help="see all GPUs, whatever is in /dev")
    return top


def run(options: argparse.Namespace) -> None:
    if options.verb == "build":
        print(build(read_machine(options.machine), options.prefix, nodes=not options.no_nodes))
    elif options.verb == "show":
        print(read_state(driver.nvml_library(host.machine_now()["driver"])), end="")
    elif options.verb == "load" and options.check:
        load(options.machine, True, options.json)
    elif options.verb == "remove" and options.check:
        apply(host.changes_to_none(), True, options.json)
    else:
        with host.locked():
            if options.verb == "load":
                load(options.machine, False, options.json)
            elif options.verb == "remove":
                apply(host.changes_to_none(), False, options.json)
            elif options.verb == "set":
                set_values(options.assignments)
            else:
                host.bring_up()


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        run(options)
    except (SimulationError, OSError) as error:
        if getattr(options, "json", False):
            answer([], str(error))
        else:
            print(f"simulated-gpu: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
