# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which versions of the NVIDIA Container Toolkit are vulnerable: data only.

Source: NVIDIA's security bulletins on the Container Toolkit, in the form in which NVIDIA publishes
them for programs (CSAF, https://github.com/NVIDIA/product-security). All of them are here; what
else they ask for, such as CDI mode for older versions, is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import InvalidInput
from .version import Version

READ = "2026-08-18"
"""The day of the newest bulletin, on whatever product, among those that were read."""


@dataclass(frozen=True)
class Vulnerability:
    """One CVE."""

    id: str
    score: float
    """CVSS base score, as NVIDIA published it."""
    fixed_in: str
    """First version that is not vulnerable."""
    published: str
    """Day of NVIDIA's bulletin, ``2025-07-15``."""
    source: str
    """Address of the bulletin."""


_BULLETINS: tuple[tuple[str, int, str, dict[str, float]], ...] = (
    ("2024-09-25", 5582, "1.16.2", {"CVE-2024-0132": 9.0, "CVE-2024-0133": 4.1}),
    ("2024-11-05", 5585, "1.17.0", {"CVE-2024-0134": 4.1}),
    (
        "2025-01-14",
        5599,
        "1.17.1",
        {"CVE-2024-0135": 7.6, "CVE-2024-0136": 7.6, "CVE-2024-0137": 5.5},
    ),
    ("2025-02-11", 5616, "1.17.4", {"CVE-2025-23359": 8.3}),
    ("2025-07-15", 5659, "1.17.8", {"CVE-2025-23266": 9.0, "CVE-2025-23267": 8.5}),
    ("2026-06-30", 5850, "1.19.1", {"CVE-2026-24260": 8.5}),
)
"""Day, number, first version that is not vulnerable, and CVSS base score by CVE."""
_SOURCE = "https://nvidia.custhelp.com/app/answers/detail/a_id/{number}"
_KNOWN = tuple(
    Vulnerability(cve, score, fixed_in, day, _SOURCE.format(number=number))
    for day, number, fixed_in, scores in _BULLETINS
    for cve, score in scores.items()
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
