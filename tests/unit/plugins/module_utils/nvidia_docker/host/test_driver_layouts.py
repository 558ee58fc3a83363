# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wherever installers and packages put a driver, the volume has the same in it."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_candidates,
    driver_choice,
    elf,
)

VERSION = "550.54.15"
OLD = "375.26"
X86, ARM = "x86_64-linux-gnu", "aarch64-linux-gnu"
TWIN = "i386-linux-gnu"
ICD = '{"file_format_version": "1.0.0", "ICD": {"library_path": "libGLX_nvidia.so.0"}}'
LIBRARIES = {
    "libcuda": "libcuda.so.1",
    "libnvidia-ml": "libnvidia-ml.so.1",
    "libnvidia-glcore": None,
    "libGLX_nvidia": "libGLX_nvidia.so.0",
}
TWINS = ("libcuda", "libnvidia-glcore")
VDPAU = "libvdpau_nvidia"


def install(driver, wide: str, narrow: str | None = None, version=VERSION, **more: Any) -> None:
    """Libraries as the installer makes them: ``.so.1`` is a link to ``.so.<version>``."""
    for name, soname in LIBRARIES.items():
        file = f"{name}.so.{version}"
        driver.library(f"{wide}/{file}", soname or file, **more)
        if narrow is not None and name in TWINS:
            driver.library(f"{narrow}/{file}", soname or file, bits=32)


def vdpau(driver, place: str, version=VERSION, listed: bool = False, **more: Any) -> None:
    """``vdpau/`` is in no ld.so.conf; NVIDIA's installer makes a link that ldconfig finds."""
    before = list(driver.entries)
    driver.library(f"{place}/vdpau/{VDPAU}.so.{version}", f"{VDPAU}.so.1", **more)
    driver.entries = before
    if listed:
        driver.link(f"{place}/{VDPAU}.so", f"vdpau/{VDPAU}.so.{version}")
        driver.link(f"{place}/{VDPAU}.so.1", f"{VDPAU}.so")
        driver.entries.append((f"{VDPAU}.so.1", f"{place}/{VDPAU}.so.1", "x86-64"))


def merged_usr(driver) -> None:
    for name in ("bin", "sbin", "lib"):
        driver.link(f"/{name}", f"usr/{name}")


def run_on_debian(driver) -> None:
    merged_usr(driver)
    install(driver, f"/usr/lib/{X86}", f"/usr/lib/{TWIN}")
    vdpau(driver, f"/usr/lib/{X86}", listed=True)
    driver.program("/usr/bin/nvidia-smi")
    driver.file("/etc/vulkan/icd.d/nvidia_icd.json", ICD)


def run_on_rpm(driver) -> None:
    merged_usr(driver)
    driver.link("/lib64", "usr/lib64")
    install(driver, "/usr/lib64", "/usr/lib")
    vdpau(driver, "/usr/lib64", listed=True)
    driver.program("/usr/bin/nvidia-smi")
    driver.file("/etc/vulkan/icd.d/nvidia_icd.json", ICD)


def run_on_arch(driver) -> None:
    merged_usr(driver)
    driver.link("/usr/lib64", "lib")
    install(driver, "/usr/lib", "/usr/lib32")
    vdpau(driver, "/usr/lib")
    driver.program("/usr/bin/nvidia-smi")
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.json", ICD)


def one_library_directory(driver) -> None:
    """As in a root with nothing but a driver."""
    install(driver, "/usr/lib", "/usr/lib32")
    vdpau(driver, "/usr/lib")
    driver.program("/usr/local/bin/nvidia-smi")
    driver.file("/usr/local/share/vulkan/icd.d/nvidia_icd.json", ICD)


