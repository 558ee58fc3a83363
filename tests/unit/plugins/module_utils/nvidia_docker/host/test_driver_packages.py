# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the real packages of distributions give, against what was agreed to be right.

REWRITE_GOLDEN=1 in the environment writes down what is chosen now; look at every changed line.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
    ENTRIES,
    EXCLUDED,
    LIBRARIES,
    DriverCapability,
    library_name,
    needed_for,
    with_implied,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_candidates,
    driver_choice,
)

GOLDEN = Path(__file__).resolve().parents[5] / "golden"
RECORDS = sorted(path.stem for path in (GOLDEN / "driver_packages").glob("*.json"))
FOREIGN = re.compile(r"lib(EGL|GLX|GLESv[12])_mesa|libvdpau|libvdpau_trace|libxcb.*|libX.*")
"""What other software's packages in a record bring."""


def record_of(name: str) -> dict:
    return json.loads((GOLDEN / "driver_packages" / f"{name}.json").read_text())


def chosen(root: Path, record: dict, capabilities=ALL_CAPABILITIES) -> dict:
    found = driver_candidates.candidates(root, record["machine"])
    version = driver_candidates.version_of(found)
    assert version == record["driver_version"]
    choice = driver_choice.choose(root, found, version, capabilities, record["machine"])
    files = {
        c.path: {
            "origin": c.origin,
            "capability": " ".join(sorted(need.value for need in needed_for(c.catalogue_name))),
        }
        for c in choice.files
    }
    return {
        "files": dict(sorted(files.items())),
        "symlinks": dict(choice.symlinks),
        "warnings": list(choice.warnings),
    }


def of_capabilities(golden: dict, capabilities) -> dict:
    """Return the part of a golden file that a container with these capabilities gets."""
    wanted = {capability.value for capability in with_implied(capabilities)}
    files = {
        path: file
        for path, file in golden["files"].items()
        if wanted.intersection(file["capability"].split())
        and ("compat32" in wanted or not path.startswith("lib/"))
    }
    symlinks = {
        path: target
        for path, target in golden["symlinks"].items()
        if f"{path.rpartition('/')[0]}/{target}" in files
    }
    return {**golden, "files": files, "symlinks": symlinks}


@pytest.fixture(scope="module", params=RECORDS)
def package(request, make_driver, tmp_path_factory):
    """(name, record, driver root) of every record."""
    record = record_of(request.param)
    driver = make_driver(tmp_path_factory.mktemp(request.param) / "driver")
    driver.replay(record)
    return request.param, record, driver.root


@pytest.fixture(params=["missing", "damaged", "of no driver"])
def package_without_cache(request, package, make_cache):
    """The same with a loader's cache that is no use."""
    cache = package[2] / "etc/ld.so.cache"
    right = cache.read_bytes()
    cache.unlink()
    if request.param != "missing":
        cache.write_bytes(b"?" if request.param == "damaged" else make_cache([]))
    yield package
    cache.write_bytes(right)


def test_records_are_there() -> None:
    assert RECORDS


def test_what_is_chosen_is_what_was_agreed(package) -> None:
    name, record, root = package
    path = GOLDEN / "driver_volume" / f"{name}.json"
    actual = chosen(root, record)
    if "REWRITE_GOLDEN" in os.environ:
        path.write_text(json.dumps(actual, indent=1) + "\n")
    golden = json.loads(path.read_text())
    assert actual == golden
    for capability in DriverCapability:
        for asked in ({capability}, {capability, DriverCapability.COMPAT32}):
            assert chosen(root, record, asked) == of_capabilities(golden, asked), asked


def test_the_same_is_chosen_without_the_loaders_cache(package_without_cache) -> None:
    name, record, root = package_without_cache
    golden = json.loads((GOLDEN / "driver_volume" / f"{name}.json").read_text())
    actual = chosen(root, record)
    assert actual["files"] == golden["files"]
    assert actual["symlinks"] == golden["symlinks"]
    warnings = [warning.replace(str(root), "") for warning in actual["warnings"]]
    assert warnings[0].startswith("the usual library directories were searched: ")
    assert warnings[1:] == golden["warnings"]


def test_every_library_of_the_packages_is_in_the_catalogue_or_deliberately_not(package) -> None:
    """A new driver's new library fails this test: then decide where it belongs."""
    _name, record, _root = package
    libraries = {
        library
        for file in record["files"]
        for library in (library_name(os.path.basename(file["path"])),)
        if library is not None and library.startswith("lib")
    }
    decided = set(ENTRIES) | {name for name, _reason in EXCLUDED}
    decided |= {library_name(entry.link) for entry in LIBRARIES if entry.link is not None}
    assert {name for name in libraries - decided if not FOREIGN.fullmatch(name)} == set()


@pytest.mark.parametrize("capability", DriverCapability)
def test_what_libraries_need_comes_with_them(package, capability) -> None:
    """Of the driver's own libraries, by SONAME as the loader does."""
    _name, record, root = package
    facts = {file["path"]: file["elf"] for file in record["files"] if "elf" in file}
    there = chosen(root, record, {capability, DriverCapability.COMPAT32})
    names = {*there["files"], *there["symlinks"]}
    for path, file in there["files"].items():
        directory = path.partition("/")[0]
        for needed in facts.get(file["origin"], {"needed": ()})["needed"]:
            if library_name(needed) in ENTRIES and directory == "lib64":
                assert f"{directory}/{needed}" in names, path


def test_what_configuration_files_name_comes_with_them(package) -> None:
    """A loader in a container that reads the file finds the library, by its SONAME."""
    _name, record, root = package
    there = chosen(root, record)
    names = {os.path.basename(path) for path in (*there["files"], *there["symlinks"])}
    for path, file in there["files"].items():
        if path.startswith("share/") and path.endswith((".json", ".icd")):
            text = (root / file["origin"].lstrip("/")).read_text()
            named = set(re.findall(r"lib[A-Za-z0-9_-]+\.so[0-9.]*", text))
            assert named, path
            assert named <= names, path
