# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files written so that a reader sees the old or the new one, never half of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def replace_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes beside, syncs, renames."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(mode)
    beside.replace(path)


def replace_file(source: Path, target: Path) -> None:
    """A copy of a file or link, put in place by rename."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    shutil.copy2(source, beside, follow_symlinks=False)
    beside.replace(target)


def holds(path: Path, text: str) -> bool:
    """Whether a file has exactly this text."""
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False
