# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two builds of the same files are the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import artifact as rewriting
import pytest
import released

ROOT = Path(__file__).resolve().parents[2]
VENDOR = "plugins/module_utils/nvidia_docker/_vendor"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The checkout at another place, without git: its files made in reverse order, dated long ago,
    for their owner alone."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout
    vendored = [p.relative_to(ROOT).as_posix() for p in (ROOT / VENDOR).rglob("*") if p.is_file()]
    copy = tmp_path / "a place with blanks"
    for name in sorted({*listed.split("\0"), *vendored} - {""}, reverse=True):
        source, target = ROOT / name, copy / name
        if source.is_dir() or not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o700 if os.access(source, os.X_OK) else 0o600)
        os.utime(target, (1_000_000_000, 1_000_000_000))
    (copy / ".venv").symlink_to((ROOT / ".venv").resolve())
    return copy


def test_another_place_time_umask_and_order_make_the_same_tarball(artifact, elsewhere, run) -> None:
    """Whoever builds it can compare it with what was published."""
    build = elsewhere / "tests" / "tools" / "build.sh"
    line = 'umask 077; exec bash "$0"'
    run("bash", "-c", line, build, TZ="Asia/Tokyo", LC_ALL="C.UTF-8", HOME=str(elsewhere))
    other = elsewhere / ".build" / artifact.name
    assert hashlib.sha256(other.read_bytes()).digest() == (
        hashlib.sha256(artifact.read_bytes()).digest()
    )


def test_another_content_makes_another_tarball(artifact) -> None:
    """Else the test above would compare nothing."""
    first = artifact.read_bytes()
    assert rewriting.rewrite(first, released.seconds()) == first
    assert rewriting.rewrite(first, released.seconds() + 1) != first
