# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in the tarball: all that is needed, nothing else, and the licence of each file."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import components
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "plugins/module_utils/nvidia_docker"
MAX_SIZE = 1_500_000

TOP_LEVEL = {
    "CHANGELOG.rst",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSES",
    "MANIFEST.json",
    "README.md",
    "REUSE.toml",
    "SECURITY.md",
    "changelogs",
    "docs",
    "meta",
    "playbooks",
    "plugins",
    "roles",
}
NEVER = (".pyc", ".orig", ".rej", "~", ".swp", ".log")


def names(artifact: Path) -> list[str]:
    with tarfile.open(artifact) as archive:
        return archive.getnames()


def test_top_level_is_what_users_need(artifact) -> None:
    """galaxy.yml's build_ignore is easily outrun by a new file."""
    assert {name.split("/")[0] for name in names(artifact)} == TOP_LEVEL


def test_nothing_needless_lies_deeper(artifact) -> None:
    """No byte code, nothing that an editor left. Examples may have hidden files."""
    stray = [n for n in names(artifact) if n.endswith(NEVER) or "__pycache__" in n]
    stray += [n for n in names(artifact) if "/." in n and not n.startswith("docs/examples/")]
    assert stray == []
    assert {n for n in names(artifact) if n.startswith("changelogs/")} == {
        "changelogs/changelog.yaml"
    }


def test_the_tarball_is_small(artifact) -> None:
    """With the pictures of the documentation."""
    assert artifact.stat().st_size < MAX_SIZE


def test_every_vendored_file_is_there(artifact) -> None:
    """All that `make vendor` has put into the checkout, byte code left out."""
    vendor = ROOT / PACKAGE / "_vendor"
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in vendor.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(wanted) > 20
    assert wanted == {
        entry["name"]
        for entry in listed(artifact)
        if entry["name"].startswith(f"{PACKAGE}/_vendor/") and entry["ftype"] == "file"
    }


def listed(artifact: Path) -> list[dict]:
    with tarfile.open(artifact) as archive:
        return json.load(archive.extractfile("FILES.json"))["files"]


def test_manifest_is_galaxy_yml(artifact) -> None:
    """Version, licences and dependencies are told by one file alone."""
    with tarfile.open(artifact) as archive:
        told = json.load(archive.extractfile("MANIFEST.json"))["collection_info"]
    ours = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert {name: told[name] for name in ours if name != "build_ignore"} == {
        name: value for name, value in ours.items() if name != "build_ignore"
    }


def test_licences_are_complete(installed, run) -> None:
    """By the rules of REUSE: each file has a licence, each licence its text, no text too much."""
    done = run("reuse", "--root", installed, "lint", "--json")
    report = json.loads(done.stdout)
    assert report["summary"]["compliant"]
    assert set(report["summary"]["used_licenses"]) == {
        "GPL-3.0-or-later",
        *(component.licence for component in components.COMPONENTS),
    }


def test_reuse_and_the_table_of_components_agree(installed, run) -> None:
    """REUSE.toml and tests/tools/components.py say the same of each vendored file."""
    report = json.loads(run("reuse", "--root", installed, "lint", "--json").stdout)
    prefix = f"{PACKAGE}/_vendor/"
    for entry in report["files"]:
        if not entry["path"].startswith(prefix):
            continue
        component = components.owner(entry["path"].removeprefix(prefix))
        licence = component.licence if component else "GPL-3.0-or-later"
        assert {found["value"] for found in entry["spdx_expressions"]} == {licence}, entry["path"]
