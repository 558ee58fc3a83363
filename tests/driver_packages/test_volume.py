# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Discovery and driver volumes on what Debian's packages really install."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import driver_packages
import pytest

ESSENTIAL = ("libcuda.so", "libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1")
"""Names that CUDA programs look for."""


@pytest.fixture
def without_cache(driver) -> Iterator[None]:
    """The root while its loader's cache is moved away."""
    cache = driver.root / "etc/ld.so.cache"
    aside = cache.with_name("ld.so.cache.aside")
    cache.rename(aside)
    try:
        yield
    finally:
        aside.rename(cache)


def names_in(choice) -> set[str]:
    return {c.path for c in choice.files} | {name for name, _target in choice.symlinks}


def test_discovery_has_nothing_to_complain_of(driver) -> None:
    choice = driver.choice()
    assert choice.warnings == ()
    assert {"bin/nvidia-smi", *(f"lib64/{name}" for name in ESSENTIAL)} <= names_in(choice)


def test_32_bit_twins_lie_in_lib(driver) -> None:
    names = names_in(driver.choice())
    twins = {f"lib/{name}" for name in ESSENTIAL}
    assert twins & names == (twins if driver.record["machine"] == "x86_64" else set())


def test_other_software_is_left_out(driver) -> None:
    names = {os.path.basename(name) for name in names_in(driver.choice())}
    assert not {n for n in names if "mesa" in n or n.startswith(("libOpenCL", "libvdpau.so"))}


def test_every_file_of_a_volume_is_a_hard_link(driver, store: Path) -> None:
    volume = driver.volume(store)
    files = driver.choice().files
    assert [
        c.path for c in files if not os.path.samefile(volume / c.path, f"{driver.root}{c.origin}")
    ] == []
    assert driver.differences(store) == ()


def test_a_volume_has_all_that_its_files_need_of_the_driver(driver, store: Path) -> None:
    """Else the image would have to have a part of the driver."""
    volume = driver.volume(store)
    sonames = {
        fact["elf"]["soname"]
        for fact in driver.record["files"]
        if driver.record["driver_version"] in fact["path"] and "elf" in fact
    }
    for folder in ("lib", "lib64"):
        files = [f for f in (volume / folder).iterdir() if not f.is_symlink()]
        needed = {name for file in files for name in driver_packages.elf.read(str(file)).needed}
        missing = {name for name in needed & sonames if not (volume / folder / name).exists()}
        assert missing == set()


def test_nvidia_smi_finds_nvml_in_the_volume(driver, store: Path) -> None:
    if driver.record["machine"] != platform.machine():
        pytest.skip("its programs are another machine's")
    volume = driver.volume(store)
    environment = {"LD_LIBRARY_PATH": f"{volume}/lib64", "LD_DEBUG": "libs"}
    smi = subprocess.run(
        [volume / "bin/nvidia-smi"], env=environment, capture_output=True, text=True, check=False
    )
    assert f"calling init: {volume}/lib64/libnvidia-ml.so.1" in smi.stderr


def test_a_volume_is_the_same_without_the_loaders_cache(driver, without_cache, store: Path) -> None:
    driver.volume(store)
    assert driver.differences(store) == ()
    names = names_in(driver.choice())
    assert {"bin/nvidia-smi", *(f"lib64/{name}" for name in ESSENTIAL)} <= names
