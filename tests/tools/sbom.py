# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""sbom.py COLLECTION: print the bill of materials of the archive that hosts get, as CycloneDX JSON.

It lists every file of the archive with its SHA-256, each below the component whose it is. The same
archive has the same bill, whenever and wherever it is made. ``COLLECTION`` is a folder
ansible_collections/gpufleet/nvidia that has the vendored packages.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import uuid
from pathlib import Path
from typing import Any

import components
import released

NAME = "nvidia-docker"
SITE = "https://github.com/gpufleet/gpufleet.nvidia"
VENDOR = "nvidia_docker/_vendor/"


def archive(collection: Path) -> tuple[dict[str, bytes], str, str]:
    """Files, digest and version of the archive that this collection would send to hosts."""
    sys.path.insert(0, str(collection.parents[2]))
    plugins = "ansible_collections.gpufleet.nvidia.plugins"
    release = importlib.import_module(f"{plugins}.module_utils.nvidia_docker.host.release")
    programs = importlib.import_module(f"{plugins}.plugin_utils.programs")
    files = programs.read_files()
    return files, release.digest(files), release.version(files)


def file_entries(files: dict[str, bytes], names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(files[name]).hexdigest()}],
        }
        for name in names
    ]


def purl_of(name: str) -> str:
    """The package URL of a component."""
    (version,) = [found.version for found in components.COMPONENTS if found.name == name]
    return f"pkg:pypi/{name}@{version}"


def library(component: components.Component, files: list[dict[str, Any]]) -> dict[str, Any]:
    """The entry of one work of others; the hash is that of the wheel which it was taken from."""
    purl = purl_of(component.name)
    entry: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": component.name,
        "version": component.version,
        "licenses": [{"license": {"id": component.licence}}],
        "copyright": f"Copyright (c) {component.copyright}",
        "purl": purl,
        "components": files,
    }
    if not component.bundled:
        entry["externalReferences"] = [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{component.name}/{component.version}/",
                "hashes": [{"alg": "SHA-256", "content": components.pinned()[component.name][1]}],
            }
        ]
    return entry


def bill(files: dict[str, bytes], digest: str, version: str) -> dict[str, Any]:
    """The CycloneDX document of an archive."""
    mine: list[str] = []
    theirs: dict[str, list[str]] = {component.name: [] for component in components.COMPONENTS}
    for name in sorted(files):
        component = components.owner(name.removeprefix(VENDOR)) if VENDOR in name else None
        (mine if component is None else theirs[component.name]).append(name)
    libraries = [
        library(component, file_entries(files, theirs[component.name]))
        for component in components.COMPONENTS
    ]
    purl = f"pkg:generic/gpufleet/{NAME}@{version}"
    # What is bundled is a need of what brings it, all else from the programs.
    needs: dict[str, list[str]] = {purl: [], **{entry["purl"]: [] for entry in libraries}}
    for component in components.COMPONENTS:
        needs[purl_of(component.bundled[0]) if component.bundled else purl].append(
            purl_of(component.name)
        )
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{SITE}#{digest}')}",
        "version": 1,
        "metadata": {
            "timestamp": f"{released.date()}T00:00:00Z",
            "component": {
                "type": "application",
                "bom-ref": purl,
                "name": NAME,
                "version": version,
                "description": "The programs that gpufleet.nvidia puts on hosts",
                "licenses": [{"license": {"id": "GPL-3.0-or-later"}}],
                "copyright": "Copyright (c) 2026 the gpufleet.nvidia authors",
                "purl": purl,
                "components": file_entries(files, mine),
                "properties": [{"name": "gpufleet:release", "value": digest}],
            },
        },
        "components": libraries,
        "dependencies": [{"ref": ref, "dependsOn": found} for ref, found in needs.items()],
    }


def main(arguments: list[str]) -> int:
    json.dump(bill(*archive(Path(arguments[0]).resolve())), sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
