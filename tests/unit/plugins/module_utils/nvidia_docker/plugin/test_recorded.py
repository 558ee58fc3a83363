# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The REST API on the machines on which v1's answers were recorded, byte for byte.

From the simulated NVML through the real pynvml to the body; tests/golden/v1/rest has v1's bodies as
``<machine>.<path>.txt``. Where v1 failed there is none, and ours are told here.
"""

from __future__ import annotations

import json
import pickle
import zlib
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest

RECORDED = Path(__file__).resolve().parents[5] / "golden" / "v1" / "rest"
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
PAGES = ("/gpu/info", "/gpu/info/json", "/gpu/status", "/gpu/status/json", "/mesos/cli")

ASK = """
import pickle, sys
from pathlib import Path
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import discovery
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import (
    api, remote_api, state
)
root = Path(sys.argv[1])
seen = state.State(
    Path("/nowhere"),
    lambda: discovery.discover(root),
    lambda host: discovery.describe(host, root),
    sample=discovery.sample,
    keep_open=discovery.kept_open,
)
def ask(path):
    request = api.Request("GET", path, headers={"host": "localhost"})
    answer = api.respond(remote_api.api(set()), seen, request)
    return answer.status, answer.body, answer.content_type
pages = sys.argv[2:]
sys.stdout.buffer.write(pickle.dumps({path: ask(path) for path in pages}))
"""

MACHINES = [
    *("zoo5", "single", "nop2p", "cuda0", "zoo5-lostgpu", "zoo5-procgone"),
    *("zoo5-32procs", "zoo5-33procs", "zoo5-l2unsupported"),
]

# v1's tables ended at Pascal and PCI Express 4, and it took unknown memory for a number.
KNOWN_BETTER = [
    (
        "  Family:        N/A\n  Arch:          7.5\n  Cores:         N/A\n",
        "  Family:        Turing\n  Arch:          7.5\n  Cores:         2560\n",
    ),
    ("    Bandwidth:  0 MB/s\n", "    Bandwidth:  63008 MB/s\n"),
    ('"BAR1":256,"Bandwidth":0}', '"BAR1":256,"Bandwidth":63008}'),
    ('"Family":null,"Arch":"7.5","Cores":null', '"Family":"Turing","Arch":"7.5","Cores":2560'),
    ("      Memory:  17592186044415 MiB\n", "      Memory:  N/A\n"),
    ('"MemoryUsed":17592186044415', '"MemoryUsed":null'),
]


def recorded(machine: str, path: str) -> str | None:
    file = RECORDED / f"{machine}.{path[1:].replace('/', '-')}.txt"
    return file.read_bytes().decode() if file.exists() else None


def better(body: str) -> str:
    for old, new in KNOWN_BETTER:
        body = body.replace(old, new)
    return body


@pytest.fixture(scope="module")
def answers(on_machine, machine_file, tmp_path_factory):
    """A function from a machine to its answers (status, body, content type) by path."""
    known: dict[str, dict[str, tuple[int, bytes, str]]] = {}

    def ask(machine: str | dict[str, Any]) -> dict[str, tuple[int, bytes, str]]:
        if str(machine) not in known:
            known[str(machine)] = look(machine)
        return known[str(machine)]

    def look(machine: str | dict[str, Any]) -> dict[str, tuple[int, bytes, str]]:
        tmp_path = tmp_path_factory.mktemp("root")
        shown = machine_file(machine) if isinstance(machine, str) else machine
        for bus_id, numa_node in shown.get("numa", {}).items():
            folder = tmp_path / "sys/bus/pci/devices" / bus_id.lower()
            folder.mkdir(parents=True, exist_ok=True)
            if numa_node is not None:
                (folder / "numa_node").write_text(f"{numa_node}\n")
        paths = [prefix + page for page in PAGES for prefix in ("", "/v1.0")]
        told = pickle.loads(on_machine(machine, ASK, str(tmp_path), *paths))
        for page in PAGES:
            assert told["/v1.0" + page] == told[page]
        return told

    return ask


def unpacked(mesos_line: str) -> tuple[str, str]:
    """v1 compressed with another program: the same content has other bytes."""
    attribute, dummy, resource = mesos_line.partition(" --resources=")
    packed = attribute.removeprefix("--attributes=gpus:")
    assert dummy and packed != attribute and "=" not in packed
    body = zlib.decompress(urlsafe_b64decode(packed + "=" * (-len(packed) % 4))).decode()
    return body, resource


@pytest.mark.parametrize("machine", MACHINES)
def test_answers_are_v1s(machine, answers) -> None:
    told = answers(machine)
    compared = 0
    for path, (status, body, content_type) in told.items():
        assert (status, content_type) == (200, JSON if path.endswith("/json") else TEXT), body
        expected = recorded(machine, path.removeprefix("/v1.0"))
        if expected is None:
            continue
        compared += 1
        if path.endswith("/mesos/cli"):
            info, resource = unpacked(expected)
            assert unpacked(body.decode()) == (better(info), resource)
        else:
            assert body.decode() == better(expected)
    assert compared >= 2


def test_nothing_but_what_is_known_better_differs() -> None:
    """The exceptions are as many as the T4s and MPS servers in v1's bodies: none hides another."""
    bodies = [file.read_bytes().decode() for file in RECORDED.iterdir()]
    counts = [sum(body.count(old) for body in bodies) for old, _dummy in KNOWN_BETTER]
    t4_pages = sum(body.count("Model:         Tesla T4") for body in bodies)
    assert counts == [t4_pages, t4_pages, 1, 1, 3, 3]


