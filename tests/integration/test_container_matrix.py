# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia_container for each kind of injection, on Docker 20.10 and 26: what changes, how, and why.

GPUFLEET_MATRIX=full: each row of the table with each kind on each host, else with one of them;
GPUFLEET_MATRIX=cdi, or another kind: each row with this one.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import container_cells
import pytest
import toolkit_hosts
from container_cells import CDI, DRIVER_VOLUME, KINDS, ROWS, RUNTIME, Row
from toolkit_hosts import SUITES, Host, become

pytestmark = pytest.mark.suites("toolkit")

IMAGE = "gpufleet/cuda:8.0"
WANTED = os.environ.get("GPUFLEET_MATRIX", "")
KINDS_OF = {"bookworm": tuple(kind for kind in KINDS if kind != CDI), "trixie": KINDS}
"""Docker 20.10 has no CDI."""

PREPARE = """
set -e
docker ps --all --quiet --filter name=^cell- | xargs -r -n 8 docker rm --force
printf 'FROM gpufleet/cuda:8.0\\nLABEL newer=1\\n' | docker build --quiet --tag cells/newer:1 -
mkdir -p /etc/cdi
echo '{"cdiVersion": "0.5.0", "kind": "example.com/net", "devices": [
  {"name": "one", "containerEdits": {"env": ["NET=one"]}}]}' >/etc/cdi/example.json
"""

SNAPSHOT = """
import json, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
look, names = sys.argv[1] == "inside", sys.argv[2:]
def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True).stdout
found = json.loads(docker("container", "inspect", *names) or "[]")
def listed(one):
    if one["State"]["Status"] == "running":
        return docker("exec", one["Id"], "nvidia-smi", "-L")
with ThreadPoolExecutor(4) as pool:
    inside = list(pool.map(listed, found)) if look else [None] * len(found)
print(json.dumps({one["Name"][1:]: {**one, "Inside": seen} for one, seen in zip(found, inside)}))
"""


@dataclass(frozen=True)
class Cell:
    suite: str
    kind: str
    row: Row

    @property
    def name(self) -> str:
        """Of the container."""
        words = "".join(one if one.isalnum() else "-" for one in self.row.name.lower())
        return f"cell-{self.kind.replace('_', '-')}-{words}"

    @property
    def key(self) -> str:
        """Of its variables in the play."""
        return self.name.replace("-", "_")

    @property
    def group(self) -> str:
        """Of the cells that are played together: the same happens to their host."""
        row = self.row
        # Not more containers at a time than one kind makes.
        return "_".join(("group", self.kind if WANTED else "any", row.machine, row.event))

    def __str__(self) -> str:
        return f"{self.suite}-{self.kind}-{self.row.name}"

    def filled(self, value: Any) -> Any:
        """Put what the machine has into the value."""
        if isinstance(value, str):
            other = RUNTIME if self.kind == DRIVER_VOLUME else DRIVER_VOLUME
            own = {"name": self.name, "kind": self.kind, "other": other}
            for name, text in {**names_of(self.row.machine), **own}.items():
                value = value.replace(f"{{{name}}}", text)
            return value
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        return value

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        options = {
            "name": self.name,
            "image": IMAGE,
            "command": "sleep infinity",
            "stop_timeout": 0,
        }
        if self.kind != DRIVER_VOLUME:
            options["injection"] = self.kind
        return {
            key: one for key, one in {**options, **self.filled(given)}.items() if one is not None
        }


def names_of(machine: str) -> dict[str, str]:
    """What the placeholders of the table stand for."""
    known = toolkit_hosts.machines()
    gpus = known[machine]["gpus"]
    migs = [mig["uuid"] for gpu in gpus for mig in gpu.get("migs", ())]
    return {
        **{str(n): gpu["uuid"] for n, gpu in enumerate(gpus)},
        **{f"m{n}": uuid for n, uuid in enumerate(migs)},
        "old": known["usual"]["driver"],
        "new": known["upgraded"]["driver"],
    }


