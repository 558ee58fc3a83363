# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cdi_capabilities.py: what mounts and nodes tell"""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_capabilities import (  # noqa: E501
    served,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_spec import (
    BindMount,
    Edits,
    Node,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_capabilities import (  # noqa: E501
    words,
)

SERVED = [
    ((), (), None),
    (("/usr/local/nvidia",), (), None),
    (("/usr/lib64/libcuda.so.550.54.15",), (), "compute"),
    (("/usr/lib64/libcuda.so.1", "/usr/bin/nvidia-smi"), (), "compute,utility"),
    (("/usr/lib/i386-linux-gnu/libcuda.so.1",), (), "compat32,compute"),
    (("/usr/lib64/libGLX_nvidia.so.0",), (), "graphics"),
    (("/usr/lib64/libGLX_nvidia.so.0",), ("/dev/nvidia-modeset",), "display,graphics"),
    (("/usr/lib64/libcuda.so.1",), ("/dev/nvidia-modeset",), "compute"),
    # Needed for graphics too, but no sign of it.
    (("/usr/lib64/libnvidia-allocator.so.1",), (), "compute"),
]


def test_links_count_as_files() -> None:
    edits = Edits(
        mounts=(BindMount("/links", "/usr/lib64/tls"),), nodes=(Node("/dev/nvidia-modeset"),)
    )
    found = served([edits], ["libGLX_nvidia.so.0", "libcuda.so.1"])
    assert found is not None
    assert ",".join(words(found)) == "compute,display,graphics"


@pytest.mark.parametrize(("mounts", "nodes", "expected"), SERVED)
def test_what_a_specification_serves(mounts, nodes, expected) -> None:
    edits = Edits(
        mounts=tuple(BindMount(path, path) for path in mounts),
        nodes=tuple(Node(path) for path in nodes),
    )
    found = served([Edits(), edits])
    assert (found and ",".join(words(found))) == expected
