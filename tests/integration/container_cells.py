# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of test_container_matrix.py: a row for each thing that may have happened.

In options and texts ``{0}`` is the UUID of the first GPU, ``{m0}`` that of the first MIG device,
``{name}`` the name of the container, ``{kind}`` how it gets GPUs, ``{other}`` another way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DRIVER_VOLUME, CDI, DEVICE_REQUEST, RUNTIME = "driver_volume", "cdi", "device_request", "runtime"
KINDS = (DRIVER_VOLUME, CDI, DEVICE_REQUEST, RUNTIME)
NOT_LOOKED_AT = ""
Options = dict[str, Any]

KEPT, STARTED, RESTARTED, STOPPED = "kept", "started", "restarted", "stopped"
MADE, RECREATED, REMOVED, ABSENT = "made", "recreated", "removed", "absent"
RUNS, EXITED, PAUSED, CREATED = "running", "exited", "paused", "created"


@dataclass(frozen=True)
class Row:
    """One container, what is done to it, and what the module is expected to do then."""

    name: str
    task: Options
    """Run in check mode, then for real."""
    changed: bool
    fate: str
    """Of the container, as its identifier and start tell it."""
    before: Options | None = field(default_factory=lambda: {"gpus": [0]})
    """Run first; None: there is no container."""
    by_hand: str = ""
    """Shell lines that are run on the host then."""
    first: str = ""
    """Those that are run before all."""
    event: str = ""
    """The machine that the host becomes then; see toolkit_hosts.machines()."""
    differences: tuple[str, ...] = ()
    more_nodes: tuple[str, ...] = ()
    """Device nodes that ``driver_volume`` gives it besides."""
    gpus: tuple[str, ...] | str = ("{0}",)
    """What the container has in the end."""
    status: str | None = RUNS
    refused: str = ""
    """Part of the message if the task fails."""
    kinds: tuple[str, ...] = KINDS
    suites: tuple[str, ...] = ("bookworm", "trixie")
    machine: str = "usual"
    """What the host is from the beginning."""


def _row(name: str, task: Options, fate: str, **more: Any) -> Row:
    return Row(name, task, more.pop("changed", fate not in (KEPT, ABSENT)), fate, **more)


MINE: Options = {
    "devices": ["/dev/null:/dev/mine"],
    "volumes": ["/srv:/srv:ro"],
    "env": {"MINE": "1"},
    "labels": {"mine": "1"},
}
"""What a user may want besides GPUs."""

