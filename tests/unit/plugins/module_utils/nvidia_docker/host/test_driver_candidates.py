# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the catalogue names and a machine has, before a file is opened."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_candidates,
)

LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"


def test_a_candidate_is_what_lstat_says(driver) -> None:
    path = driver.path(f"{LIB}/libcuda.so.{VERSION}")
    path.chmod(0o4751)
    os.utime(path, ns=(1, 2))
    (found,) = (
        c
        for c in driver_candidates.candidates(driver.root)
        if c.origin.startswith(LIB) and c.catalogue_name == "libcuda"
    )
    status = path.lstat()
    assert found == driver_candidates.Candidate(
        directory="lib64",
        catalogue_name="libcuda",
        file_name=f"libcuda.so.{VERSION}",
        origin=f"{LIB}/libcuda.so.{VERSION}",
        inode=status.st_ino,
        size=5000,
        modified_ns=2,
        owner=status.st_uid,
        mode=0o4751,
    )
    assert found.path == f"lib64/libcuda.so.{VERSION}"


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no cache"])
def test_nothing_but_the_loaders_cache_is_opened(driver, cache) -> None:
    driver.file("/etc/vulkan/icd.d/nvidia_icd.json", "{}")
    if not cache:
        (driver.root / "etc/ld.so.cache").unlink()
    opened = []
    watching = [True]

    def hook(event, arguments):
        if event == "open" and watching and str(driver.root) in str(arguments[0]):
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)
    found = driver_candidates.candidates(driver.root)
    watching.clear()
    assert len(found) == 5
    assert opened == [f"{driver.root}/etc/ld.so.cache"]


@pytest.mark.parametrize(
    ("paths", "directories"),
    [
        ([], ["bin", "lib", "lib64", "share"]),
        (["lib64/libcuda.so.1"], ["bin", "lib", "lib64", "share"]),
        (
            ["share/vulkan/icd.d/nvidia_icd.json", "share/nvidia/nvoptix.bin"],
            ["bin", "lib", "lib64", "share", "share/nvidia", "share/vulkan", "share/vulkan/icd.d"],
        ),
    ],
)
def test_directories_come_parents_first(paths, directories) -> None:
    assert list(driver_candidates.directories_of(paths)) == directories


ML, CUDA = "libnvidia-ml", "libcuda"


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ([("lib64", ML, "550.54.15"), ("lib64", CUDA, "535.1")], "550.54.15"),
        ([("lib64", CUDA, "535.1"), ("lib64", ML, "550.54.15")], "550.54.15"),
        ([("lib64", CUDA, "535.1"), ("lib64", ML, "1")], "535.1"),
        ([("lib", ML, "535.1"), ("lib64", ML, "550.54.15")], "550.54.15"),
        ([("lib64", ML, "550.54.15"), ("lib64", ML, "535.1")], "550.54.15"),
        ([("lib", ML, "550.54.15")], None),
        ([("lib64", ML, "1"), ("lib64", "libnvidia-glcore", "535.1")], None),
        ([], None),
    ],
)
def test_the_installed_version_is_in_the_files_names(driver, files, version) -> None:
    some = driver_candidates.candidates(driver.root)[0]
    found = [
        replace(some, directory=where, catalogue_name=name, file_name=f"{name}.so.{suffix}")
        for where, name, suffix in files
    ]
    assert driver_candidates.version_of(found) == version


def test_firmware_is_what_the_kernel_would_load(driver) -> None:
    """Updates and the running kernel's own first; nothing of another version."""
    release = os.uname().release
    driver.link("/lib", "usr/lib")
    for path in (
        f"nvidia/{VERSION}/gsp_tu10x.bin",
        f"nvidia/{VERSION}/gsp_ga10x.bin",
        f"nvidia/{VERSION}/gsp_ad10x.bin",
        f"nvidia/{VERSION}/README",
        "nvidia/535.1/gsp_tu10x.bin",
        f"updates/nvidia/{VERSION}/gsp_ga10x.bin",
        f"updates/{release}/nvidia/{VERSION}/gsp_ad10x.bin",
        f"updates/nvidia/{VERSION}/gsp_ad10x.bin",
    ):
        driver.file(f"/usr/lib/firmware/{path}", "")
    assert driver_candidates.firmware(driver.root, VERSION) == (
        f"/lib/firmware/updates/{release}/nvidia/{VERSION}/gsp_ad10x.bin",
        f"/lib/firmware/updates/nvidia/{VERSION}/gsp_ga10x.bin",
        f"/lib/firmware/nvidia/{VERSION}/gsp_tu10x.bin",
    )
    assert driver_candidates.firmware(driver.root, "1") == ()


def test_without_the_cache_the_loaders_link_tells_the_driver_from_a_left_over(driver) -> None:
    """An older driver's file sorts before, but ``libnvidia-ml.so.1`` does not lead to it."""
    driver.library(f"{LIB}/libnvidia-ml.so.535.1")
    (driver.root / "etc/ld.so.cache").unlink()
    found = driver_candidates.candidates(driver.root)
    names = [c.file_name for c in found if c.catalogue_name == ML]
    assert names == [f"libnvidia-ml.so.{VERSION}", "libnvidia-ml.so.535.1"]
    assert driver_candidates.version_of(found) == VERSION


def test_without_the_cache_the_newest_of_old_ubuntus_drivers_comes_first(empty_driver) -> None:
    for major in ("375", "384", "340"):
        empty_driver.library(f"/usr/lib/nvidia-{major}/libnvidia-ml.so.{major}.1")
    empty_driver.library("/usr/lib/nvidia-384-prime/libnvidia-ml.so.999.1")
    found = driver_candidates.candidates(empty_driver.root)
    assert [c.file_name for c in found] == [f"libnvidia-ml.so.{n}.1" for n in ("384", "375", "340")]
