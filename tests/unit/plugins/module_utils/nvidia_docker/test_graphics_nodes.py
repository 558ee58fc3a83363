# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""graphics_nodes.py"""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_capabilities import (  # noqa: E501
    read,
    words,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.graphics_nodes import (
    GraphicsNodes,
    plan_graphics,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    DeviceNode,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import select

CARD, RENDER, OTHER = "/dev/dri/card0", "/dev/dri/renderD128", "/dev/dri/card1"
DRM = {
    "0000:04:00.0": (CARD, RENDER),
    "0000:07:00.0": (OTHER,),
    "0000:af:00.0": ("/dev/dri/card3",),
}


def nodes(*paths: str) -> GraphicsNodes:
    known = {path: DeviceNode(path, 226, 0, 0o660, 0, 44) for path in paths}
    return GraphicsNodes(DRM, known)


ALL_NODES = nodes(CARD, RENDER, OTHER, "/dev/dri/card3", "/dev/nvidia-modeset")
PLANNED = [
    (["0"], "compute", (), "", ()),
    (["0"], "graphics", (CARD, RENDER), "graphics", (44,)),
    (["0", "1"], "graphics", (CARD, RENDER, OTHER), "graphics", (44,)),
    (
        ["1"],
        "display",
        ("/dev/nvidia-modeset", OTHER),
        "display,graphics",
        (44,),
    ),
    # A MIG device without a profile for graphics can't draw.
    (["3:0"], "graphics", (), "", ()),
    (["2"], "graphics", (), "", ()),
]


@pytest.mark.parametrize(("gpus", "capability", "paths", "served", "groups"), PLANNED)
def test_nodes_follow_from_gpus_and_capabilities(
    host: Host, gpus, capability, paths, served, groups
) -> None:
    wanted = read([capability], {}).capabilities
    injection, found = plan_graphics(host, select(host, gpus), wanted, ALL_NODES)
    assert (injection.device_nodes, injection.groups) == (paths, groups)
    assert ",".join(words(found)) == served


def test_a_mig_device_for_graphics_draws_on_its_gpus_node(host: Host) -> None:
    *others, last = host.devices
    mig = replace(last.mig_devices[0], profile="1g.5gb+gfx")
    drawing = replace(host, devices=(*others, replace(last, mig_devices=(mig,))))
    wanted = read(["graphics"], {}).capabilities
    injection, _found = plan_graphics(drawing, (mig,), wanted, ALL_NODES)
    assert injection.device_nodes == ("/dev/dri/card3",)


def test_what_is_not_there_is_not_given(host: Host) -> None:
    """A GPU without DRM nodes draws off screen."""
    wanted = read(["all"], {}).capabilities
    injection, found = plan_graphics(host, select(host, ["0"]), wanted, nodes(RENDER))
    assert injection.device_nodes == (RENDER,)
    assert words(found) == ("graphics",)
