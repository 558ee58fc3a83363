# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of a machine are its driver's."""

from __future__ import annotations

import os

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    DriverCapability,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverFilesError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_candidates,
    driver_choice,
    elf,
)

LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"


def chosen(driver, version=VERSION, **more):
    driver.ldconfig()
    found = driver_candidates.candidates(driver.root)
    choice = driver_choice.choose(driver.root, found, version, **more)
    return {c.path: c.origin for c in choice.files}, dict(choice.symlinks), choice.warnings


def test_a_driver_is_found_through_links(driver) -> None:
    files, symlinks, warnings = chosen(driver)
    assert files == {
        f"lib64/libcuda.so.{VERSION}": f"{LIB}/libcuda.so.{VERSION}",
        f"lib64/libnvidia-ml.so.{VERSION}": f"{LIB}/libnvidia-ml.so.{VERSION}",
        f"lib/libcuda.so.{VERSION}": f"/usr/lib32/libcuda.so.{VERSION}",
        "bin/nvidia-smi": "/usr/lib/nvidia/current/nvidia-smi",
    }
    assert symlinks == {
        "lib64/libcuda.so.1": f"libcuda.so.{VERSION}",
        "lib64/libcuda.so": f"libcuda.so.{VERSION}",
        "lib64/libnvidia-ml.so.1": f"libnvidia-ml.so.{VERSION}",
        "lib/libcuda.so.1": f"libcuda.so.{VERSION}",
        "lib/libcuda.so": f"libcuda.so.{VERSION}",
    }
    assert warnings == ()


def test_indirect_glx_is_a_link_to_the_vendor_library(driver) -> None:
    driver.library(f"{LIB}/libGLX_nvidia.so.{VERSION}", "libGLX_nvidia.so.0")
    _files, symlinks, _warnings = chosen(driver)
    assert symlinks["lib64/libGLX_indirect.so.0"] == f"libGLX_nvidia.so.{VERSION}"


def test_a_library_with_the_name_of_a_link_gets_none(driver) -> None:
    """libcuda.so as a file, in front of libcuda.so.550.54.15, is not overwritten by a link."""
    driver.library("/opt/libcuda.so", "libcuda.so.2")
    files, symlinks, _warnings = chosen(driver)
    assert files["lib64/libcuda.so"] == "/opt/libcuda.so"
    assert "lib64/libcuda.so" not in symlinks


@pytest.mark.parametrize(
    ("name", "soname", "more", "taken"),
    [
        ("libGL.so.1.7.0", "libGL.so.1", {"needed": ("libGLdispatch.so.0",)}, True),
        (
            "libEGL.so.550.54.15",
            "libEGL.so.1",
            {"needed": ("libnvidia-eglcore.so.550.54.15",)},
            True,
        ),
        ("libGL.so.1.2.0", "libGL.so.1", {"needed": ("libglapi.so.0",)}, False),
        ("libEGL.so.1.0.0", "libEGL.so.1", {"needed": ("libgbm.so.1",)}, False),
        ("libGLESv2.so.2.0.0", "libGLESv2.so.2", {}, False),
        ("libGLX.so.0", "libGLX.so.0", {}, True),
        ("libnvidia-tls.so.550.54.15", None, {"kernel_abi": (2, 3, 99)}, True),
        ("libnvidia-tls.so.550.54.15", None, {"kernel_abi": (2, 2, 5)}, False),
        ("libnvidia-tls.so.550.54.15", None, {}, True),
        ("libnvidia-egl-wayland.so.1.1.13", "libnvidia-egl-wayland.so.1", {}, True),
        ("libOpenCL.so.1.0.0", "libOpenCL.so.1", {}, False),
        ("libnvidia-cfg.so.550.54.15", "libnvidia-cfg.so.1", {}, True),
    ],
)
def test_what_is_the_drivers(driver, name, soname, more, taken) -> None:
    """v1's rules; what is not the driver's is left out without a word."""
    driver.library(f"{LIB}/{name}", soname, **more)
    files, _symlinks, warnings = chosen(driver)
    assert (f"lib64/{name}" in files) is taken
    assert warnings == ()


