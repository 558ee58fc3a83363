# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What comes from a package index is pinned, with the hash of the file that was looked at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "tests" / "requirements").glob("*.txt")) + [ROOT / "meta" / "vendored.txt"]
REQUIREMENT = re.compile(r"[\w.-]+==[\w.]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_requirement_has_version_and_hash(lock: Path) -> None:
    """So an index that was broken into, or a mirror, can't give another file."""
    text = re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    left = REQUIREMENT.sub("", text)
    assert left.strip() == ""


def test_every_in_file_is_locked() -> None:
    """By `make lock`."""
    script = (ROOT / "tests" / "tools" / "venv.sh").read_text()
    for source in (ROOT / "tests" / "requirements").glob("*.in"):
        assert source.with_suffix(".txt").is_file()
        assert re.search(rf"^  compile 3\.\d+ {source.stem}( |$)", script, re.MULTILINE), (
            source.name
        )


def test_the_oldest_ansible_core_is_the_one_that_is_promised() -> None:
    """`make test-full` tests with it."""
    promised = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"]
    lock = (ROOT / "tests" / "requirements" / "core-oldest.txt").read_text()
    tested = re.search(r"^ansible-core==(\d+\.\d+)\.", lock, re.MULTILINE)
    assert tested and promised == f">={tested[1]}.0"
