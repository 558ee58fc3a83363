# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""manifest.json of a driver volume."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_candidates,
    manifest,
)

LIB = "/usr/lib/x86_64-linux-gnu"
VERSION = "550.54.15"
LIBRARY = f"libcuda.so.{VERSION}"


@pytest.mark.parametrize(
    ("links", "kind"),
    [
        ((manifest.Link.HARD, None), "hard"),
        ((manifest.Link.COPY, manifest.Link.COPY), "copy"),
        ((manifest.Link.REFLINK, None), "reflink"),
        ((manifest.Link.HARD, manifest.Link.COPY), "mixed"),
    ],
)
def test_how_the_files_came_in_is_one_word(links, kind) -> None:
    """Files that were left out don't count."""
    candidate = driver_candidates.Candidate(
        "lib64", "libcuda", LIBRARY, f"{LIB}/{LIBRARY}", 1, 2, 3, 0, 0o644
    )
    records = tuple(manifest.Record(candidate, link) for link in links)
    assert manifest.Manifest(VERSION, frozenset(), records, (), ()).link == kind
