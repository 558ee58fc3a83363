# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bill of materials of the archive for hosts, which the collection carries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import components
import pytest
import sbom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


@pytest.fixture(scope="module")
def bill(installed) -> dict[str, Any]:
    """The document."""
    return json.loads((installed / "meta" / "sbom.cdx.json").read_text())


@pytest.fixture(scope="module")
def archived(installed, run) -> dict[str, str]:
    """Name and SHA-256 of each file that the installed collection would send to a host."""
    code = (
        "import hashlib, json, sys\n"
        f"sys.path.insert(0, {str(installed.parents[2])!r})\n"
        "from ansible_collections.gpufleet.nvidia.plugins.plugin_utils import programs\n"
        "files = programs.read_files()\n"
        "told = {name: hashlib.sha256(text).hexdigest() for name, text in files.items()}\n"
        "print(json.dumps({**told, '': programs.__file__}))\n"
    )
    told = json.loads(run("python", "-Bc", code).stdout)
    assert Path(told.pop("")).is_relative_to(installed)
    return told


def files(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for inner in entry.get("components", ()):
        if inner["type"] == "file":
            yield inner["name"], inner["hashes"][0]["content"]


def test_the_schema_of_cyclonedx_accepts_it(installed) -> None:
    """Version 1.6, unknown keys refused."""
    text = (installed / "meta" / "sbom.cdx.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"purl"', '"pearl"')) is not None


def test_it_lists_every_file_of_the_archive(bill, archived) -> None:
    """Each once, with its checksum."""
    entries = [bill["metadata"]["component"], *bill["components"]]
    told = [found for entry in entries for found in files(entry)]
    assert dict(told) == archived
    assert len(told) == len(archived)


def test_it_names_the_release(bill, archived) -> None:
    """The name of the release's folder on a host follows from the files that are listed."""
    lines = "".join(f"{archived[name]}  {name}\n" for name in sorted(archived))
    (told,) = bill["metadata"]["component"]["properties"]
    assert told["value"] == hashlib.sha256(lines.encode()).hexdigest()


def test_each_component_has_its_licence_and_origin(bill) -> None:
    """The hash of the wheel is the pinned one."""
    pinned = components.pinned()
    assert [entry["name"] for entry in bill["components"]] == [
        component.name for component in components.COMPONENTS
    ]
    for entry, component in zip(bill["components"], components.COMPONENTS):
        assert entry["licenses"] == [{"license": {"id": component.licence}}]
        assert dict(files(entry))
        if component.name in pinned:
            (origin,) = entry["externalReferences"]
            assert origin["hashes"][0]["content"] == pinned[component.name][1]


def test_the_same_archive_has_the_same_bill(bill) -> None:
    """And another one has another number."""
    content = {"nvidia_docker/__init__.py": b""}
    first = sbom.bill(content, "0" * 64, "1.0.0")
    assert sbom.bill(content, "0" * 64, "1.0.0") == first
    assert sbom.bill(content, "1" * 64, "1.0.0")["serialNumber"] != first["serialNumber"]
    assert bill["serialNumber"] not in (first["serialNumber"], None)
