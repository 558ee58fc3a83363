# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the simulated driver: libraries that work, and true but empty ones."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import catalogue
from .machine import SimulationError
from .state_file import add_region

_NVML_SOURCES = (
    "state.c device.c system.c identity.c sample.c health.c process.c topology.c mig.c"
    " fields.c event.c calls.c unsupported.c"
).split()
_FLAGS = ["-std=gnu11", "-O1"]
_COUNTED = ["-finstrument-functions", "-Wl,-Bsymbolic"]
"""Calls are counted by address; a name that is edited out of the file is then missing, no more."""
_SHARED = ["-shared", "-fPIC", "-fvisibility=hidden"]


def compile_driver(driver: str, prefix: Path, sources: Path) -> None:
    """Fills ``prefix/lib`` and ``prefix/bin`` with the driver of a version, its links included.

    :param sources: directory of the C sources
    :raises SimulationError: no compiler, or it failed
    """
    libraries, programs = prefix / "lib", prefix / "bin"
    libraries.mkdir(parents=True, exist_ok=True)
    programs.mkdir(exist_ok=True)
    stubs = catalogue.stub_libraries(driver)
    for stub in stubs:
        (libraries / stub.folder).mkdir(exist_ok=True)
    commands = [
        _shared_library(
            catalogue.NVML,
            driver,
            libraries,
            [sources / name for name in _NVML_SOURCES],
            *_COUNTED,
        ),
        _shared_library(catalogue.CUDA, driver, libraries, [sources / "cuda.c"]),
        _program(sources / "nvidia_smi.c", programs / "nvidia-smi"),
        _program(sources / "nvidia_modprobe.c", programs / "nvidia-modprobe"),
        _object(sources / "stub.c", prefix / "stub.o"),
        _object(sources / "stub.c", prefix / "tls.o", "-DMODERN_TLS"),
    ]
    commands += [
        _program(sources / "driver_program.c", programs / name, f'-DPROGRAM="{name}"')
        for name in catalogue.stub_programs(driver)
    ]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(_run, commands))
        list(pool.map(_run, [_stub(stub, driver, prefix) for stub in stubs if not stub.needed]))
    # In the catalogue's order: the linker takes the SONAME out of a needed library.
    for stub in stubs:
        if stub.needed:
            _run(_stub(stub, driver, prefix))
    for name in ("stub.o", "tls.o"):
        (prefix / name).unlink()
    add_region(libraries / catalogue.NVML.file.format(version=driver))
    for library in (catalogue.NVML, catalogue.CUDA, *stubs):
        for link, target in links(library, driver):
            path = libraries / library.folder / link
            path.unlink(missing_ok=True)
            path.symlink_to(target)


def links(library: catalogue.Library, driver: str) -> list[tuple[str, str]]:
    """The links of a library as (name, target): SONAME to file, name without version to SONAME."""
    file, soname = library.file.format(version=driver), library.soname.format(version=driver)
    made = [(soname, file)] if soname != file else []
    if library.plain_link:
        made.append((file.split(".so")[0] + ".so", soname))
    return made


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except FileNotFoundError:
        raise SimulationError(
            f"no {command[0]} found: install gcc and the C library's headers"
        ) from None
    if done.returncode:
        raise SimulationError(f"{' '.join(command)} failed: {done.stdout.strip()}")


def _shared_library(
    library: catalogue.Library, driver: str, folder: Path, sources: Sequence[Path], *options: str
) -> list[str]:
    output = str(folder / library.file.format(version=driver))
    how = [*_FLAGS, *_SHARED, *options, f"-Wl,-soname,{library.soname}", "-o", output]
    return ["gcc", *how, *map(str, sources), "-ldl", "-lpthread"]


def _program(source: Path, output: Path, *options: str) -> list[str]:
    return ["gcc", *_FLAGS, *options, "-o", str(output), str(source), "-ldl"]


def _object(source: Path, output: Path, *options: str) -> list[str]:
    return ["gcc", *_FLAGS, "-fPIC", *options, "-c", "-o", str(output), str(source)]


def _stub(stub: catalogue.Library, driver: str, prefix: Path) -> list[str]:
    folder = prefix / "lib" / stub.folder
    source = "tls.o" if stub.file.startswith("libnvidia-tls") else "stub.o"
    soname = stub.soname.format(version=driver)
    needed = [str(prefix / "lib" / name) for name in stub.needed]
    output = str(folder / stub.file.format(version=driver))
    return [
        "ld",
        "-shared",
        f"-soname={soname}",
        "-o",
        output,
        str(prefix / source),
        "--no-as-needed",
        *needed,
    ]
