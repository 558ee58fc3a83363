# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a record of real driver packages (tests/golden/driver_packages) has, made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from elf_writer import elf


def replay(
    record: Mapping[str, Any],
    link: Callable[[str, str], object],
    file: Callable[[str, bytes, int], object],
) -> None:
    """Call ``link`` (path, target) and ``file`` (path, content, mode) for all that a record has.

    Files are small, with the same facts as the real ones.
    """
    links = [one for one in record["files"] if "link" in one]
    # A link may be a directory that the others are in.
    for one in sorted(links, key=lambda one: one["path"].count("/")):
        link(one["path"], one["link"])
    for one in record["files"]:
        if "link" in one:
            continue
        facts = one.get("elf")
        if facts is None:
            data = one.get("text", "").encode()
        else:
            data = elf(
                facts["soname"],
                tuple(facts["needed"]),
                facts["bits"],
                facts["kernel_abi"] and tuple(facts["kernel_abi"]),
                facts["machine"],
            )
        file(one["path"], data, int(one["mode"], 8))
