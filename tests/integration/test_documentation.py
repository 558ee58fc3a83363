# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every line of the marked blocks in README and docs, run where it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.suites("trixie")

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- run on: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)


PYTHON = re.compile(r"```python( run)?\n(.*?)```", re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [found for page in pages for found in BLOCK.findall(page.read_text())]


def lines() -> list[tuple[str, str]]:
    """Each line once per place, though pages repeat some."""
    return list(
        dict.fromkeys((where, line) for where, block in blocks() for line in block.splitlines())
    )


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


def examples() -> list[str]:
    """The library's examples, each with the first block before it."""
    found = PYTHON.findall((ROOT / "docs" / "library.md").read_text())
    (start,) = [code for run, code in found if not run]
    return [start + code for run, code in found if run]


def test_the_library_has_five_examples() -> None:
    assert len(examples()) == 5


@pytest.mark.parametrize("code", examples(), ids=lambda code: code.splitlines()[5][:40])
def test_an_example_of_the_library_works(code, on_host) -> None:
    """On a host that has the programs and nothing of Ansible: not even site-packages."""
    done = on_host(f"python3 -ISc {shlex.quote(code)}")
    assert done.stdout.strip()
    assert on_host("python3 -c 'import ansible'", ok=False).returncode != 0
