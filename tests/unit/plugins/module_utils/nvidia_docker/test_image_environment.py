# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""image_environment.py"""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (
    image_environment,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    STABLE_NAME,
    Injection,
    Mount,
    driver_volume,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.requirement import (
    VOLUMES_LABEL,
    Image,
)

complete = image_environment.complete
MOUNTED = Injection(device_nodes=("/dev/nvidiactl",)) + driver_volume(STABLE_NAME)
USUAL = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BIN = "/usr/local/nvidia/bin"
LIBS = "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"

COMPLETED = [
    ({}, {"PATH": f"{BIN}:{USUAL}", "LD_LIBRARY_PATH": LIBS}),
    (
        {"PATH": "/opt/bin:/bin", "LD_LIBRARY_PATH": "/opt/lib"},
        {"PATH": f"{BIN}:/opt/bin:/bin", "LD_LIBRARY_PATH": f"{LIBS}:/opt/lib"},
    ),
    ({"PATH": f"{BIN}:/bin", "LD_LIBRARY_PATH": LIBS}, {}),
    ({"PATH": f"/bin:{BIN}", "LD_LIBRARY_PATH": f"/usr/local/cuda/compat:{LIBS}"}, {}),
    ({"PATH": "/bin", "LD_LIBRARY_PATH": LIBS}, {"PATH": f"{BIN}:/bin"}),
    ({"PATH": f"{BIN}:/bin", "LD_LIBRARY_PATH": "/usr/local/nvidia/lib64"}, {}),
    (
        {"PATH": f"{BIN}:/bin", "LD_LIBRARY_PATH": "/usr/local/nvidia/lib"},
        {"LD_LIBRARY_PATH": f"{LIBS}:/usr/local/nvidia/lib"},
    ),
    (
        {"PATH": f"{BIN}ary:/x{BIN}", "LD_LIBRARY_PATH": f"{LIBS}/x"},
        {"PATH": f"{BIN}:{BIN}ary:/x{BIN}", "LD_LIBRARY_PATH": f"{LIBS}:{LIBS}/x"},
    ),
    ({"PATH": "", "LD_LIBRARY_PATH": ""}, {"PATH": BIN, "LD_LIBRARY_PATH": LIBS}),
]


@pytest.mark.parametrize(("environment", "added"), COMPLETED)
def test_what_is_missing_is_added_in_front_of_the_images_own(environment, added) -> None:
    """A variable that names the driver volume stays as it is."""
    completed = complete(MOUNTED, Image("i", {}, {**environment, "A": "b"}))
    assert dict(completed.environment) == added
    assert completed + MOUNTED == completed


@pytest.mark.parametrize("given", ["PATH", "LD_LIBRARY_PATH"])
@pytest.mark.parametrize("environment", [{}, {"PATH": "/mine", "LD_LIBRARY_PATH": "/mine"}])
def test_a_variable_of_the_user_stays(given, environment) -> None:
    """Even if it is the user who takes it out of the environment."""
    completed = complete(MOUNTED, Image("i", {}, environment, frozenset({given})))
    assert [name for name, _dummy in completed.environment] == [
        name for name in ("PATH", "LD_LIBRARY_PATH") if name != given
    ]


def test_an_image_with_the_label_is_left_alone() -> None:
    """What v1 gave it is what it gets."""
    assert complete(MOUNTED, Image("i", {VOLUMES_LABEL: "nvidia_driver"}, {})) == MOUNTED


@pytest.mark.parametrize(
    "injection",
    [
        Injection(),
        Injection(device_nodes=("/dev/nvidiactl",)),
        Injection(mounts=(Mount("nvidia_driver", "/mnt", "nvidia-docker"),)),
    ],
)
def test_without_the_driver_volume_there_is_nothing_to_find(injection) -> None:
    assert complete(injection, Image("i", {}, {})) == injection