@pytest.mark.parametrize(
    ("origin", "more", "says"),
    [
        ("/usr/lib/libnvidia-cfg.so.550.54.15", {"data": b"#!/bin/sh"}, "no usable ELF file"),
        ("/usr/lib/libnvidia-cfg.so.550.54.15", {"data": b"\x7fELF\x02\x01"}, "cut off"),
        ("/usr/lib/libnvidia-cfg.so.550.54.15", {"soname": "../../../etc/passwd"}, "no name for a"),
        ("/usr/lib/libnvidia-cfg.so.550.54.15", {"soname": "a b"}, "no name for a driver file"),
        (
            "/usr/lib/libnvidia-cfg.so.535.1",
            {},
            "files of driver 535.1, this is 550.54.15: /usr/lib",
        ),
        ("/opt/libcuda.so.550.54.15", {"soname": "libcuda.so.1"}, f"is already {LIB}/libcuda.so"),
        ("/opt/libcuda.so.9", {"soname": "libcuda.so.1"}, f"libcuda.so.1 is already {LIB}/libcuda"),
    ],
)
def test_what_is_left_out_is_said(driver, origin, more, says) -> None:
    """The other files are taken all the same, and the first of two equal names."""
    before, _symlinks, _warnings = chosen(driver)
    driver.library(origin, **more)
    files, _symlinks, warnings = chosen(driver)
    assert files == before
    assert len(warnings) == 1
    assert warnings[0].startswith("left out ")
    assert origin in warnings[0]
    assert says in warnings[0]


def test_a_wrapper_script_gives_way_to_the_program_behind_it(driver) -> None:
    """v1 made no volume at all then."""
    driver.program("/usr/local/bin/nvidia-smi", b"#!/bin/sh\nexec /usr/bin/nvidia-smi\n")
    files, _symlinks, warnings = chosen(driver)
    assert files["bin/nvidia-smi"] == "/usr/lib/nvidia/current/nvidia-smi"
    assert "/usr/local/bin/nvidia-smi" in warnings[0]


def test_what_is_gone_is_not_there(driver) -> None:
    """A name in the cache without a file, and a directory of that name, are skipped."""
    driver.entries.append(("libnvidia-cfg.so.1", f"{LIB}/libnvidia-cfg.so.1", "x86-64"))
    os.makedirs(driver.path(f"{LIB}/libnvcuvid.so.1"))
    driver.entries.append(("libnvcuvid.so.1", f"{LIB}/libnvcuvid.so.1", "x86-64"))
    files, _symlinks, warnings = chosen(driver)
    assert len(files) == 4
    assert warnings == ()


@pytest.mark.parametrize("version", ["535.1", "999", "550.54"])
def test_another_driver_than_asked_is_an_error(driver, version) -> None:
    with pytest.raises(DriverFilesError) as info:
        chosen(driver, version)
    assert f"no 64-bit libnvidia-ml.so of driver {version} in {driver.root}/: " in str(info.value)
    assert f"lead to {LIB}/libnvidia-ml.so.{VERSION}" in str(info.value)


