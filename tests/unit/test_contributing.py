# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""CONTRIBUTING.md, SECURITY.md and the pages beside them name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / name
    for name in ("CONTRIBUTING.md", "SECURITY.md", "docs/supply-chain.md", "docs/versions.md")
]
FOLDERS = ("roles", "plugins", "tests", "docs", "meta", "playbooks", "extensions", "changelogs")
PATH = re.compile(rf"(?<![\w/.~-])((?:{'|'.join(FOLDERS)})/[\w./-]*[\w-])")
MADE = {"meta/sbom.cdx.json", "changelogs/fragments/SUBJECT.yml"}
"""Named, but made by a build or by the reader."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_path_exists(page: Path) -> None:
    """A file that moves takes its mention along."""
    for path in set(PATH.findall(page.read_text())) - MADE:
        if "NAME" not in path and "_vendor" not in path:
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_somewhere(page: Path) -> None:
    """Relative ones."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_make_target_exists(page: Path) -> None:
    """As `make help` lists it."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= targets


def test_the_steps_name_what_the_code_has() -> None:
    """Names in the code that the steps lead to."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    package = ROOT / "plugins" / "module_utils" / "nvidia_docker" / "plugin"
    for name, file in (("_HANDLERS", "remote_api.py"), ("HANDLERS", "monitoring.py")):
        assert f"`{name}`" in text
        assert re.search(rf"^{name}\b.* = {{", (package / file).read_text(), re.MULTILINE)


def test_one_version() -> None:
    """galaxy.yml, the programs and the newest release notes agree."""
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    package = ROOT / "plugins" / "module_utils" / "nvidia_docker" / "__init__.py"
    assert f'\n__version__ = "{version}"\n' in package.read_text()
    changelog = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())
    newest = max(changelog["releases"], key=lambda found: [int(n) for n in found.split(".")])
    assert newest == version
