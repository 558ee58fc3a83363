# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pinned, hash-checked distributions from the package index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def download(requirements: Path, into: Path) -> list[Path]:
    """Download what a requirements file pins, nothing that it needs, and return the wheels."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
        + ["--no-cache-dir", "--no-deps", "--require-hashes"]
        + ["-d", str(into), "-r", str(requirements)],
        check=True,
    )
    return sorted(into.glob("*.whl"))
