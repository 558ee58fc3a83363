# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""`ansible-galaxy collection verify --offline` on what was installed from the tarball."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "supply-chain.md"
VERIFY = ("ansible-galaxy", "collection", "verify", "--offline", "gpufleet.nvidia")


def test_the_installed_collection_is_verified(installed, run) -> None:
    """Without a network."""
    done = run(*VERIFY, "--collections-path", installed.parents[2])
    assert "Successfully verified" in done.stdout


@pytest.mark.parametrize("change", ["content", "gone"])
def test_a_changed_file_is_named(install, run, tmp_path: Path, change: str) -> None:
    """One byte is enough."""
    collection = install(tmp_path)
    file = collection / "plugins" / "modules" / "nvidia_facts.py"
    if change == "gone":
        file.unlink()
    else:
        file.write_text(file.read_text() + "#")
    done = run(*VERIFY, "--collections-path", tmp_path, ok=False)
    assert done.returncode != 0
    assert "plugins/modules/nvidia_facts.py" in done.stdout + done.stderr


def test_the_page_tells_how_to_verify_what_was_used(install, run, tmp_path: Path) -> None:
    """Byte code that Python leaves is named, and nothing else; without it all is well."""
    install(tmp_path)
    ours = "ansible_collections.gpufleet.nvidia.plugins.plugin_utils.programs"
    run("python", "-c", f"import {ours}", PYTHONPATH=str(tmp_path))
    done = run(*VERIFY, "--collections-path", tmp_path, ok=False)
    named = done.stdout.partition("in the following files:")[2].split()
    assert named
    assert {Path(name).name for name in named} == {"__pycache__"}
    (lines,) = re.findall(r"```sh\n(find .*?)```", PAGE.read_text(), re.DOTALL)
    told = lines.replace("~/.ansible/collections", str(tmp_path))
    done = run("bash", "-euc", told, ANSIBLE_COLLECTIONS_PATH=str(tmp_path))
    assert "Successfully verified" in done.stdout


def test_the_page_finds_the_release_in_the_bill(installed, run) -> None:
    """Its grep gives the name of a release."""
    (line,) = re.findall(r"```sh\n(grep .*?)```", PAGE.read_text(), re.DOTALL)
    told = line.replace("~/.ansible/collections", str(installed.parents[2]))
    assert re.search(r'"value": "[0-9a-f]{64}"', run("bash", "-euc", told).stdout)
