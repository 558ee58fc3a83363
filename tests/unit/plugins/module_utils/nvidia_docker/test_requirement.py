# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""requirement.py"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils import nvidia_docker
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


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
    image(NVIDIA_REQUIRE_JETPACK_HOST_MOUNTS="base-only"),
    image(NVIDIA_REQUIRE_=""),
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


HAS_8 = "this host has CUDA 8.0"
DRIVER_375 = "this host has driver 375.26"
TESLA = "GPU 0 GPU-836c has brand tesla"
SKIP = "NVIDIA_DISABLE_REQUIRE=1 in the container's environment skips this check"
OLDER = "or use an image that is made for CUDA 8.0 or older"

UNSERVED = [
    (
        {"NVIDIA_REQUIRE_CUDA": "cuda>=12.4"},
        f"cuda>=12.4 is not met ({HAS_8}): install NVIDIA driver 550 or newer, {OLDER}",
    ),
    (
        {"NVIDIA_REQUIRE_CUDA": "cuda>=99.9"},
        f"cuda>=99.9 is not met ({HAS_8}): install a newer NVIDIA driver, {OLDER}",
    ),
    (
        {"CUDA_VERSION": "12.2.0"},
        f"cuda>=12.2 is not met ({HAS_8}): install NVIDIA driver 535 or newer, {OLDER}",
    ),
    (
        {"NVIDIA_REQUIRE_DRIVER": "driver>=400"},
        f"driver>=400 is not met ({DRIVER_375}): install NVIDIA driver 400 or newer",
    ),
    (
        {"NVIDIA_REQUIRE_CUDA": "cuda>=9 driver>=400"},
        f"none of cuda>=9, driver>=400 is met ({HAS_8}; {DRIVER_375}): "
        f"install NVIDIA driver 384 or newer, {OLDER}",
    ),
    (
        {"NVIDIA_REQUIRE_X": "driver>=400", "NVIDIA_REQUIRE_A": "cuda>9"},
        f"cuda>9 is not met ({HAS_8}), driver>=400 is not met ({DRIVER_375}): "
        f"install NVIDIA driver 384 or newer, {OLDER}; install NVIDIA driver 400 or newer",
    ),
    (
        {"NVIDIA_REQUIRE_A": "cuda>=9", "NVIDIA_REQUIRE_B": "cuda>=9.0"},
        f"cuda>=9 is not met ({HAS_8}), cuda>=9.0 is not met: "
        f"install NVIDIA driver 384 or newer, {OLDER}",
    ),
    (
        {"NVIDIA_REQUIRE_CUDA": "cuda<8"},
        f"cuda<8 is not met ({HAS_8}): use an image that is made for CUDA 8.0",
    ),
    (
        {"NVIDIA_REQUIRE_CUDA": "driver<375.26 cuda>=9.0"},
        f"none of driver<375.26, cuda>=9.0 is met ({DRIVER_375}; {HAS_8}): "
        f"install NVIDIA driver 384 or newer, {OLDER}",
    ),
    (
        {
            "NVIDIA_REQUIRE_CUDA": "cuda>=9 brand=tesla,driver>=360,driver<361 "
            "brand=quadro,driver>=360,driver<361 brand=grid,driver>=360,driver<361"
        },
        f"none of cuda>=9, driver<361, driver<361 and brand=quadro/grid is met "
        f"({HAS_8}; {DRIVER_375}; {TESLA}): install NVIDIA driver 384 or newer, {OLDER}",
    ),
    (
        {"NVIDIA_REQUIRE_ARCH": "arch>=8.0"},
        "arch>=8.0 is not met (GPU 0 GPU-836c has compute capability 6.0): "
        "select another GPU, such as GPU 3 GPU-dd",
    ),
    (
        {"NVIDIA_REQUIRE_ARCH": "arch>=9.0"},
        "arch>=9.0 is not met (GPU 0 GPU-836c has compute capability 6.0): "
        "run it on a host that has a GPU of compute capability >= 9.0",
    ),
    (
        {"NVIDIA_REQUIRE_BRAND": "brand!=tesla"},
        f"brand!=tesla is not met ({TESLA}): run it on a host that has a GPU of brand != tesla",
    ),
    (
        {"NVIDIA_REQUIRE_X": "arch>=8,brand=tesla,cuda>=9.1"},
        "arch>=8 and cuda>=9.1 is not met (GPU 0 GPU-836c has compute capability 6.0; "
        f"{HAS_8}): select another GPU, such as GPU 3 GPU-dd and "
        f"install NVIDIA driver 390 or newer, {OLDER}",
    ),
]


@pytest.mark.parametrize(("environment", "sentence"), UNSERVED)
def test_every_unmet_factor_is_told(host, environment, sentence) -> None:
    """What the host has, each fact once, and what would help."""
    with pytest.raises(UnmetRequirement) as caught:
        check(image(**environment), host, host.devices[:1])
    assert str(caught.value) == f"image cuda:test can't run here: {sentence}; {SKIP}"


