# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers of formats, and what each part of the package says of a newer one."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.format_number import (
    is_newer,
    refusal,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import formats


@pytest.mark.parametrize(
    ("found", "newer"),
    [(3, True), (999, True), (2, False), (1, False), (10**6, False), ("3", False), (None, False)]
    + [(True, False), (2.5, False), ([3], False)],
)
def test_what_is_newer(found: object, newer: bool) -> None:
    """Than a version that reads 2; what is no number is damage, which others tell."""
    assert is_newer(found, 2) is newer


def test_the_sentence() -> None:
    """It says what to do."""
    assert refusal("/x", 3, 2, "remove it") == (
        "/x has format 3, this version of gpufleet.nvidia reads 2: use the version that wrote it "
        "or a later one, or remove it"
    )


def test_formats_that_are_unknown() -> None:
    """Newer ones, and kinds that this version does not have."""
    written = {**formats.FORMATS, "lease": formats.FORMATS["lease"] + 1, "x": 1}
    number = formats.FORMATS["lease"]
    assert formats.unknown(written) == (
        f"lease: format {number + 1}, not {number}",
        "x: format 1, not any",
    )
    assert formats.unknown(formats.FORMATS) == formats.unknown({}) == ()
