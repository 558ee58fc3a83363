# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""toolkit_vulnerabilities.py: which version has which."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (
    toolkit_vulnerabilities,
)

vulnerabilities = toolkit_vulnerabilities.vulnerabilities


@pytest.mark.parametrize(
    ("version", "count", "worst"),
    [
        ("1.16.1", 9, 9.0),
        ("1.16.1-1", 9, 9.0),
        ("1.16.2", 7, 9.0),
        ("1.17.0", 6, 9.0),
        ("1.17.3", 3, 9.0),
        ("1.17.7", 2, 9.0),
        ("1.17.8~rc.2-1", 2, 9.0),
        ("1.17.8-rc.2", 2, 9.0),
        ("1.17.8", 0, None),
        ("1.17.8-1", 0, None),
        ("1.18.0", 0, None),
        ("1.9.0", 9, 9.0),
        ("", 0, None),
        ("unknown", 0, None),
    ],
)
def test_a_version_has_what_was_fixed_later(version, count, worst) -> None:
    """A candidate does not have the fix of its release yet, as far as is known."""
    known = vulnerabilities(version)
    assert len(known) == count
    assert max((one.score for one in known), default=None) == worst


def test_each_has_a_source() -> None:
    for one in vulnerabilities("1.0.0"):
        assert one.source.endswith(one.id)