def debian(driver) -> None:
    """Every SONAME is an alternative's link; ldconfig sees the links only."""
    merged_usr(driver)
    install(driver, f"/usr/lib/{X86}/nvidia/current", f"/usr/lib/{TWIN}/nvidia/current")
    driver.library(f"/usr/lib/{X86}/nvidia/current/{VDPAU}.so.{VERSION}", f"{VDPAU}.so.1")
    entries = []
    for name, path, abi in driver.entries:
        place = path.rpartition("/nvidia/current/")[0]
        place += "/vdpau" if name.startswith(VDPAU) else ""
        alternative = f"/etc/alternatives/nvidia--{name}-{abi}"
        driver.link(alternative, f"{path.rpartition('/')[0]}/{name}")
        driver.link(f"{place}/{name}", alternative)
        if not name.startswith(VDPAU):
            entries.append((name, f"{place}/{name}".replace("/usr/lib", "/lib", 1), abi))
    driver.entries = entries
    driver.program("/usr/lib/nvidia/current/nvidia-smi")
    driver.link("/etc/alternatives/nvidia--nvidia-smi", "/usr/lib/nvidia/current/nvidia-smi")
    driver.link("/usr/bin/nvidia-smi", "/etc/alternatives/nvidia--nvidia-smi")
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.json", ICD)


def ubuntu(driver) -> None:
    merged_usr(driver)
    install(driver, f"/usr/lib/{X86}", f"/usr/lib/{TWIN}")
    vdpau(driver, f"/usr/lib/{X86}")
    driver.program("/usr/bin/nvidia-smi")
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.json", ICD)


def fedora(driver) -> None:
    """RPM Fusion's and NVIDIA's packages name the Vulkan file after the machine."""
    merged_usr(driver)
    driver.link("/lib64", "usr/lib64")
    install(driver, "/usr/lib64", "/usr/lib")
    vdpau(driver, "/usr/lib64")
    driver.program("/usr/bin/nvidia-smi")
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.x86_64.json", ICD)
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.i686.json", ICD)


def enterprise_linux_7(driver) -> None:
    driver.link("/lib", "usr/lib")
    driver.link("/lib64", "usr/lib64")
    install(driver, "/usr/lib64/nvidia", "/usr/lib/nvidia")
    vdpau(driver, "/usr/lib64")
    driver.program("/usr/bin/nvidia-smi")
    driver.file("/etc/vulkan/icd.d/nvidia_icd.json", ICD)


def old_ubuntu(driver) -> None:
    """Up to 16.04: a directory per driver, libcuda beside the system's libraries."""
    place = "/usr/lib/nvidia-375"
    install(driver, place, "/usr/lib32/nvidia-375", OLD)
    for entry in list(driver.entries):
        name, path, _abi = entry
        if name == "libcuda.so.1" and path.startswith(place):
            driver.entries.remove(entry)
            driver.path(path).unlink()
            (driver.root / f"{place}/{name}".lstrip("/")).unlink()
    driver.library(f"/usr/lib/{X86}/libcuda.so.{OLD}", "libcuda.so.1")
    tls = f"libnvidia-tls.so.{OLD}"
    driver.library(f"{place}/tls/{tls}", tls, kernel_abi=(2, 3, 99))
    driver.library(f"{place}/{tls}", tls, kernel_abi=(2, 2, 5))
    vdpau(driver, f"/usr/lib/{X86}", OLD)
    driver.program(f"{place}/bin/nvidia-smi")
    driver.link("/etc/alternatives/x86_64-linux-gnu_nvidia_smi", f"{place}/bin/nvidia-smi")
    driver.link("/usr/bin/nvidia-smi", "/etc/alternatives/x86_64-linux-gnu_nvidia_smi")
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.json", ICD)


def arm_debian(driver) -> None:
    merged_usr(driver)
    install(driver, f"/usr/lib/{ARM}", machine=elf.EM_AARCH64)
    vdpau(driver, f"/usr/lib/{ARM}", machine=elf.EM_AARCH64)
    driver.program("/usr/bin/nvidia-smi", machine=elf.EM_AARCH64)
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.json", ICD)


