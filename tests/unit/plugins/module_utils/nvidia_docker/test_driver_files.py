# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of driver files."""

from __future__ import annotations

import re

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
    BINARIES,
    CONFIGURATION_FILES,
    ENTRIES,
    EXCLUDED,
    LIBRARIES,
    DriverCapability,
    driver_version_of,
    library_name,
    needed_for,
    with_implied,
)

V1_LIBRARIES = """
    libnvidia-ml libcuda libnvidia-ptxjitcompiler libnvidia-fatbinaryloader libnvidia-opencl
    libnvidia-compiler libvdpau_nvidia libnvidia-encode libnvcuvid libnvidia-fbc libnvidia-ifr libGL
    libGLX libOpenGL libGLESv1_CM libGLESv2 libEGL libGLdispatch libGLX_nvidia libEGL_nvidia
    libGLESv2_nvidia libGLESv1_CM_nvidia libnvidia-eglcore libnvidia-egl-wayland libnvidia-glcore
    libnvidia-tls libnvidia-glsi
""".split()


def test_what_v1_had_is_there() -> None:
    """A v1 image finds every file that it found."""
    assert set(V1_LIBRARIES) <= {library.name for library in LIBRARIES}
    assert {binary.name for binary in BINARIES} >= {"nvidia-smi", "nvidia-cuda-mps-control"}


def test_each_name_is_there_once_with_a_remark() -> None:
    """In the catalogue or deliberately not, never both."""
    entries = [(e.name, e.remark) for e in ENTRIES.values()] + list(EXCLUDED)
    names = [name for name, _remark in entries]
    assert len(ENTRIES) == len(LIBRARIES) + len(BINARIES) + len(CONFIGURATION_FILES)
    assert sorted(set(names)) == sorted(names)
    assert all(remark for _name, remark in entries)


def test_rule_capabilities_have_no_file_of_their_own() -> None:
    """display is graphics with a device node, compat32 the 32-bit twins of the others."""
    used = {capability for name in ENTRIES for capability in needed_for(name)}
    assert set(DriverCapability) - used == {DriverCapability.DISPLAY, DriverCapability.COMPAT32}


def test_configuration_files_have_places_that_a_volume_may_have() -> None:
    """Relative, below a directory, plain names; the other places are no place of another file."""
    for file in CONFIGURATION_FILES:
        for name in (file.name, *file.other_names):
            assert "/" in name.strip("/")
            assert re.fullmatch(r"[A-Za-z0-9_./]+", name)
            assert ".." not in name
        assert not ENTRIES.keys() & set(file.other_names)


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        ("", ""),
        ("utility", "utility"),
        ("video", "video compute"),
        ("display", "display graphics"),
        ("compute compat32", "compute compat32"),
        ("video display", "video display compute graphics"),
    ],
)
def test_capabilities_bring_those_that_they_imply(asked, needed) -> None:
    capabilities = [DriverCapability(word) for word in asked.split()]
    assert with_implied(capabilities) == {DriverCapability(word) for word in needed.split()}


def test_all_capabilities_are_all() -> None:
    assert with_implied(ALL_CAPABILITIES) == ALL_CAPABILITIES == set(DriverCapability)


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("libnvidia-ml", "utility"),
        ("libnvidia-gpucomp", "compute graphics"),
        ("libnvidia-allocator", "compute graphics"),
        ("nvidia-smi", "utility"),
        ("OpenCL/vendors/nvidia.icd", "compute"),
    ],
)
def test_needed_for(name, needed) -> None:
    assert needed_for(name) == {DriverCapability(word) for word in needed.split()}


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("libcuda.so", "libcuda"),
        ("libcuda.so.1", "libcuda"),
        ("libcuda.so.550.54.15", "libcuda"),
        ("libcudadebugger.so.1", "libcudadebugger"),
        ("libcuda.sofa", None),
        ("libcuda.a", None),
        (".so.1", None),
        ("", None),
    ],
)
def test_library_name(name, library) -> None:
    assert library_name(name) == library


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("libcuda.so.550.54.15", "550.54.15"),
        ("libcuda.so.375.26", "375.26"),
        ("libcuda.so.1", None),
        ("libcuda.so", None),
        ("libGL.so.1.7.0", None),
        ("libnvidia-egl-wayland.so.1.1.13", None),
        ("libnvidia-nvvm70.so.4", None),
        ("libcuda.so.550.54.", None),
    ],
)
def test_driver_version_of(name, version) -> None:
    assert driver_version_of(name) == version