def statuses(told: dict[str, tuple[int, bytes, str]]) -> list[dict[str, Any]]:
    return list(json.loads(told["/gpu/status/json"][1])["Devices"])


@pytest.fixture
def zoo5() -> list[dict[str, Any]]:
    return list(json.loads(better(recorded("zoo5", "/gpu/status/json") or ""))["Devices"])


def test_a_lost_gpu_spoils_no_other(answers, zoo5) -> None:
    """v1 answered 500 with JSON, and 200 with an error text as text."""
    told = answers("zoo5-lostgpu")
    zoo5[2]["Temperature"] = None
    assert statuses(told) == zoo5
    expected = better(recorded("zoo5", "/gpu/status") or "")
    before, after = expected.split("  Temperature:  38 °C\n")
    assert told["/gpu/status"][1].decode() == before + "  Temperature:  N/A\n" + after


def test_a_process_that_ended_has_no_name(answers, zoo5) -> None:
    """v1 answered 500. The memory was taken when NVML listed it."""
    told = answers("zoo5-procgone")
    zoo5[0]["Processes"][1]["Name"] = None
    assert statuses(told) == zoo5
    lines = "    - PID:     4243\n      Name:    N/A\n      Memory:  345 MiB\n"
    assert lines in told["/gpu/status"][1].decode()


def test_processes_are_not_limited(answers) -> None:
    """v1 answered 500 to more than 32."""
    told = answers("zoo5-33procs")
    assert [len(device["Processes"] or ()) for device in statuses(told)] == [33, 1, 0, 0, 0]
    assert told["/gpu/status"][1].decode().count("    - PID:") == 34


def test_one_kind_of_memory_without_error_counter(answers, zoo5) -> None:
    """v1 answered 500."""
    zoo5[0]["Memory"]["ECCErrors"]["L2Cache"] = None
    assert statuses(answers("zoo5-l2unsupported")) == zoo5


def test_a_gpu_that_fell_off_the_bus(answers, machine_file) -> None:
    """It has lost its name too, and is not among the devices of any page; its index is not given
    to another one."""
    machine = machine_file("zoo5")
    machine["gpus"][1]["lost"] = 1
    told = answers(machine)
    assert len(statuses(told)) == 4
    for page in ("/gpu/info", "/gpu/status"):
        lines = told[page][1].decode().splitlines()
        numbers = [line for line in lines if line.startswith("Device #")]
        assert numbers == ["Device #0", "Device #2", "Device #3", "Device #4"]


def test_without_a_gpu(answers) -> None:
    """v1 spun for ever."""
    told = answers("none")
    assert told["/gpu/status"][1] == b"\n"
    assert statuses(told) == []
    assert told["/mesos/cli"][1].endswith(b" --resources=gpus:{}")