def test_no_driver_at_all_is_one_sentence(empty_driver) -> None:
    with pytest.raises(DriverFilesError) as info:
        chosen(empty_driver)
    assert "lead to none at all; install that driver's libraries and run ldc" in str(info.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "can't read the loader's cache {cache}: No such file or directory; run ldconfig"),
        (b"?", "can't read the loader's cache {cache}: it has no part of glibc's format"),
        ([], "the loader's cache {cache} leads to no 64-bit libnvidia-ml; run ldconfig"),
        (
            [("libnvidia-ml.so.1", "/opt/none/libnvidia-ml.so.1", "x86-64")],
            "the loader's cache {cache} leads to no 64-bit libnvidia-ml; run ldconfig",
        ),
    ],
    ids=["missing", "damaged", "without a driver", "of a driver that is gone"],
)
def test_a_cache_that_is_no_use_is_a_warning(driver, make_cache, data, says) -> None:
    """Then the usual library directories have the same files."""
    right = chosen(driver)
    cache = driver.root / "etc/ld.so.cache"
    cache.unlink()
    if data is not None:
        cache.write_bytes(make_cache(data) if isinstance(data, list) else data)
    found = driver_candidates.candidates(driver.root)
    choice = driver_choice.choose(driver.root, found, VERSION)
    assert {c.path: c.origin for c in choice.files} == right[0]
    assert dict(choice.symlinks) == right[1]
    (warning,) = choice.warnings
    assert warning.startswith("the usual library directories were searched: ")
    assert says.format(cache=cache) in warning


def test_the_cache_alone_decides_where_it_knows_the_driver(driver) -> None:
    """A library in a usual directory that ldconfig did not take is not the host's."""
    driver.library(f"{LIB}/libnvcuvid.so.{VERSION}", "libnvcuvid.so.1")
    driver.entries.pop()
    files, _symlinks, warnings = chosen(driver)
    assert f"lib64/libnvcuvid.so.{VERSION}" not in files
    assert warnings == ()


@pytest.mark.parametrize(
    ("capabilities", "names"),
    [
        ((), set()),
        (("utility",), {"lib64/libnvidia-ml", "bin/nvidia-smi"}),
        (("compute",), {"lib64/libcuda", "share/OpenCL/vendors/nvidia"}),
        (("compute", "compat32"), {"lib64/libcuda", "lib/libcuda", "share/OpenCL/vendors/nvidia"}),
        (("video",), {"lib64/libcuda", "lib64/libnvidia-encode", "share/OpenCL/vendors/nvidia"}),
        (("display",), {"lib64/libnvidia-glcore", "lib64/libnvidia-gpucomp"}),
        (("graphics",), {"lib64/libnvidia-glcore", "lib64/libnvidia-gpucomp"}),
        (("ngx",), {"lib64/libnvidia-ngx"}),
        (("compat32",), set()),
    ],
)
def test_only_what_the_capabilities_need(driver, capabilities, names) -> None:
    for name in ("libnvidia-encode", "libnvidia-glcore", "libnvidia-gpucomp", "libnvidia-ngx"):
        driver.library(f"{LIB}/{name}.so.{VERSION}", f"{name}.so.{VERSION}")
    driver.file("/etc/OpenCL/vendors/nvidia.icd", "libnvidia-opencl.so.1")
    names |= {"lib64/libnvidia-gpucomp"} if {"compute", "video"} & set(capabilities) else set()
    asked = [DriverCapability(capability) for capability in capabilities]
    files, symlinks, warnings = chosen(driver, capabilities=asked)
    assert {path.partition(".")[0] for path in files} == names
    assert {path.partition(".")[0] for path in symlinks} <= names
    assert warnings == ()


LAYERS = '{"file_format_version": "1.0.1", "layers": []}'


