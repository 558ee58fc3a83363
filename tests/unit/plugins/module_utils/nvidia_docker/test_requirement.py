# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""requirement.py"""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
    UnmetRequirement,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import Driver
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.requirement import (
    CUDA_LABEL,
    VOLUMES_LABEL,
    Image,
    check,
)


def image(labels: dict | None = None, **environment: str) -> Image:
    return Image("cuda:test", labels or {}, environment)


SERVED = [
    image(),
    image({CUDA_LABEL: ""}),
    image({CUDA_LABEL: "8.0"}),
    image({CUDA_LABEL: "8.0.61"}),
    image({CUDA_LABEL: "7.5"}),
    image(NVIDIA_REQUIRE_CUDA="cuda>=8.0"),
    image(NVIDIA_REQUIRE_CUDA="cuda>=9.0 brand=tesla,driver>=375,driver<376"),
    image(NVIDIA_REQUIRE_CUDA="cuda>=99", NVIDIA_DISABLE_REQUIRE="true"),
    image(NVIDIA_REQUIRE_ARCH="arch>=6.0"),
    image(NVIDIA_REQUIRE_BRAND="brand=Tesla"),
    image(NVIDIA_REQUIRE_JETPACK="csv-mounts=all"),
    image(NVIDIA_REQUIRE_CUDA="cuda=8"),
    image(NVIDIA_REQUIRE_CUDA="cuda<=8.0.0"),
    image(NVIDIA_REQUIRE_CUDA="cuda!=7.5"),
    image(CUDA_VERSION="8.0.61"),
    image(CUDA_VERSION="99.0", NVIDIA_REQUIRE_CUDA="cuda>=7"),
]


@pytest.mark.parametrize("one", SERVED)
def test_an_image_that_the_driver_can_serve_passes(host, one) -> None:
    """Driver 375.26 offers CUDA 8.0."""
    check(one, host, host.devices[:1])


UNSERVED = [
    (image({CUDA_LABEL: "9.0.176"}), "unsupported CUDA version: driver 8.0 < image 9.0.176"),
    (image({CUDA_LABEL: "10.0"}), "unsupported CUDA version: driver 8.0 < image 10.0"),
    (image(NVIDIA_REQUIRE_CUDA="cuda>=12.4"), "needs cuda>=12.4, this host has cuda 8.0"),
    (image(NVIDIA_REQUIRE_CUDA="cuda>=9 driver>=400"), "needs cuda>=9 driver>=400"),
    (image(NVIDIA_REQUIRE_X="driver>=400", NVIDIA_REQUIRE_A="cuda>9"), "cuda>9 and driver>=400"),
    (image(NVIDIA_REQUIRE_ARCH="arch>=7.0"), "arch>=7.0"),
    (image(NVIDIA_REQUIRE_BRAND="brand!=tesla"), "brand!=tesla"),
    (image(CUDA_VERSION="12.2.0"), "cuda>=12.2"),
    (image({CUDA_LABEL: "9.0"}, NVIDIA_DISABLE_REQUIRE="1"), "unsupported CUDA version"),
]


@pytest.mark.parametrize(("one", "sentence"), UNSERVED)
def test_an_image_that_needs_more_is_refused_with_the_reason(host, one, sentence) -> None:
    """The sentence names the condition and what this host has."""
    with pytest.raises(UnmetRequirement) as caught:
        check(one, host, host.devices[:1])
    assert sentence in str(caught.value)


def test_every_selected_gpu_must_satisfy_the_architecture(host) -> None:
    """One that does not is enough to refuse."""
    wants_ampere = image(NVIDIA_REQUIRE_ARCH="arch>=8.0")
    check(wants_ampere, host, host.devices[3].mig_devices)
    with pytest.raises(UnmetRequirement):
        check(wants_ampere, host, host.devices)


def test_a_host_without_libcuda_says_so(host) -> None:
    """v1 compared with 0.0."""
    bare = dataclasses.replace(host, driver=Driver("375.26", None, None, None))
    with pytest.raises(UnmetRequirement, match=r"no usable libcuda\.so\.1"):
        check(image({CUDA_LABEL: "8.0"}), bare, ())
    with pytest.raises(UnmetRequirement, match=r"driver 375\.26"):
        check(image(NVIDIA_REQUIRE_CUDA="cuda>=8.0"), bare, ())


MALFORMED = [
    image({CUDA_LABEL: "v8"}),
    image({CUDA_LABEL: "8"}),
    image(NVIDIA_REQUIRE_CUDA="cuda"),
    image(NVIDIA_REQUIRE_CUDA="cuda>=x"),
    image(NVIDIA_REQUIRE_CUDA="cuda==8.0"),
    image(NVIDIA_REQUIRE_CUDA="colour=red"),
    image(NVIDIA_REQUIRE_CUDA="brand>=tesla"),
]


@pytest.mark.parametrize("one", MALFORMED)
def test_a_requirement_that_cant_be_read_is_refused(host, one) -> None:
    """Guessing would run an image on a host that can't serve it."""
    with pytest.raises(InvalidInput):
        check(one, host, host.devices[:1])


GPU_IMAGES = [
    (image(), False),
    (image({VOLUMES_LABEL: "nvidia_driver"}), True),
    (image({VOLUMES_LABEL: " "}), False),
    (image(NVIDIA_VISIBLE_DEVICES="all"), True),
    (image(NVIDIA_VISIBLE_DEVICES="void"), False),
    (image(CUDA_VERSION="8.0.61"), True),
]


@pytest.mark.parametrize(("one", "wanted"), GPU_IMAGES)
def test_labels_or_environment_make_a_gpu_image(one, wanted) -> None:
    """Both generations of images are recognised."""
    assert one.is_gpu_image is wanted
