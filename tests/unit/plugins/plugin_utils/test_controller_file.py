# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are replaced whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.plugin_utils import controller_file


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    controller_file.replace(path, "old")
    reader = path.open()
    controller_file.replace(path, "new \N{DEGREE SIGN} \ud800\r\n")
    assert path.read_bytes() == b"new \xc2\xb0 ?\r\n"
    assert reader.read() == "old"
    assert os.listdir(tmp_path) == ["report.html"]
    reader.close()


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_permissions_are_those_of_a_new_file(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        controller_file.replace(tmp_path / "f", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode


def test_nothing_is_left_where_it_fails(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError):
        controller_file.replace(tmp_path / "report.html", "x")
    assert os.listdir(tmp_path) == ["report.html"]
