# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is particular in Debian's layout, and discovery has to cope with.

These facts are checked, so that code which counts on them learns when they change.
"""

from __future__ import annotations

import os

import pytest


class Layout:
    """Paths and links of a root, for one folder of libraries."""

    def __init__(self, record, triplet: str) -> None:
        self.links = {f["path"]: f["link"] for f in record["files"] if "link" in f}
        self.files = {f["path"]: f for f in record["files"] if "link" not in f}
        self.cached = {path for _name, path, _abi in record["cache"]}
        self.triplet, self.folder = triplet, f"/usr/lib/{triplet}"

    def chain(self, name: str) -> list[str]:
        """The last names of all links that are followed from a library, and of the file."""
        path, names = f"{self.folder}/{name}", []
        while path in self.links:
            path = os.path.normpath(os.path.join(os.path.dirname(path), self.links[path]))
            names.append(path.replace(self.folder, "").replace(self.triplet, "TRIPLET"))
        assert path in self.files
        return names


@pytest.fixture
def layouts(driver) -> dict[str, Layout]:
    """By triplet, the 64-bit one first."""
    record = driver.record
    main = f"{record['machine']}-linux-gnu"
    triplets = (main, "i386-linux-gnu") if record["machine"] == "x86_64" else (main,)
    return {triplet: Layout(record, triplet) for triplet in triplets}


def test_libraries_are_reached_through_absolute_links(layouts, driver) -> None:
    """In a driver root other than / they lead out of it, unless they are taken as inside."""
    for layout in layouts.values():
        assert layout.chain("libnvidia-ml.so.1") == [
            "/etc/alternatives/nvidia--libnvidia-ml.so.1-TRIPLET",
            "/nvidia/current/libnvidia-ml.so.1",
            f"/nvidia/current/libnvidia-ml.so.{driver.version}",
        ]


def test_one_library_takes_two_alternatives(layouts, driver) -> None:
    layout = next(iter(layouts.values()))
    assert layout.chain("libnvidia-cfg.so.1") == [
        "/etc/alternatives/glx--libnvidia-cfg.so.1-TRIPLET",
        "/nvidia/libnvidia-cfg.so.1",
        "/etc/alternatives/nvidia--libnvidia-cfg.so.1-TRIPLET",
        "/nvidia/current/libnvidia-cfg.so.1",
        f"/nvidia/current/libnvidia-cfg.so.{driver.version}",
    ]


def test_the_vdpau_driver_is_not_in_the_loaders_cache(layouts) -> None:
    """It is loaded by its path: the cache alone does not find it."""
    for layout in layouts.values():
        assert layout.chain("vdpau/libvdpau_nvidia.so.1")
        assert not [path for path in layout.cached if "vdpau_nvidia" in path]


def test_glvnds_loaders_are_diverted(layouts) -> None:
    layout = next(iter(layouts.values()))
    assert layout.chain("libGL.so.1") == [
        "/etc/alternatives/glx--libGL.so.1-TRIPLET",
        "/usr/lib/mesa-diverted/TRIPLET/libGL.so.1",
        "/usr/lib/mesa-diverted/TRIPLET/libGL.so.1.7.0",
    ]


def test_a_link_may_have_another_librarys_name(layouts, driver) -> None:
    layout = next(iter(layouts.values()))
    for name, library in (
        ("libGLX_indirect.so.0", "libGLX_nvidia"),
        ("gbm/nvidia-drm_gbm.so", "libnvidia-allocator"),
    ):
        assert os.path.basename(layout.chain(name)[-1]) == f"{library}.so.{driver.version}"


def test_a_driver_library_may_have_no_version_in_its_name(layouts) -> None:
    for triplet, layout in layouts.items():
        unversioned = {
            os.path.basename(path)
            for path, fact in layout.files.items()
            if path.startswith(f"{layout.folder}/nvidia/current/lib")
            and "elf" in fact
            and path.endswith((".so", ".so.1"))
        }
        assert unversioned == (set() if triplet.startswith("i386") else {"libnvidia-api.so.1"})


def test_programs_are_reached_through_alternatives_too(driver) -> None:
    links = {f["path"]: f["link"] for f in driver.record["files"] if "link" in f}
    assert links["/usr/bin/nvidia-smi"] == "/etc/alternatives/nvidia--nvidia-smi"
    assert links["/etc/alternatives/nvidia--nvidia-smi"] == "/usr/lib/nvidia/current/nvidia-smi"
