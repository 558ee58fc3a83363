# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every line of the marked blocks in README and docs, run where it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- run on: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [found for page in pages for found in BLOCK.findall(page.read_text())]


def lines() -> list[tuple[str, str]]:
    return [(where, line) for where, block in blocks() for line in block.splitlines()]


def test_there_are_lines_for_each_place() -> None:
    """A marker that is misspelt must not hide a block."""
    assert {where for where, _dummy in lines()} == {"controller", "checkout", "host"}
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    marked = sum(page.read_text().count("<!-- run on:") for page in pages)
    assert len(blocks()) == marked


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """The built collection, installed as a user would, without the checkout's ansible.cfg."""
    home = tmp_path_factory.mktemp("home")
    subprocess.run(["make", "-C", str(ROOT), "build"], check=True)
    subprocess.run([str(ROOT / "tests/tools/install.sh"), str(home / "collections")], check=True)
    (home / "ansible.cfg").write_text("[defaults]\n")
    return home


@pytest.mark.parametrize(("where", "line"), lines())
def test_a_line_works(where, line, on_host, on_controller, installed) -> None:
    """It ends with status 0 and prints something."""
    if where == "host":
        done = on_host(line)
    elif where == "checkout":
        done = on_controller(line)
    else:
        done = on_controller(
            line,
            ANSIBLE_CONFIG=str(installed / "ansible.cfg"),
            ANSIBLE_COLLECTIONS_PATH=str(installed / "collections"),
        )
    assert done.stdout.strip()
