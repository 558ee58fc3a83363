# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver's files on this host: which are ours, compiling and putting in place, taking away."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import catalogue, compiling, layout
from .files import replace_file, replace_text
from .flat import DRIVER_NOT_LOADED, LIBRARY_MISMATCH, with_init_error
from .machine import SimulationError
from .state_file import read_state, write_state


def manifest() -> dict[str, Any]:
    """Version, digest of the sources and paths of what was put in place; empty when nothing was."""
    try:
        found = json.loads(layout.MANIFEST.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SimulationError(
            f"{layout.MANIFEST} is damaged ({error}): remove it and the files of the driver"
        ) from error
    return dict(found)


def own_files() -> set[str]:
    return set(manifest().get("files", []))


def own_folders() -> set[str]:
    """Library directories that were not there."""
    return set(manifest().get("folders", []))


def nvml_library(driver: str) -> Path:
    return layout.libraries() / catalogue.NVML.file.format(version=driver)


def source_digest(sources: Path) -> str:
    """One digest over all C sources and what decides how they are compiled."""
    digest = hashlib.sha256()
    package = sources.parent / "simgpu"
    for path in [*sorted(sources.iterdir()), package / "catalogue.py", package / "compiling.py"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_installed(driver: str, sources: Path) -> bool:
    """Whether this very driver is in place with all its files."""
    made = manifest()
    return (
        made.get("driver") == driver
        and made.get("sources") == source_digest(sources)
        and all(os.path.lexists(path) for path in made["files"])
    )


def foreign_files() -> list[str]:
    """NVML libraries in the library directory that are not of our making."""
    found = layout.libraries().glob("libnvidia-ml.so*")
    return sorted({str(path) for path in found} - own_files())


def install_driver(driver: str, sources: Path, state: str) -> None:
    """Compiles the driver and replaces the one in place, which a failure leaves in use.

    :raises SimulationError: the compiler failed, or a file of another package is in the way
    """
    layout.STATE.mkdir(mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=layout.STATE, prefix="build-") as folder:
        staged = Path(folder)
        compiling.compile_driver(driver, staged, sources)
        write_state(staged / "lib" / catalogue.NVML.file.format(version=driver), state)
        _put_in_place(driver, source_digest(sources), staged)
    subprocess.run(["ldconfig"], check=True)


def _put_in_place(driver: str, digest: str, staged: Path) -> None:
    old = own_files()
    shared = {stub.soname for stub in catalogue.stub_libraries(driver) if stub.shared}
    targets: dict[str, Path] = {}
    for folder, place in (("lib", layout.libraries()), ("bin", layout.PROGRAMS)):
        for path in sorted((staged / folder).rglob("*")):
            target = place / path.relative_to(staged / folder)
            if path.is_dir() and not path.is_symlink():
                continue
            if os.path.lexists(target) and str(target) not in old:
                if target.name in shared:
                    continue
                raise SimulationError(
                    f"{target} belongs to another package: remove it before a driver is simulated"
                )
            targets[str(target)] = path
    folders = own_folders() | {
        str(parent) for parent in {Path(name).parent for name in targets} if not parent.exists()
    }
    # Named before it is made: whatever happens now, the file is known as ours.
    _write_manifest({"files": sorted(old | set(targets)), "folders": sorted(folders)})
    for name, path in targets.items():
        Path(name).parent.mkdir(exist_ok=True)
        replace_file(path, Path(name))
    _unlink(old - set(targets), LIBRARY_MISMATCH)
    _write_manifest(
        {
            "driver": driver,
            "sources": digest,
            "files": sorted(targets),
            "folders": sorted(folders),
        }
    )


def _write_manifest(content: dict[str, Any]) -> None:
    replace_text(layout.MANIFEST, json.dumps(content, indent=1) + "\n")


def remove_driver() -> None:
    _unlink(own_files(), DRIVER_NOT_LOADED)
    for folder in own_folders():
        with suppress(OSError):
            # Not if it holds files of others.
            os.rmdir(folder)
    shutil.rmtree(layout.STATE, ignore_errors=True)
    subprocess.run(["ldconfig"], check=True)


def _unlink(names: Iterable[str], error: str) -> None:
    """A hard link in a driver volume lives on: NVML fails there as it does with an old library."""
    for path in map(Path, names):
        if path.name.startswith("libnvidia-ml.so.") and path.is_file() and not path.is_symlink():
            write_state(path, with_init_error(read_state(path), error))
        path.unlink(missing_ok=True)
