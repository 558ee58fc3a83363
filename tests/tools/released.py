# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the newest release was made: the date of all that must be the same in every build of it."""

from __future__ import annotations

import datetime
from pathlib import Path

import yaml

CHANGELOG = Path(__file__).resolve().parents[2] / "changelogs" / "changelog.yaml"


def date() -> datetime.date:
    """The date of the newest release in changelogs/changelog.yaml."""
    releases = yaml.safe_load(CHANGELOG.read_text())["releases"].values()
    return max(datetime.date.fromisoformat(release["release_date"]) for release in releases)


def seconds() -> int:
    """The same as seconds since 1970, at midnight UTC."""
    midnight = datetime.datetime.combine(date(), datetime.time(), datetime.timezone.utc)
    return int(midnight.timestamp())
