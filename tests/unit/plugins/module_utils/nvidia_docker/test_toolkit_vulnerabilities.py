# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""toolkit_vulnerabilities.py: which version has which."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (
    toolkit_vulnerabilities,
)

vulnerabilities = toolkit_vulnerabilities.vulnerabilities


@pytest.mark.parametrize(
    ("version", "count", "worst"),
    [
        ("1.16.1", 10, 9.0),
        ("1.16.1-1", 10, 9.0),
        ("1.16.2", 8, 9.0),
        ("1.17.0", 7, 9.0),
        ("1.17.3", 4, 9.0),
        ("1.17.7", 3, 9.0),
        ("1.17.8~rc.2-1", 3, 9.0),
        ("1.17.8-rc.2", 3, 9.0),
        ("1.17.8", 1, 8.5),
        ("1.18.2-1", 1, 8.5),
        ("1.19.0", 1, 8.5),
        ("1.19.1-1", 0, None),
        ("1.20.0", 0, None),
        ("1.9.0", 10, 9.0),
        ("", 0, None),
        ("unknown", 0, None),
    ],
)
def test_a_version_has_what_was_fixed_later(version, count, worst) -> None:
    """A candidate does not have the fix of its release yet, as far as is known."""
    known = vulnerabilities(version)
    assert len(known) == count
    assert max((one.score for one in known), default=None) == worst


def test_each_has_a_bulletin_and_its_day() -> None:
    known = vulnerabilities("1.0.0")
    assert len({one.id for one in known}) == len(known)
    for one in known:
        number = one.source.removeprefix("https://nvidia.custhelp.com/app/answers/detail/a_id/")
        assert number.isdigit()
        published = datetime.date.fromisoformat(one.published)
        assert published <= datetime.date.fromisoformat(toolkit_vulnerabilities.READ)