LABELS = [
    ("9.0.176", "9.0.176"),
    ("10.0", "10.0"),
    (" 8.1 ", "8.1"),
    ("8.1x", "8.1x"),
    ("+9.0", "+9.0"),
    ("8. 1", "8. 1"),
    ("9.-1", "9.-1"),
    ("09.00", "09.00"),
    ("9.0\x1b[2J", "9.0?[2J"),
]


@pytest.mark.parametrize(("label", "shown"), LABELS)
def test_the_cuda_label_is_answered_with_v1s_sentence(host, label, shown) -> None:
    """What v1's scan took for a version; NVIDIA_DISABLE_REQUIRE does not count for labels."""
    for one in (image({CUDA_LABEL: label}), image({CUDA_LABEL: label}, NVIDIA_DISABLE_REQUIRE="1")):
        with pytest.raises(UnmetRequirement) as caught:
            check(one, host, ())
        assert str(caught.value) == f"unsupported CUDA version: driver 8.0 < image {shown}"


@pytest.mark.parametrize("label", ["", "8.0", " 8.0 ", "8.0x", "-1.0", "-9.9", "8.-1", "7.99.99"])
def test_a_cuda_label_that_is_met(host, label) -> None:
    """Blanks and what follows are of no account, as v1 read it."""
    check(image({CUDA_LABEL: label}), host, ())


NO_VERSIONS = ["8", "8.", "v8.0", "8,0", "eight", ".8", "8.x", "- 1.0", "--1.0", "\t", "8.\n1"]


@pytest.mark.parametrize("label", [*NO_VERSIONS, "9" * 19 + ".0", "\uff18.0"])
def test_a_cuda_label_that_is_no_version(host, label) -> None:
    """v1 gave the words of its scanner alone: ``unexpected EOF``."""
    with pytest.raises(InvalidInput, match=r"^image cuda:test: label com\.nvidia\.cuda\.version="):
        check(image({CUDA_LABEL: label}), host, ())


def test_every_selected_gpu_has_to_meet_it(host) -> None:
    """One that does not is enough to refuse, and is named; a MIG device is as its GPU."""
    wants_ampere = image(NVIDIA_REQUIRE_ARCH="arch>=8.0")
    check(wants_ampere, host, host.devices[3].mig_devices)
    check(wants_ampere, host, ())
    with pytest.raises(UnmetRequirement) as caught:
        check(wants_ampere, host, (*host.devices[1:3], *host.devices[3].mig_devices))
    assert (
        "(GPU 1 GPU-b78a-1 has compute capability 6.0; GPU 2 GPU-b78a-2 has compute capability 6.0)"
        in str(caught.value)
    )


def test_mig_devices_of_one_gpu_are_one_gpu(host) -> None:
    """It is named once."""
    with pytest.raises(UnmetRequirement) as caught:
        check(image(NVIDIA_REQUIRE_ARCH="arch>=9"), host, host.devices[3].mig_devices)
    assert "is not met (GPU 3 GPU-dd has compute capability 8.0): " in str(caught.value)


def test_each_gpu_may_meet_it_by_another_term(host) -> None:
    """A tesla and a geforce beside each other; only the third is told about."""
    geforce = dataclasses.replace(host.devices[1], brand="GeForce")
    titan = dataclasses.replace(host.devices[2], brand="titan")
    mixed = dataclasses.replace(host, devices=(host.devices[0], geforce, titan))
    either = image(NVIDIA_REQUIRE_X="brand=tesla brand=geforce")
    check(either, mixed, mixed.devices[:2])
    with pytest.raises(UnmetRequirement) as caught:
        check(either, mixed, mixed.devices)
    assert "none of brand=tesla/geforce" not in str(caught.value)
    assert "brand=tesla/geforce is not met (GPU 2 GPU-b78a-2 has brand titan):" in str(caught.value)


def test_many_alternatives_are_told_in_a_few_words(host) -> None:
    """An image can have thousands."""
    many = " ".join(f"cuda>={major}" for major in range(9, 5000))
    with pytest.raises(UnmetRequirement) as caught:
        check(image(NVIDIA_REQUIRE_CUDA=many), host, ())
    assert ", cuda>=28, 4971 more is met" in str(caught.value)
    many = " ".join(f"brand=b{number}" for number in range(5000))
    with pytest.raises(UnmetRequirement) as caught:
        check(image(NVIDIA_REQUIRE_CUDA=many), host, host.devices[:1])
    assert "/b19 is not met" in str(caught.value)


SWITCHES = [
    *((text, True) for text in ("1", "t", "T", "true", "TRUE", "True")),
    *((text, False) for text in ("", "0", "f", "false", "tRUE", "yes", "on", " 1")),
]


