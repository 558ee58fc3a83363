# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which facts are gathered: names of subsets, chosen as ansible.builtin.setup lets one choose."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import InvalidInput

MINIMUM = "min"
SUBSETS = (MINIMUM, "devices", "status", "processes", "topology", "health")
"""In the order in which they are told."""


def chosen(wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the subsets that a list such as ``["all", "!processes"]`` means.

    ``min`` is always among them. With exclusions alone the rest is meant; what is also named
    without ``!`` is not excluded. Raises InvalidInput for a name that is none.
    """
    named: set[str] = set()
    excluded: set[str] = set()
    everything = False
    for word in wanted:
        name = word[1:] if word.startswith("!") else word
        if name not in (*SUBSETS, "all"):
            known = ", ".join((*SUBSETS, "all"))
            raise InvalidInput(
                f"gather_subset {word!r} is unknown: use {known}, or one of them with ! in front"
            )
        if name != word:
            excluded |= set(SUBSETS) if name == "all" else {name}
        elif name == "all":
            everything = True
        else:
            named.add(name)
    gathered = set(named)
    if everything or not named:
        gathered |= set(SUBSETS)
    gathered -= excluded - named
    return tuple(name for name in SUBSETS if name == MINIMUM or name in gathered)
