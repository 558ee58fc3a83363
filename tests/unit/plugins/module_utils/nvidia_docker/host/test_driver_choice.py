# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of a machine are its driver's."""

from __future__ import annotations

import os

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverFilesError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import driver_root

LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"


def chosen(driver, version=VERSION):
    driver.ldconfig()
    choice = driver_root.choose(driver.root, driver_root.candidates(driver.root), version)
    return {c.path: c.origin for c in choice.files}, dict(choice.symlinks), choice.warnings


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        ("/usr/lib/file", "/usr/lib/file"),
        ("/lib/file", "/usr/lib/file"),
        ("//lib/./file", "/usr/lib/file"),
        ("/absolute", "/usr/lib/file"),
        ("/../../lib/file", "/usr/lib/file"),
        ("/usr/lib/escape", "/usr/lib/file"),
        ("/usr/lib/escape-all", "/"),
        ("/dangling", None),
        ("/loop", None),
        ("/usr/lib/file/below", None),
        ("/nothing", None),
        ("/nul\0", None),
    ],
)
def test_links_stay_inside_of_the_root(tmp_path, path, resolved) -> None:
    """As after chroot: neither absolute links nor .. lead out."""
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/file").touch()
    for name, target in {
        "lib": "usr/lib",
        "absolute": "/lib/file",
        "usr/lib/escape": "../../../../lib/file",
        "usr/lib/escape-all": "../../../../..",
        "dangling": "/usr/lib/none",
        "loop": "loop",
    }.items():
        (tmp_path / name).symlink_to(target)
    assert driver_root.resolve(str(tmp_path), path) == resolved


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


def test_a_library_of_the_other_class_is_left_out(driver, make_elf) -> None:
    driver.library(
        f"{LIB}/libnvidia-cfg.so.{VERSION}", data=make_elf("libnvidia-cfg.so.1", bits=32)
    )
    files, _symlinks, warnings = chosen(driver)
    assert f"lib64/libnvidia-cfg.so.{VERSION}" not in files
    assert "a file of 32 bits can't be in lib64" in warnings[0]


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
    assert f"no 64-bit libnvidia-ml.so of driver {version}" in str(info.value)
    assert f"leads to {LIB}/libnvidia-ml.so.{VERSION}" in str(info.value)


def test_no_driver_at_all_says_where_it_was_looked_for(empty_driver) -> None:
    with pytest.raises(DriverFilesError) as info:
        chosen(empty_driver)
    assert f"{empty_driver.root}/etc/ld.so.cache leads to none at all" in str(info.value)


def test_no_cache_is_one_sentence(empty_driver) -> None:
    with pytest.raises(DriverFilesError, match=r"can't read the loader's cache .*; run ldconfig"):
        driver_root.candidates(empty_driver.root)
