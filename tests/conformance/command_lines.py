# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cli*.json: command lines of nvidia-docker, each replayed with the docker that was recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any

import compare
import preparations
import running_command
from compare import Content, Item
from machine import Machine
from played_plugin import Request, playing
from running_command import Outcome

_AT_ONCE = 2
_SAME_ORDER_RUNS = 5
_OUTPUT = "(docker output)"
"""What the recorded stand-in printed as the docker that nvidia-docker had become."""
_PORT = re.compile(r":([0-9]+)")

MachineOf = Callable[[str, str, Mapping[str, Any]], AbstractContextManager[Machine]]
"""From the name of a machine, a preparation and what else its file says."""


def replay(recording: Mapping[str, Any], machine_of: MachineOf) -> Iterator[Item]:
    """Run every command line of a recording; those of one machine share a root."""
    cases = list(enumerate(recording["cases"]))
    default = recording.get("default_docker_conf", {})
    items: dict[int, list[Item]] = {}
    for kind in dict.fromkeys(_machine(case) for _number, case in cases):
        name, preparation, refusal = kind
        with machine_of(name, preparation, {"modprobe_rc": refusal}) as machine:
            running_command.install(machine)
            one = _OneMachine(machine, default)
            here = [(number, case) for number, case in cases if _machine(case) == kind]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                done = pool.map(one.items, *zip(*here))
                items.update(zip((number for number, _case in here), done))
    for number, _case in cases:
        yield from items[number]


def _machine(case: Mapping[str, Any]) -> tuple[str, str, int]:
    preparation = preparations.NO_UVM_TOOLS if case.get("no_uvm_tools_node") else ""
    return case.get("machine", "zoo5"), preparation, int(case["env"].get("FAKE_MODPROBE_RC", 0))


class _OneMachine:
    """Runs the command lines that were recorded on one machine."""

    def __init__(self, machine: Machine, default_conf: Mapping[str, str]) -> None:
        self._machine = machine
        self._default_conf = default_conf
        self._port = Lock()

    def items(self, number: int, case: Mapping[str, Any]) -> list[Item]:
        """Replay one case."""
        found = self._orders if "orders" in case else self._one
        return [
            Item(f"{case['case']}: {item.name}", item.expected, item.got)
            for item in found(number, case)
        ]

    def _run(self, name: str, case: Mapping[str, Any]) -> Outcome:
        conf = {**self._default_conf, **case.get("docker_conf", {})}
        environment = {key: case["env"][key] for key in case["env"] if key != "FAKE_MODPROBE_RC"}
        return running_command.run(self._machine, name, case["argv"][1:], environment, conf)

    def _one(self, number: int, case: Mapping[str, Any]) -> Iterator[Item]:
        with self._plugin(case) as requests:
            got = self._run(str(number), case)
        became = case["calls"][-1] if _OUTPUT in case["stdout"] else None
        selects = _selects(case)
        yield compare.values("exit status", case["exit"], got.status)
        yield Item("stdout", Content((), case["stdout"]), Content((), got.output))
        yield compare.lines("stderr", compare.error(case["stderr"]), compare.error(got.errors))
        yield compare.lines(
            "docker",
            compare.command(became and became["argv"], selects),
            [*compare.command(got.docker and got.docker["argv"], selects), *_unknown(got)],
        )
        if became is not None and got.docker is not None:
            both = (became["env"], got.docker["env"])
            yield compare.lines("environment", *map(compare.variables, both))
        if "http_requests" in case:
            expected = [(one["line"], one["headers"]) for one in case["http_requests"]]
            pair = (compare.requests(expected), compare.requests(requests))
            yield compare.lines("requests", *pair)

    def _plugin(self, case: Mapping[str, Any]) -> AbstractContextManager[list[Request]]:
        if "server_answers" not in case:
            return nullcontext([])
        port = int(_PORT.findall(case["env"]["NV_HOST"])[-1])
        return _alone(self._port, playing(case["server_answers"], port))

    def _orders(self, number: int, case: Mapping[str, Any]) -> Iterator[Item]:
        """Replay a case of which only the orders of the GPUs were recorded."""
        runs = [self._run(f"{number}.{run}", case) for run in range(_SAME_ORDER_RUNS)]
        gpus = [compare.gpus(got.docker["argv"] if got.docker else ()) for got in runs]
        recorded, *_others = case["orders"]
        yield compare.lines("devices", sorted(recorded.split()), sorted(gpus[0]))
        # Ours has one order.
        yield compare.values("other orders", 0, len(set(gpus)) - 1)


@contextmanager
def _alone(lock: Lock, plugin: AbstractContextManager[list[Request]]) -> Iterator[list[Request]]:
    """One at a time: recorded plugins all have the same port."""
    with lock, plugin as requests:
        yield requests


def _selects(case: Mapping[str, Any]) -> bool:
    return case["env"].get("NV_GPU", "").strip(", ") not in ("", "all")


def _unknown(got: Outcome) -> Sequence[str]:
    return [f"(the stand-in has no answer to: {' '.join(argv)})" for argv in got.unknown]
