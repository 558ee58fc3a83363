# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machine files: what is refused and how, and what changes while a machine runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import simulated_gpu
from simgpu.flat import with_init_error
from simgpu.machine import GPU_FIELDS, MIG_FIELDS, check_machine

ROLE = Path(__file__).resolve().parents[4] / "roles" / "simulated_gpu"


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(machine: dict[str, Any]) -> None:
        place: Any = machine
        *folders, last = path.split("/")
        for name in folders:
            place = place[int(name) if isinstance(place, list) else name]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("gpu", []), "the machine has an unknown field 'gpu'; the nearest is 'gpus'"),
        (
            put("format", 2),
            "the machine file has format 2, this version of gpufleet.nvidia reads 1",
        ),
        (put("format", "1"), "the machine file has format '1', this version of"),
        (put("driver", 550), "driver must be a version such as 550.163.01, not 550"),
        (put("driver", "550.1/../.."), "driver must be a version"),
        (put("cuda", "8.0"), "cuda must be a whole number, null or \"err:N\", not '8.0'"),
        (put("gpus", {}), "gpus must be a list of at most 64 GPUs"),
        (put("gpus/0/tmp", 1), "GPU 0 has an unknown field 'tmp'; the nearest is 'temp'"),
        (put("gpus/1/temp", "hot"), "GPU 1: temp must be a whole number"),
        (put("gpus/1/name", "a\nb"), "GPU 1: name must be a line of text"),
        (put("gpus/1/procs", "1:2;3:4"), "GPU 1: procs must be processes"),
        (put("gpus/1/busid", "4:0"), "busid '4:0' is not a PCI bus id"),
        (put("gpus/1/migs", [{}]), "GPU 1, MIG device 0 must have profile, uuid, gi and ci"),
        (put("topo/1.0", 10), "topo must name pairs"),
        (put("topo/0.9", 10), "topo must name pairs"),
        (put("procs/init", "x"), "procs must be names by PID, 'init' is none"),
    ],
)
def test_wrong_machine(read: Any, change: Callable[[Any], None], message: str) -> None:
    machine = read("zoo5")
    change(machine)
    with pytest.raises(simulated_gpu.SimulationError) as caught:
        check_machine(machine)
    assert message in str(caught.value)


def test_a_machine_may_say_its_format(read: Any) -> None:
    check_machine({**read("zoo5"), "format": 1})


def test_file_that_is_no_machine(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    with pytest.raises(simulated_gpu.SimulationError, match="No such file"):
        simulated_gpu.read_machine(path)
    path.write_text("{")
    with pytest.raises(simulated_gpu.SimulationError, match="is not JSON"):
        simulated_gpu.read_machine(path)
    path.write_text("[]")
    with pytest.raises(simulated_gpu.SimulationError, match="must be an object"):
        simulated_gpu.read_machine(path)


def test_state_is_sorted_lines(machine: dict[str, Any]) -> None:
    """The C side searches by bisection."""
    lines = simulated_gpu.flatten(machine).splitlines()
    keys = [line.split("=")[0].encode() for line in lines]
    assert keys == sorted(set(keys))


def test_state_of_a_replaced_library(machine: dict[str, Any]) -> None:
    """Its hard links in driver volumes say that library and kernel module differ."""
    state = simulated_gpu.flatten(machine)
    lines = with_init_error(state, "err:18").splitlines()
    keys = [line.split("=")[0].encode() for line in lines]
    assert keys == sorted(set(keys))
    assert set(lines) - set(state.splitlines()) == {"init=err:18"}


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("0.temp=71", ("gpus", 0, "temp"), 71),
        ("0.name=Tesla X", ("gpus", 0, "name"), "Tesla X"),
        ("2.ecc_mem=null", ("gpus", 2, "ecc_mem"), None),
        ("2.temp=err:15", ("gpus", 2, "temp"), "err:15"),
        ("procs.77=python3", ("procs", "77"), "python3"),
        ("topo.0.1=20", ("topo", "0.1"), 20),
        ("init=err:9", ("init",), "err:9"),
    ],
)
def test_change_while_running(
    read: Any, assignment: str, path: tuple[Any, ...], value: Any
) -> None:
    before = read("zoo5")
    machine = simulated_gpu.changed(before, assignment)
    check_machine(machine)
    found: Any = machine
    for name in path:
        found = found[name]
    assert found == value
    assert before == read("zoo5")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("9.temp=1", "there is no GPU 9: the machine has 5"),
        ("0.minor=1", "0.minor cannot change while the machine runs"),
        ("driver=550.54.15", "driver cannot change while the machine runs"),
        ("temp", "'temp' is no assignment"),
        ("cuda.x=1", "cuda.x cannot change"),
    ],
)
def test_wrong_change(read: Any, assignment: str, message: str) -> None:
    with pytest.raises(simulated_gpu.SimulationError) as caught:
        simulated_gpu.changed(read("zoo5"), assignment)
    assert message in str(caught.value)


def test_readme_names_every_field() -> None:
    text = (ROLE / "README.md").read_text(encoding="utf-8")
    missing = [field for field in {*GPU_FIELDS, *MIG_FIELDS, "migs"} if f"`{field}`" not in text]
    assert missing == []
