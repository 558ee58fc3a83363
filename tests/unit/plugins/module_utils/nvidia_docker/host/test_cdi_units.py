# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units of a CDI specification, below a root of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    CdiError,
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    cdi_units,
    owned_file,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.layout import (
    CDI_UNITS,
    Layout,
)

UNITS = dict.fromkeys(CDI_UNITS, "[Unit]\n")
WATCHES = {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
KEPT = {
    "nvidia-docker-cdi.timer": WATCHES,
    "nvidia-docker-cdi.path": WATCHES,
    "nvidia-docker-cdi.service": {**WATCHES, "ActiveState": "inactive"},
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_they_are_written_once_replaced_and_removed(layout) -> None:
    files = cdi_units.wanted(layout, UNITS)
    assert (cdi_units.look(files), cdi_units.ours(layout)) == ((), ())
    cdi_units.write(files)
    assert cdi_units.look(files) == cdi_units.ours(layout) == files
    inodes = [file.path.stat().st_ino for file in files]
    cdi_units.write(files)
    assert [file.path.stat().st_ino for file in files] == inodes
    files[0].path.write_text(f"{owned_file.MARK}\nchanged by hand\n")
    cdi_units.write(cdi_units.wanted(layout, UNITS))
    assert cdi_units.look(files) == files
    cdi_units.remove(cdi_units.ours(layout))
    assert list(files[0].path.parent.iterdir()) == []


def test_none_is_none(layout) -> None:
    assert cdi_units.wanted(layout, None) == ()


@pytest.mark.parametrize(
    "units", [{}, {**UNITS, "docker.service": ""}, dict(list(UNITS.items())[1:])]
)
def test_it_is_all_of_them_or_none(layout, units) -> None:
    with pytest.raises(InvalidInput, match="and of no other"):
        cdi_units.wanted(layout, units)


def test_a_unit_of_others_stays(layout) -> None:
    """It is named before anything is written, and not removed."""
    theirs = layout.cdi_units[1]
    theirs.parent.mkdir(parents=True)
    theirs.write_text("[Unit]\n")
    with pytest.raises(CdiError, match=f"{theirs} exists and was not made by this collection"):
        cdi_units.wanted(layout, UNITS)
    assert cdi_units.ours(layout) == ()


def shown(units: dict[str, dict[str, str]]) -> str:
    """What systemctl show says of them."""
    return "\n".join(
        "".join(f"{name}={value}\n" for name, value in {"Id": unit, **properties}.items())
        for unit, properties in units.items()
    )


def test_systemd_has_them_as_they_are() -> None:
    assert cdi_units.shows_kept(shown(KEPT))
    assert not cdi_units.shows_kept("")


@pytest.mark.parametrize("unit", KEPT)
@pytest.mark.parametrize(
    ("name", "value"),
    [("ActiveState", "failed"), ("UnitFileState", "disabled"), ("NeedDaemonReload", "yes")],
)
def test_systemd_has_one_otherwise(unit, name, value) -> None:
    """A service that has failed is started again by what watches."""
    other = shown({**KEPT, unit: {**KEPT[unit], name: value}})
    assert cdi_units.shows_kept(other) is (
        (unit, name) == ("nvidia-docker-cdi.service", "ActiveState")
    )


def test_one_is_not_there() -> None:
    for unit in KEPT:
        assert not cdi_units.shows_kept(shown({one: KEPT[one] for one in KEPT if one != unit}))
