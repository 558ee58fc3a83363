# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The labels that record on a container what it was given. A managed container has them."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import NewerLabels
from .format_number import refusal

LABEL_PREFIX = "io.gpufleet.nvidia."
GPUS_LABEL = LABEL_PREFIX + "gpus"
"""UUIDs, sorted, joined by commas; empty: none."""
INJECTION_LABEL = LABEL_PREFIX + "injection"
"""Digest of all that is injected; each managed container has it."""
SHARING_LABEL = LABEL_PREFIX + "sharing"
"""Whether others may use the same GPUs, see below."""

FORMAT_LABEL = LABEL_PREFIX + "format"
"""Format of these labels; none: 1."""
FORMAT = 1

EXCLUSIVE = "exclusive"
"""GPUs were asked for by number: no other container that asks so gets them."""
SHARED = "shared"
"""Others may have the GPUs too."""
NAMED = "named"
"""GPUs were asked for by identifier, whoever else uses them."""


def join_uuids(uuids: list[str]) -> str:
    """Return the value of ``GPUS_LABEL``."""
    # Sorted: that GPUs are numbered anew at reboot does not change what a container has.
    return ",".join(sorted(uuids))


def split_uuids(value: str) -> tuple[str, ...]:
    """Return the UUIDs in a value of ``GPUS_LABEL``."""
    return tuple(filter(None, value.split(",")))


def check_format(container: str, labels: Mapping[str, str]) -> None:
    """Raise NewerLabels unless the labels are of a format that this version reads."""
    found = labels.get(FORMAT_LABEL, "1")
    if found not in [str(number) for number in range(1, FORMAT + 1)]:
        what = f"label {FORMAT_LABEL} of container {container}"
        raise NewerLabels(refusal(what, repr(found), FORMAT, "remove the container"))
