# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Linux driver serves which CUDA version: data only.

Source: CUDA Toolkit Release Notes, table "CUDA Toolkit and Corresponding Driver Versions", column
Linux x86_64, first release of each version, up to CUDA 13.3; read in November 2026.
"""

from __future__ import annotations

from .version import Version

_DRIVER_BRANCHES = (
    *(("7.0", "346"), ("7.5", "352"), ("8.0", "367"), ("9.0", "384"), ("9.1", "390")),
    *(("9.2", "396"), ("10.0", "410"), ("10.1", "418"), ("10.2", "440"), ("11.0", "450")),
    *(("11.1", "455"), ("11.2", "460"), ("11.3", "465"), ("11.4", "470"), ("11.5", "495")),
    *(("11.6", "510"), ("11.7", "515"), ("11.8", "520"), ("12.0", "525"), ("12.1", "530")),
    *(("12.2", "535"), ("12.3", "545"), ("12.4", "550"), ("12.5", "555"), ("12.6", "560")),
    *(("12.8", "570"), ("12.9", "575"), ("13.0", "580"), ("13.1", "590"), ("13.2", "595")),
    *(("13.3", "610"),),
)


def driver_branch(cuda: Version) -> str | None:
    """Return the first driver branch that serves this CUDA version, such as ``550`` for 12.4;
    None for a version that is newer than the table."""
    for version, branch in _DRIVER_BRANCHES:
        if Version(version) >= cuda:
            return branch
    return None
