# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which versions of the NVIDIA Container Toolkit are vulnerable: data only.

Source: NVIDIA's security bulletins on the Container Toolkit, September 2024 to July 2025, answers
5582, 5585, 5599, 5616 and 5659 of https://nvidia.custhelp.com, and the toolkit's release notes up
to 1.18.2. CVE-2026-24260 is left out: its range was not published where we looked.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import InvalidInput
from .version import Version

READ = "2026-11-25"
"""The day on which the sources were read."""


@dataclass(frozen=True)
class Vulnerability:
    """One CVE."""

    id: str
    score: float
    """CVSS base score, as NVIDIA published it."""
    fixed_in: str
    """First version that is not vulnerable."""

    @property
    def source(self) -> str:
        """Where it is described."""
        return f"https://nvd.nist.gov/vuln/detail/{self.id}"


_KNOWN = (
    Vulnerability("CVE-2024-0132", 9.0, "1.16.2"),
    Vulnerability("CVE-2024-0133", 4.1, "1.16.2"),
    Vulnerability("CVE-2024-0134", 4.1, "1.17.0"),
    Vulnerability("CVE-2024-0135", 7.6, "1.17.1"),
    Vulnerability("CVE-2024-0136", 7.6, "1.17.1"),
    Vulnerability("CVE-2024-0137", 5.5, "1.17.1"),
    Vulnerability("CVE-2025-23359", 8.3, "1.17.4"),
    Vulnerability("CVE-2025-23266", 9.0, "1.17.8"),
    Vulnerability("CVE-2025-23267", 8.5, "1.17.8"),
)


def vulnerabilities(version: str) -> tuple[Vulnerability, ...]:
    """Return what is known of a toolkit version such as ``1.17.3``; nothing for text that is none.

    A candidate for a release, ``1.17.8~rc.1``, counts as the release before it.
    """
    number, mark, rest = version.replace("~", "-").partition("-")
    try:
        has = Version(number)
    except InvalidInput:
        return ()
    candidate = mark != "" and "rc" in rest
    return tuple(
        one
        for one in _KNOWN
        if has < Version(one.fixed_in) or (candidate and has == Version(one.fixed_in))
    )