ROWS = (
    # The GPUs.
    _row("made", {"gpus": [0]}, MADE, before=None),
    _row("same again", {"gpus": [0]}, KEPT),
    _row(
        "all again",
        {"gpus": "all"},
        KEPT,
        before={"gpus": "all"},
        gpus=("{0}", "{1}", "{2}", "{3}", "{4}"),
    ),
    _row("GPU added", {"gpus": [0, 1]}, RECREATED, differences=("{1} added",), gpus=("{0}", "{1}")),
    _row(
        "GPU removed",
        {"gpus": [0]},
        RECREATED,
        before={"gpus": [0, 1]},
        differences=("{1} removed",),
    ),
    _row(
        "GPU replaced",
        {"gpus": [1]},
        RECREATED,
        differences=("{0} removed", "{1} added"),
        gpus=("{1}",),
    ),
    _row("all GPUs removed", {"gpus": "none"}, RECREATED, differences=("{0} removed",), gpus=()),
    _row("no GPU again", {"gpus": "none"}, KEPT, before={"gpus": []}, gpus=()),
    _row("order changed", {"gpus": [2, 0]}, KEPT, before={"gpus": [0, 2]}, gpus=("{0}", "{2}")),
    _row("UUID for index", {"gpus": "{0}"}, KEPT),
    _row("index for UUID", {"gpus": [0]}, KEPT, before={"gpus": ["{0}"]}),
    # How they come in.
    _row(
        "another injection",
        {"gpus": [0]},
        RECREATED,
        before={"gpus": [0], "injection": "{other}"},
        differences=("injection {other} -> {kind}",),
    ),
    _row("auto keeps what there is", {"gpus": [0], "injection": "auto"}, KEPT),
    _row(
        "auto, GPU added",
        {"gpus": [0, 1], "injection": "auto"},
        RECREATED,
        differences=("{1} added",),
        gpus=("{0}", "{1}"),
    ),
    _row(
        "auto from nothing",
        {"gpus": [0], "injection": "auto"},
        MADE,
        before=None,
        kinds=(DRIVER_VOLUME,),
    ),
    _row(
        "no CDI here",
        {"gpus": [0], "injection": "cdi"},
        KEPT,
        refused="takes no CDI devices, which came with Docker 25; other kinds that it has: "
        "driver_volume, device_request, runtime",
        kinds=(DRIVER_VOLUME,),
        suites=("bookworm",),
    ),
    _row(
        "capability removed",
        {"gpus": [0], "capabilities": ["compute", "utility"]},
        RECREATED,
        before={"gpus": [0], "capabilities": ["compute", "utility", "display"]},
        differences=("capability display removed",),
        kinds=(DRIVER_VOLUME, DEVICE_REQUEST, RUNTIME),
    ),
    _row(
        "capability added",
        {"gpus": [0], "capabilities": ["display", "compute", "utility"]},
        RECREATED,
        differences=("capability display added",),
        more_nodes=("/dev/nvidia-modeset",),
        kinds=(DRIVER_VOLUME, DEVICE_REQUEST, RUNTIME),
    ),
    _row(
        "capability removed, which the specification decides",
        {"gpus": [0], "capabilities": ["compute", "utility"]},
        KEPT,
        before={"gpus": [0], "capabilities": ["compute", "utility", "display"]},
        kinds=(CDI,),
    ),
    _row("usual capabilities, named", {"gpus": [0], "capabilities": ["utility", "compute"]}, KEPT),
    _row(
        "GPUs by a variable too",
        {"gpus": [0], "env": {"NVIDIA_VISIBLE_DEVICES": "all"}},
        KEPT,
        refused="is what gives the container its GPUs: leave it out",
        kinds=(DEVICE_REQUEST, RUNTIME),
    ),
    _row(
        "GPUs by another runtime",
        {"gpus": [0], "runtime": "runc"},
        KEPT,
        refused="runtime",
        kinds=(RUNTIME,),
    ),
    # The image.
    _row(
        "image updated",
        {"gpus": [0], "image": "cells/{name}:1"},
        RECREATED,
        first="docker tag gpufleet/cuda:8.0 cells/{name}:1",
        before={"gpus": [0], "image": "cells/{name}:1"},
        by_hand="docker tag cells/newer:1 cells/{name}:1",
    ),
    _row("image renamed", {"gpus": [0], "image": "cells/newer:1"}, RECREATED),
    _row("image left out", {"gpus": [0], "image": None}, KEPT),
    # The user's part is compared as the user wishes.
    _row("own part again", {"gpus": [0], **MINE}, KEPT, before={"gpus": [0], **MINE}),
    _row("own part left out", {"gpus": [0]}, KEPT, before={"gpus": [0], **MINE}),
    _row("own device added", {"gpus": [0], "devices": ["/dev/null:/dev/mine"]}, RECREATED),
    _row("own volume added", {"gpus": [0], "volumes": ["/srv:/srv:ro"]}, RECREATED),
    _row(
        "own variable changed",
        {"gpus": [0], "env": {"MINE": "2"}},
        RECREATED,
        before={"gpus": [0], **MINE},
    ),
    _row(
        "own variable left out, strict",
        {"gpus": [0], "env": {"OTHER": "1"}, "comparisons": {"env": "strict"}},
        RECREATED,
        before={"gpus": [0], "env": {"MINE": "1", "OTHER": "1"}},
    ),
    _row(
        "own variable changed, ignored",
        {"gpus": [0], "env": {"MINE": "2"}, "comparisons": {"env": "ignore"}},
        KEPT,
        before={"gpus": [0], **MINE},
    ),
    _row(
        "all strict",
        {"gpus": [0], **MINE, "comparisons": {"*": "strict"}},
        KEPT,
        before={"gpus": [0], **MINE},
    ),
    _row(
        "GPU removed, all ignored",
        {"gpus": [0], "comparisons": {"*": "ignore"}},
        RECREATED,
        before={"gpus": [0, 1]},
        differences=("{1} removed",),
    ),
    _row(
        "GPU removed with own part",
        {"gpus": [0], **MINE},
        RECREATED,
        before={"gpus": [0, 1], **MINE},
        differences=("{1} removed",),
    ),
    _row(
        "own device requests again",
        {
            "gpus": [0],
            "device_requests": [
                {"driver": "cdi", "count": 0, "device_ids": ["example.com/net=one"]}
            ],
        },
        KEPT,
        before={
            "gpus": [0],
            "device_requests": [
                {"driver": "cdi", "count": 0, "device_ids": ["example.com/net=one"]}
            ],
        },
        suites=("trixie",),
    ),
    # Refused, and the container stays as it is.
    _row(
        "own device in the place of a GPU's",
        {"gpus": [0], "devices": ["/dev/null:/dev/nvidia2"]},
        KEPT,
        refused="in the place of a device node",
        kinds=(DRIVER_VOLUME,),
    ),
    _row(
        "own volume in the place of the driver's",
        {"gpus": [0], "volumes": ["/srv:/usr/local/nvidia"]},
        KEPT,
        refused="is where the driver volume is mounted",
        kinds=(DRIVER_VOLUME,),
    ),
    _row(
        "label of ours",
        {"gpus": [0], "labels": {"io.gpufleet.nvidia.gpus": ""}},
        KEPT,
        refused="can't be set",
    ),
    _row("unknown GPU", {"gpus": [9]}, KEPT, refused="9"),
    # By hand.
    _row("stopped by hand", {"gpus": [0]}, STARTED, by_hand="docker stop --time 0 {name}"),
    _row("paused by hand", {"gpus": [0]}, KEPT, by_hand="docker pause {name}", status=PAUSED),
    _row(
        "paused by hand, not wanted",
        {"gpus": [0], "paused": False},
        KEPT,
        changed=True,
        by_hand="docker pause {name}",
    ),
    _row("removed by hand", {"gpus": [0]}, MADE, by_hand="docker rm --force {name}"),
    _row("renamed by hand", {"gpus": [0]}, MADE, by_hand="docker rename {name} {name}-by-hand"),
    _row("restarted by hand", {"gpus": [0]}, KEPT, by_hand="docker restart --time 0 {name}"),
    _row(
        "restart policy by hand",
        {"gpus": [0], "restart_policy": "always"},
        KEPT,
        changed=True,
        before={"gpus": [0], "restart_policy": "always"},
        by_hand="docker update --restart no {name}",
    ),
    _row(
        "restart policy by hand, not declared",
        {"gpus": [0]},
        KEPT,
        by_hand="docker update --restart always {name}",
    ),
    _row(
        "limits by hand",
        {"gpus": [0], "memory": "256m", "memory_swap": "256m", "cpu_shares": 512},
        KEPT,
        changed=True,
        before={"gpus": [0], "memory": "256m", "memory_swap": "256m", "cpu_shares": 512},
        by_hand="docker update --memory 512m --memory-swap 512m --cpu-shares 1024 {name}",
        # The other one's control groups have no controllers.
        suites=("bookworm",),
    ),
    _row(
        "made by hand",
        {"gpus": [0]},
        RECREATED,
        before=None,
        first="docker run --detach --name {name} gpufleet/cuda:8.0 sleep infinity",
        differences=("not made by nvidia_container",),
    ),
    # What is asked for.
    _row("recreate", {"gpus": [0], "recreate": True}, RECREATED),
    _row("restart", {"gpus": [0], "restart": True}, RESTARTED),
    _row("absent", {"state": "absent"}, REMOVED, gpus=NOT_LOOKED_AT, status=None),
    _row("absent again", {"state": "absent"}, ABSENT, before=None, gpus=NOT_LOOKED_AT, status=None),
    _row("stopped", {"state": "stopped"}, STOPPED, status=EXITED),
    _row(
        "stopped again",
        {"state": "stopped"},
        KEPT,
        by_hand="docker stop --time 0 {name}",
        status=EXITED,
    ),
    _row("stopped with other GPUs", {"state": "stopped", "gpus": [1]}, STOPPED, status=EXITED),
    _row(
        "stopped from nothing", {"state": "stopped", "gpus": [0]}, MADE, before=None, status=CREATED
    ),
    _row(
        "present from nothing", {"state": "present", "gpus": [0]}, MADE, before=None, status=CREATED
    ),
    _row("present", {"state": "present", "gpus": [0]}, KEPT),
    _row(
        "present, stopped",
        {"state": "present", "gpus": [0]},
        KEPT,
        by_hand="docker stop --time 0 {name}",
        status=EXITED,
    ),
    _row(
        "present, stopped, GPU added",
        {"state": "present", "gpus": [0, 1]},
        RECREATED,
        by_hand="docker stop --time 0 {name}",
        differences=("{1} added",),
        gpus=("{0}", "{1}"),
        status=CREATED,
    ),
    # After a reboot GPUs have other indices, or other device nodes.
    _row(
        "renumbered, by index",
        {"gpus": [0]},
        RECREATED,
        event="renumbered",
        differences=("index 0 is {1} now", "{0} removed", "{1} added"),
        gpus=("{1}",),
    ),
    _row("renumbered, by UUID", {"gpus": "{0}"}, KEPT, before={"gpus": "{0}"}, event="renumbered"),
    _row(
        "another device node",
        {"gpus": "{3}"},
        RECREATED,
        before={"gpus": "{3}"},
        event="renumbered",
        differences=("{3} is /dev/nvidia4 now, was /dev/nvidia3",),
        gpus=("{3}",),
        kinds=(DRIVER_VOLUME,),
    ),
    _row(
        "another device node, looked up at each start",
        {"gpus": "{3}", "restart": True},
        RESTARTED,
        before={"gpus": "{3}"},
        event="renumbered",
        gpus=("{3}",),
        kinds=(CDI, DEVICE_REQUEST, RUNTIME),
    ),
    _row(
        "gone",
        {"gpus": [4]},
        KEPT,
        before={"gpus": [4]},
        event="gone",
        refused="4",
        gpus=NOT_LOOKED_AT,
    ),
    # The driver.
    _row(
        "driver upgraded",
        {"gpus": [0]},
        RESTARTED,
        event="upgraded",
        differences=("driver {old} -> {new}",),
    ),
    _row(
        "driver upgraded, stopped",
        {"gpus": [0]},
        STARTED,
        event="upgraded",
        by_hand="docker stop --time 0 {name}",
    ),
    # MIG.
    _row(
        "MIG device again",
        {"gpus": "1:0"},
        KEPT,
        machine="mig",
        before={"gpus": "{m0}"},
        gpus=("{m0}",),
    ),
    _row(
        "MIG device added",
        {"gpus": ["1:0", "1:1"]},
        RECREATED,
        machine="mig",
        before={"gpus": ["1:0"]},
        differences=("{m1} added",),
        gpus=("{m0}", "{m1}"),
    ),
    _row(
        "MIG devices of a GPU",
        {"gpus": ["{m0}", "{m1}", "{m2}"]},
        KEPT,
        machine="mig",
        before={"gpus": [1]},
        gpus=("{m0}", "{m1}", "{m2}"),
    ),
)