def cells() -> list[Cell]:
    """The cells that this run looks at."""
    every = [
        [
            Cell(suite, kind, row)
            for suite in row.suites
            for kind in KINDS_OF[suite]
            if kind in row.kinds
        ]
        for row in ROWS
    ]
    if WANTED:
        return [one for some in every for one in some if WANTED in ("full", one.kind)]
    # One after the other, so that each kind and host has its share.
    return [some[n % len(some)] for n, some in enumerate(every)]


CELLS = cells()


def tasks_of(chosen: list[Cell]) -> list[dict[str, Any]]:
    """The play of the cells of a group: each phase of all, before the next."""
    label = chosen[0].group
    machine, event = chosen[0].row.machine, chosen[0].row.event
    names = list(itertools.chain(*((one.name, f"{one.name}-by-hand") for one in chosen)))

    def shell(name: str, lines: list[str]) -> dict[str, Any]:
        return {
            "name": name,
            "ansible.builtin.shell": {
                "cmd": "\n".join(["set -e", *lines]),
                "executable": "/bin/bash",
            },
            "register": f"{label}_{name.split()[0].lower()}",
        }

    def snapshot(when: str) -> dict[str, Any]:
        argv = ["python3", "-c", SNAPSHOT, "inside" if when == "after" else "", *names]
        return {
            "name": f"Look {when}",
            "ansible.builtin.command": {"argv": argv},
            "register": f"{label}_look_{when}",
        }

    def module(cell: Cell, phase: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "name": f"{cell.row.name}: {phase}",
            "gpufleet.nvidia.nvidia_container": cell.options(given),
            "register": f"{cell.key}_{phase}",
            **more,
        }

    by_hand = [one.filled(one.row.by_hand) for one in chosen if one.row.by_hand]
    return [
        *([shell("Become the machine", become(machine))] if machine != "usual" else []),
        shell("First", [one.filled(one.row.first) for one in chosen if one.row.first]),
        *(module(one, "before", one.row.before) for one in chosen if one.row.before is not None),
        shell("Do by hand", [*by_hand, *(become(event) if event else [])]),
        snapshot("before"),
        *(module(one, "check", one.row.task, check_mode=True) for one in chosen),
        snapshot("checked"),
        *(module(one, "run", one.row.task) for one in chosen),
        snapshot("after"),
        shell(
            "Clean",
            [
                # Docker 20.10 misses the end of some if many are killed at once, and waits forever.
                f"xargs -n 8 docker rm --force <<<'{' '.join(names)}' >/dev/null 2>&1 || true",
                *(become("usual") if machine != "usual" or event else []),
            ],
        ),
    ]


def play(host: Host, chosen: list[Cell]) -> dict[str, Any]:
    """Run the cells of a host that are among these."""
    host.run(PREPARE)
    mine = sorted((one for one in chosen if one.suite == host.suite), key=lambda one: one.group)
    groups = itertools.groupby(mine, key=lambda one: one.group)
    tasks = list(itertools.chain(*(tasks_of(list(group)) for _name, group in groups)))
    results = host.play("matrix", tasks) if tasks else {}
    prepared = (one for name, one in results.items() if name.startswith("group"))
    assert not [one["stderr"] for one in prepared if one["rc"]]
    return results


