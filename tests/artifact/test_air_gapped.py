# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/air-gapped.md: what was carried over is installed without Galaxy, and is enough."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
from pathlib import Path

from .conftest import ROOT

PAGE = (ROOT / "docs" / "air-gapped.md").read_text()
COMMUNITY = ROOT / ".build" / "collections" / "ansible_collections" / "community"
NOWHERE = "http://127.0.0.1:1"


def pack(collection: Path, folder: Path) -> None:
    """Write the tarball of an installed collection, which lacks some files that Galaxy's has."""
    manifest = json.loads((collection / "MANIFEST.json").read_text())
    files = json.loads((collection / "FILES.json").read_text())
    files["files"] = [one for one in files["files"] if (collection / one["name"]).exists()]
    listed = json.dumps(files).encode()
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(listed).hexdigest()
    told = manifest["collection_info"]
    name = f"{told['namespace']}-{told['name']}-{told['version']}.tar.gz"
    with tarfile.open(folder / name, "w:gz") as archive:
        for one in files["files"]:
            archive.add(collection / one["name"], one["name"], recursive=False)
        contents = {"FILES.json": listed, "MANIFEST.json": json.dumps(manifest).encode()}
        for member, content in contents.items():
            header = tarfile.TarInfo(member)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))


def test_the_tarballs_are_enough(run, artifact, tmp_path) -> None:
    """The page's line, where nothing is installed and no Galaxy answers."""
    assert f"`.build/{artifact.name}`" in PAGE
    (line,) = re.findall(r"^ansible-galaxy collection install .*", PAGE, re.MULTILINE)
    shutil.copy(artifact, tmp_path)
    (tmp_path / "collections").mkdir()
    for path in COMMUNITY.iterdir():
        pack(path, tmp_path / "collections")
    installed = tmp_path / "installed"
    environment = {
        "ANSIBLE_GALAXY_SERVER": NOWHERE,
        "ANSIBLE_COLLECTIONS_PATH": str(installed),
        "HOME": str(tmp_path),
    }
    run("bash", "-c", line, cwd=tmp_path, **environment)
    found = {
        "/".join(path.parts[-2:]) for path in (installed / "ansible_collections").glob("*/[!.]*")
    }
    assert {one for one in found if ".info" not in one} == {
        "gpufleet/nvidia",
        *(f"community/{path.name}" for path in COMMUNITY.iterdir()),
    }
    told = run("ansible-doc", "gpufleet.nvidia.nvidia_container", cwd=tmp_path, **environment)
    assert "injection" in told.stdout
    # Without those of others it can't be installed.
    for path in (tmp_path / "collections").glob("community-docker-*"):
        path.unlink()
    shutil.rmtree(installed)
    assert run("bash", "-c", line, ok=False, cwd=tmp_path, **environment).returncode != 0
