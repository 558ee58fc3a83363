# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bill of materials and the programs on a host."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_host_runs_the_release_of_the_bill(on_host) -> None:
    """Its folder has the name that the tarball's bill of materials tells, and the files."""
    subprocess.run(["make", "-C", str(ROOT), "build"], check=True, capture_output=True)
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    with tarfile.open(ROOT / ".build" / f"gpufleet-nvidia-{version}.tar.gz") as archive:
        bill = json.load(archive.extractfile("meta/sbom.cdx.json"))
    programs = bill["metadata"]["component"]
    (told,) = programs["properties"]
    current = on_host("readlink -f /usr/local/lib/nvidia-docker/current").stdout.strip()
    assert Path(current).name == told["value"]
    entries = [programs, *bill["components"]]
    sums = [
        f"{file['hashes'][0]['content']}  {current}/{file['name']}"
        for entry in entries
        for file in entry["components"]
    ]
    done = on_host("sha256sum --check --quiet <<'END'\n" + "\n".join(sums) + "\nEND")
    assert done.stdout == ""