@pytest.fixture(scope="module")
def results(hosts: tuple[Host, ...], request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """Of each host, what its tasks have returned. Cells that pytest does not run are not played."""
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = [one["cell"] for one in calls if "cell" in one]
    with ThreadPoolExecutor() as pool:
        return dict(zip(SUITES, pool.map(lambda host: play(host, chosen), hosts)))


def fate(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    """What became of a container, from what Docker says of it."""
    if before is None or after is None:
        return {(True, True): container_cells.ABSENT, (True, False): container_cells.MADE}.get(
            (before is None, after is None), container_cells.REMOVED
        )
    if before["Id"] != after["Id"]:
        return container_cells.RECREATED
    ran, runs = before["State"]["Running"], after["State"]["Running"]
    if ran and runs:
        same = before["State"]["StartedAt"] == after["State"]["StartedAt"]
        return container_cells.KEPT if same else container_cells.RESTARTED
    return (
        container_cells.KEPT
        if ran == runs
        else container_cells.STARTED
        if runs
        else container_cells.STOPPED
    )


def given(kind: str, container: dict[str, Any]) -> Any:
    """The GPUs in a container's configuration, as this kind writes them down."""
    settings = container["HostConfig"]
    requests = settings["DeviceRequests"] or []
    if kind == DRIVER_VOLUME:
        return sorted(
            re.sub(r"(/nvidia-caps)/.*", r"\1", one["PathOnHost"])
            for one in settings["Devices"] or ()
            if one["PathOnHost"].startswith("/dev/nvidia")
        )
    if kind == RUNTIME:
        env = dict(one.split("=", 1) for one in container["Config"]["Env"])
        uuids = env.get("NVIDIA_VISIBLE_DEVICES", "")
        return sorted(uuids.split(",")) if settings["Runtime"] == "nvidia" else []
    driver, prefix = ("cdi", "nvidia.com/gpu=") if kind == CDI else ("nvidia", "")
    return sorted(
        one.removeprefix(prefix)
        for request in requests
        if request["Driver"] == driver
        for one in request["DeviceIDs"]
        if one.startswith(prefix)
    )


def wanted(cell: Cell, uuids: list[str]) -> Any:
    """What ``given()`` is to return for these GPUs."""
    if cell.kind != DRIVER_VOLUME:
        return uuids
    gpus = toolkit_hosts.machines()[cell.row.event or cell.row.machine]["gpus"]
    nodes = [f"/dev/nvidia{gpu['minor']}" for gpu in gpus if gpu["uuid"] in uuids]
    if cell.row.machine == "mig":
        # Of its GPU instance, and of its compute instance.
        nodes = ["/dev/nvidia1", *["/dev/nvidia-caps"] * 2 * len(uuids)]
    nodes += cell.row.more_nodes
    return (
        sorted([*nodes, "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"])
        if nodes
        else []
    )


def told(result: dict[str, Any]) -> dict[str, Any]:
    """What a task says that the user is to rely on."""
    nvidia = result.get("nvidia", {})
    # In check mode docker_container does not tell that it will start what it makes.
    diff = {
        when: {key: one for key, one in value.items() if key != "running"}
        if isinstance(value, dict)
        else value
        for when, value in (result.get("diff") or {}).items()
    }
    return {
        "changed": result["changed"],
        "failed": result.get("failed", False),
        "msg": result.get("msg", ""),
        "nvidia": nvidia,
        "reason": diff.get("prepared", ""),
        "before": diff.get("before"),
        "after": diff.get("after"),
    }


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_what_is_done(cell: Cell, results: dict[str, dict[str, Any]]) -> None:
    """Changed or not, how, why; check mode says the same, and changes nothing."""
    row, of = cell.row, results[cell.suite]
    checked, run = of[f"{cell.key}_check"], of[f"{cell.key}_run"]
    looks = [
        json.loads(of[f"{cell.group}_look_{when}"]["stdout"]).get(cell.name)
        for when in ("before", "checked", "after")
    ]
    before, meanwhile, after = looks
    if row.before is not None:
        made = of[f"{cell.key}_before"]
        assert not made.get("failed"), made["msg"]
    if row.refused:
        assert row.refused in run["msg"]
    else:
        assert not run.get("failed"), run["msg"]
    assert {
        "changed": run["changed"],
        "fate": fate(before, after),
        "differences": run.get("nvidia", {}).get("differences", []),
        "status": after and after["State"]["Status"],
    } == {
        "changed": row.changed and not row.refused,
        "fate": row.fate,
        "differences": cell.filled(list(row.differences)),
        "status": row.status,
    }
    assert told(checked) == told(run)
    assert fate(before, meanwhile) in (container_cells.KEPT, container_cells.ABSENT)
    if after is None or row.gpus == container_cells.NOT_LOOKED_AT:
        return
    uuids = sorted(cell.filled(list(row.gpus)))
    assert given(cell.kind, after) == wanted(cell, uuids)
    if after["Inside"] is not None:
        seen = re.findall(r"UUID: ([^)]+)", after["Inside"])
        # A GPU is listed above its MIG devices.
        migs = [one for one in seen if one.startswith("MIG-")]
        assert sorted(migs or seen) == uuids