def arm_rpm(driver) -> None:
    merged_usr(driver)
    driver.link("/lib64", "usr/lib64")
    install(driver, "/usr/lib64", machine=elf.EM_AARCH64)
    vdpau(driver, "/usr/lib64", machine=elf.EM_AARCH64)
    driver.program("/usr/bin/nvidia-smi", machine=elf.EM_AARCH64)
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.aarch64.json", ICD)
    driver.file("/usr/share/vulkan/icd.d/nvidia_icd.x86_64.json", ICD)


class Layout(NamedTuple):
    make: Callable[..., None]
    version: str = VERSION
    twins: bool = True
    icds: tuple[str, ...] = ("nvidia_icd.json",)
    more: tuple[str, ...] = ()


LAYOUTS = (
    Layout(run_on_debian),
    Layout(run_on_rpm),
    Layout(run_on_arch),
    Layout(one_library_directory),
    Layout(debian),
    Layout(ubuntu),
    Layout(fedora, icds=("nvidia_icd.x86_64.json", "nvidia_icd.i686.json")),
    Layout(enterprise_linux_7),
    Layout(old_ubuntu, OLD, more=(f"lib64/libnvidia-tls.so.{OLD}",)),
    Layout(arm_debian, twins=False),
    Layout(arm_rpm, twins=False, icds=("nvidia_icd.aarch64.json",)),
)


def expected(layout: Layout) -> set[str]:
    version = layout.version
    names = {f"lib64/{name}.so.{version}" for name in (*LIBRARIES, VDPAU)}
    names |= {f"lib64/{soname}" for soname in LIBRARIES.values() if soname}
    names |= {f"lib64/{VDPAU}.so.1", "lib64/libcuda.so", "lib64/libGLX_indirect.so.0"}
    if layout.twins:
        names |= {f"lib/{name}.so.{version}" for name in TWINS}
        names |= {"lib/libcuda.so", "lib/libcuda.so.1"}
    return (
        names
        | {"bin/nvidia-smi", *(f"share/vulkan/icd.d/{name}" for name in layout.icds)}
        | {*layout.more}
    )


@pytest.mark.parametrize("host", ["x86_64", "aarch64"])
@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.make.__name__)
def test_every_layout_gives_the_same(empty_driver, layout, cache, host) -> None:
    """On either host: a root with one driver has that driver."""
    layout.make(empty_driver)
    if cache:
        empty_driver.ldconfig()
    root = empty_driver.root
    found = driver_candidates.candidates(root, host)
    version = driver_candidates.version_of(found)
    assert version == layout.version
    choice = driver_choice.choose(root, found, version, machine=host)
    names = [c.path for c in choice.files] + [name for name, _target in choice.symlinks]
    assert set(names) == expected(layout)
    assert len(set(names)) == len(names)
    searched = [w for w in choice.warnings if w.startswith("the usual library directories")]
    assert len(searched) == (0 if cache else 1)
    assert list(choice.warnings) == searched


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize(("host", "other"), [("x86_64", "aarch64"), ("aarch64", "x86_64")])
def test_the_hosts_machine_wins_in_a_root_with_two(empty_driver, host, other, cache) -> None:
    arm_debian(empty_driver)
    install(empty_driver, f"/usr/lib/{X86}", f"/usr/lib/{TWIN}")
    if cache:
        empty_driver.ldconfig()
    found = driver_candidates.candidates(empty_driver.root, host)
    choice = driver_choice.choose(empty_driver.root, found, VERSION, machine=host)
    libraries = [c.origin for c in choice.files if c.directory == "lib64"]
    assert libraries
    assert all(f"/{host}-linux-gnu/" in origin for origin in libraries)
    assert not any(other in warning for warning in choice.warnings if "nvidia-smi" not in warning)
    assert any(c.directory == "lib" for c in choice.files) is (host == "x86_64")
