# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver's files as a loader or a driver volume finds them: names, SONAMEs, links, needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import simulated_gpu
from simgpu import catalogue

SOURCES = Path(simulated_gpu.__file__).parent / "src"


def dynamic(path: Path, kind: str) -> list[str]:
    command = ["readelf", "--wide", "--dynamic", str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(rf"\({kind}\).*\[(.*)\]", output)


def test_sonames_and_links(driver: Any, read: Any) -> None:
    libraries = driver.prefix / "lib"
    for path in libraries.rglob("*.so*"):
        if path.is_symlink():
            assert path.resolve().is_file() and path.resolve().parent == path.parent, path
        elif path.name != "volume.so":
            (soname,) = dynamic(path, "SONAME")
            assert (path.parent / soname).resolve() == path
    version = read("zoo5")["driver"]
    for name in ("libnvidia-ml", "libcuda"):
        assert (libraries / f"{name}.so").resolve().name == f"{name}.so.{version}"


def test_loaders_need_each_other(driver: Any) -> None:
    libraries = driver.prefix / "lib"
    assert dynamic(libraries / "libGL.so.1", "NEEDED") == ["libGLX.so.0", "libGLdispatch.so.0"]
    assert dynamic(libraries / "libEGL.so.1", "NEEDED") == ["libGLdispatch.so.0"]


def test_tls_library_is_marked_as_the_modern_one(driver: Any) -> None:
    command = ["readelf", "--notes", str(driver.prefix / "lib" / "libnvidia-tls.so.375.26")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "NT_GNU_ABI_TAG" in output and "2.3.99" in output


@pytest.mark.parametrize(
    ("driver", "there", "missing"),
    [
        (
            "375.26",
            ["libnvidia-fatbinaryloader.so.375.26", "libnvidia-compiler.so.375.26", "libGL.so.1"],
            ["libnvidia-nvvm.so.375.26", "libnvidia-allocator.so.375.26"],
        ),
        (
            "550.163.01",
            ["libnvidia-nvvm.so.550.163.01", "libnvidia-gpucomp.so.550.163.01"],
            ["libnvidia-fatbinaryloader.so.550.163.01", "libGL.so.1"],
        ),
    ],
)
def test_files_by_version(driver: str, there: list[str], missing: list[str]) -> None:
    files = {stub.file.format(version=driver) for stub in catalogue.stub_libraries(driver)}
    assert files >= set(there)
    assert not files & set(missing)


def test_sources_compile_without_warning() -> None:
    sources = [str(path) for path in SOURCES.glob("*.c")]
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", '-DPROGRAM="x"']
    done = subprocess.run(["gcc", *flags, *sources], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_symbol_of_a_newer_c_library(driver: Any) -> None:
    """Containers with an older glibc than the host's load these: nothing newer than 2.34."""
    files = [driver.library, driver.prefix / "lib/libcuda.so.1", driver.prefix / "bin/nvidia-smi"]
    for path in files:
        command = ["readelf", "--wide", "--version-info", str(path)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        versions = {int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", output)}
        assert max(versions) <= 34, path
