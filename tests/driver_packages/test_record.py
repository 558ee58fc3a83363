# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records in tests/golden/driver_packages say what the real roots have."""

from __future__ import annotations

import json

import driver_packages
import pytest
import unpacked_root


def test_the_record_is_what_the_root_has(driver) -> None:
    recorded = driver.recorded.read_text()
    source = driver.record["source"]
    if json.loads(recorded)["source"] != source:
        pytest.skip(
            f"{driver.recorded.name} was recorded from other packages than the root's, record it "
            f"anew with `.venv/bin/python tests/tools/driver_packages.py {driver.root} "
            f">{driver.recorded}`; the root has: {source}"
        )
    assert driver_packages.as_text(driver.record) == recorded


def test_the_computed_cache_is_ldconfigs(driver) -> None:
    """Shown on installed roots, so that the cache of the unpacked one can be believed."""
    if driver.record["machine"] != "x86_64":
        pytest.skip("ldconfig can't read the libraries of another machine")
    triplet, names = "x86_64-linux-gnu", {name for name, _path, _abi in driver.record["cache"]}
    written = [
        (entry.name, entry.path)
        for entry in driver_packages.ldcache.read(driver.root / "etc/ld.so.cache")
        if entry.path.startswith(f"/lib/{triplet}/") and entry.name in names
    ]
    computed = unpacked_root.cache_entries(driver.root, triplet, driver_packages.elf.EM_X86_64)
    assert [entry for entry in computed if entry[0] in names] == written