@pytest.mark.parametrize(("text", "off"), SWITCHES)
def test_the_check_can_be_switched_off(host, text, off) -> None:
    """By what Go takes for true; all else is false, as in the Container Toolkit."""
    one = image(NVIDIA_REQUIRE_CUDA="cuda>=99", NVIDIA_DISABLE_REQUIRE=text)
    if off:
        check(one, host, ())
        return
    with pytest.raises(UnmetRequirement):
        check(one, host, ())


def test_a_host_without_libcuda_says_so(host) -> None:
    """v1 compared with 0.0."""
    bare = dataclasses.replace(host, driver=Driver("375.26", None, None, None))
    with pytest.raises(UnmetRequirement, match=r"no usable libcuda\.so\.1"):
        check(image({CUDA_LABEL: "8.0"}), bare, ())
    with pytest.raises(UnmetRequirement) as caught:
        check(image(NVIDIA_REQUIRE_CUDA="cuda>=8.0"), bare, ())
    assert "(this host has driver 375.26 without CUDA): install the driver's CUDA library" in str(
        caught.value
    )


def test_a_host_without_driver_says_so(host) -> None:
    """It meets no demand on a driver."""
    bare = dataclasses.replace(host, driver=Driver(None, None, None, None), devices=())
    with pytest.raises(UnmetRequirement) as caught:
        check(image(NVIDIA_REQUIRE_CUDA="cuda>=8.0", NVIDIA_REQUIRE_D="driver!=1"), bare, ())
    assert (
        "cuda>=8.0 is not met (this host has no driver), driver!=1 is not met: "
        "install the NVIDIA driver and load its kernel module; NVIDIA" in str(caught.value)
    )


MALFORMED = [
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
    (image(NVIDIA_VISIBLE_DEVICES="0, GPU-1"), True),
    (image(NVIDIA_VISIBLE_DEVICES="none"), True),
    (image(NVIDIA_VISIBLE_DEVICES="void"), False),
    (image(NVIDIA_VISIBLE_DEVICES="0, void"), False),
    (image(NVIDIA_VISIBLE_DEVICES=""), False),
    (image(NVIDIA_VISIBLE_DEVICES=" , "), False),
    (image({VOLUMES_LABEL: "nvidia_driver"}, NVIDIA_VISIBLE_DEVICES="void"), True),
    (image(CUDA_VERSION="8.0.61"), True),
    (image(CUDA_VERSION=""), False),
    (image(CUDA_VERSION="12.4.1", NVIDIA_REQUIRE_CUDA="c", NVIDIA_VISIBLE_DEVICES="void"), False),
    (image(CUDA_VERSION="12.4.1", NVIDIA_REQUIRE_CUDA="cuda>=12.4"), False),
]


@pytest.mark.parametrize(("one", "wanted"), GPU_IMAGES)
def test_labels_or_environment_make_a_gpu_image(one, wanted) -> None:
    """All generations of images are recognised."""
    assert one.is_gpu_image is wanted


LEGACY = [
    ("8.0.61", True),
    ("8", True),
    ("8.1", False),
    ("9", False),
    ("11.8.0-devel", False),
    ("latest", True),
    ("", True),
    ("v99", True),
]


@pytest.mark.parametrize(("version", "met"), LEGACY)
def test_a_legacy_image_needs_its_cuda_version(host, version, met) -> None:
    """Major and minor of CUDA_VERSION, as far as it is one; only without NVIDIA_REQUIRE_CUDA."""
    check(image(CUDA_VERSION=version, NVIDIA_REQUIRE_CUDA="cuda>=7"), host, ())
    for legacy in (
        image(CUDA_VERSION=version),
        image(CUDA_VERSION=version, NVIDIA_REQUIRE_CUDA=""),
    ):
        if met:
            check(legacy, host, ())
        else:
            with pytest.raises(UnmetRequirement):
                check(legacy, host, ())


TEXT = st.text() | st.sampled_from(
    ["cuda>=99", "cuda>=8 x", "brand=a brand=b", "arch>=9,driver<1", "cuda>=99,", "!", "9.9", "8.0"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["CUDA", "X", "CUDA_VERSION", "LABEL"]), TEXT))
def test_a_hostile_image_is_answered(host, texts) -> None:
    """One short sentence of ours, without what a terminal would obey, or none."""
    label = texts.pop("LABEL", "")
    legacy = {"CUDA_VERSION": texts.pop("CUDA_VERSION", "")}
    demands = {f"NVIDIA_REQUIRE_{name}": text for name, text in texts.items()}
    one = Image("cuda:test", {CUDA_LABEL: label}, {**legacy, **demands})
    try:
        check(one, host, host.devices)
    except (InvalidInput, UnmetRequirement) as error:
        assert str(error).isprintable()
        assert len(str(error)) < 3000


def test_images_that_want_no_gpu_pay_for_none() -> None:
    """The command knows an image long before it knows whether the driver is to be asked."""
    library = Path(next(iter(nvidia_docker.__path__))).parent
    code = (
        f"import sys; sys.path.append({str(library)!r}); import nvidia_docker.requirement;"
        "print(*{'dataclasses', 're', 'typing', 'nvidia_docker.model'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
