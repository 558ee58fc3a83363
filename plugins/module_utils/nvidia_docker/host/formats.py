# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The formats of what the programs keep on a host, so that a release knows what it can't read."""

from __future__ import annotations

from collections.abc import Mapping

from .. import container_labels, daemon_json_record
from . import installation, leases, manifest, release

FORMATS: Mapping[str, int] = {
    "container labels": container_labels.FORMAT,
    "daemon.json record": daemon_json_record.FORMAT,
    "driver volume": manifest.FORMAT,
    "installation": installation.FORMAT,
    "lease": leases.FORMAT,
    "release": release.FORMAT,
}
"""The newest format of each that this package reads, which is the one that it writes. A release
says them in its own manifest."""


def unknown(written: Mapping[str, int], known: Mapping[str, int] | None = None) -> tuple[str, ...]:
    """Return what in ``written`` is newer than ``known``, by default ``FORMATS``.

    Each is a short text: ``lease: format 2, not 1``.

    What ``known`` does not have at all is newer too.
    """
    known = FORMATS if known is None else known
    return tuple(
        f"{name}: format {number}, not {known.get(name, 'any')}"
        for name, number in sorted(written.items())
        if number > known.get(name, 0)
    )