@pytest.mark.parametrize(
    ("origins", "path", "origin"),
    [
        (["/etc/vulkan/icd.d/nvidia_icd.json"], "vulkan/icd.d/nvidia_icd.json", 0),
        (["/usr/local/share/vulkan/icd.d/nvidia_icd.json"], "vulkan/icd.d/nvidia_icd.json", 0),
        (
            ["/usr/share/vulkan/icd.d/nvidia_layers.json"],
            "vulkan/implicit_layer.d/nvidia_layers.json",
            0,
        ),
        (
            [
                "/usr/share/vulkan/explicit_layer.d/nvidia_layers.json",
                "/etc/vulkan/implicit_layer.d/nvidia_layers.json",
            ],
            "vulkan/implicit_layer.d/nvidia_layers.json",
            1,
        ),
        (["/usr/share/nvidia/nvoptix.bin"], "nvidia/nvoptix.bin", 0),
        ([f"{LIB}/nvoptix.bin"], "nvidia/nvoptix.bin", 0),
        (
            ["/usr/share/vulkan/icd.d/nvidia_icd.x86_64.json"],
            "vulkan/icd.d/nvidia_icd.x86_64.json",
            0,
        ),
        (["/usr/share/vulkan/icd.d/nvidia_icd.aarch64.json"], None, 0),
        (["/usr/share/glvnd/egl_vendor.d/50_mesa.json"], None, 0),
    ],
)
def test_configuration_files_have_one_place_in_a_volume(driver, origins, path, origin) -> None:
    driver.library(f"{LIB}/libnvoptix.so.{VERSION}", "libnvoptix.so.1")
    for place in origins:
        driver.file(place, LAYERS)
    files, _symlinks, _warnings = chosen(driver)
    share = {name: place for name, place in files.items() if name.startswith("share/")}
    assert share == ({} if path is None else {f"share/{path}": origins[origin]})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "it is no JSON: "),
        ("{", "it is no JSON: "),
        ("[" * 100000, "it is no JSON: "),
        (b"\xff\xfe\xff", "it is no JSON: "),
        (" " * (1024 * 1024 + 1), "it has 1048577 bytes, at most 1048576 are right"),
    ],
    ids=["empty", "cut off", "nested", "not text", "large"],
)
def test_configuration_files_that_no_loader_reads_are_left_out(driver, content, says) -> None:
    path = "/usr/share/glvnd/egl_vendor.d/10_nvidia.json"
    driver.file(path, content)
    files, _symlinks, warnings = chosen(driver)
    assert "share/glvnd/egl_vendor.d/10_nvidia.json" not in files
    (warning,) = warnings
    assert warning.startswith(f"left out {path}: {says}")


def test_a_configuration_file_of_any_size_and_content_may_be_data(driver) -> None:
    """nvoptix.bin has a hundred megabytes."""
    with open(driver.file("/usr/share/nvidia/nvoptix.bin", b"\0"), "r+b") as file:
        file.truncate(100 * 1024 * 1024)
    files, _symlinks, warnings = chosen(driver)
    assert "share/nvidia/nvoptix.bin" in files
    assert warnings == ()


@pytest.mark.parametrize(
    ("machine", "bits", "says"),
    [
        (elf.EM_AARCH64, 64, "it is a file of 64 bits for aarch64, lib64 is for x86_64"),
        (elf.EM_386, 32, "it is a file of 32 bits for i386, lib64 is for x86_64"),
        (elf.EM_386, 64, "it is a file of 64 bits for i386, lib64 is for x86_64"),
        (21, 64, "it is a file of 64 bits for machine 21, lib64 is for x86_64"),
    ],
)
def test_a_library_of_another_machine_is_left_out(driver, make_elf, machine, bits, says) -> None:
    data = make_elf("libnvidia-cfg.so.1", bits=bits, machine=machine)
    driver.library(f"{LIB}/libnvidia-cfg.so.{VERSION}", data=data)
    files, _symlinks, warnings = chosen(driver)
    assert f"lib64/libnvidia-cfg.so.{VERSION}" not in files
    assert warnings == (f"left out {LIB}/libnvidia-cfg.so.{VERSION}: {says}",)


def test_a_32_bit_directory_takes_no_other_twin_than_i386(driver, make_elf) -> None:
    data = make_elf("libnvidia-ml.so.1", bits=32, machine=40)
    driver.library(f"/usr/lib32/libnvidia-ml.so.{VERSION}", data=data, bits=32)
    files, _symlinks, warnings = chosen(driver)
    assert f"lib/libnvidia-ml.so.{VERSION}" not in files
    assert "for machine 40, lib is for i386" in warnings[0]
