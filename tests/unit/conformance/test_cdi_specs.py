# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our CDI specifications against recorded ones of nvidia-ctk: each difference is explained."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))

import cdi_specs  # noqa: E402
import fixed_on_purpose  # noqa: E402
import replay  # noqa: E402


@pytest.fixture(scope="module")
def compared() -> list:
    return list(cdi_specs.compare())


def test_every_difference_is_explained_and_every_row_explains_one(compared) -> None:
    table = cdi_specs.rows()
    assert len(compared) == 10
    used = set()
    for recording, differing, equal in compared:
        assert cdi_specs.unexplained(table, recording, differing) == []
        assert equal > 60
        used |= {row for row in table for line in differing if row.explains(recording, line)}
    assert set(table) == used


def test_few_mounts_and_many_give_containers_the_same(compared) -> None:
    """As far as a name of a library counts, and not its directory."""
    assert list(cdi_specs.compare(one_by_one=True)) == compared


def test_the_page_is_what_the_table_says() -> None:
    document = cdi_specs.PAGE.read_text()
    assert cdi_specs.page(cdi_specs.rows(), document) == document


CHANGES = [
    # (what, by what, the line that differs)
    ("major: 508\n          fileMode", "major: 509\n          fileMode", "node /dev/nvidia-uvm 50"),
    ("minor: 128\n", "minor: 129\n", "node /dev/dri/renderD128 226:12"),
    (
        "NVIDIA_VISIBLE_DEVICES=void",
        "NVIDIA_VISIBLE_DEVICES=all",
        "variable NVIDIA_VISIBLE_DEVICES",
    ),
    ("::/usr/lib/x86_64-linux-gnu/libcuda.so.1\n", "::/opt/libcuda.so.1\n", "libcuda.so.1 is"),
    ("libcuda.so.550.163.01::", "libnvcuvid.so.550.163.01::", "libcuda.so.1 is"),
    ("containerPath: /usr/bin/nvidia-smi", "containerPath: /usr/bin/smi", "BIN/nvidia-smi is"),
    ("gid: 44\n", "gid: 45\n", "card1 226:1 mode 0660 group 4"),
    ("- noexec\n", "- exec\n", "options e"),
]


@pytest.mark.parametrize(("old", "new", "line"), CHANGES)
def test_another_specification_would_be_noticed(tmp_path, old, new, line) -> None:
    """The machine is what the other recording of it tells."""
    for name in ("t4-flat.yaml", "t4-flat-no-gids.yaml"):
        shutil.copy(cdi_specs.DEFAULT / name, tmp_path / name)
    (tmp_path / "index.json").write_text(
        '[["t4-flat", "t4", "cdi generate", 0, 1], ["t4-flat-no-gids", "t4", "cdi generate", 0, 1]]'
    )
    changed = tmp_path / "t4-flat.yaml"
    text = changed.read_text()
    assert old in text
    changed.write_text(text.replace(old, new, 1) if "::" in old else text.replace(old, new))
    table = cdi_specs.rows()
    ((recording, differing, _equal), *_rest) = cdi_specs.compare(tmp_path)
    left = cdi_specs.unexplained(table, recording, differing)
    assert [one for one in left if line in one], left


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ('[["t4-flat", "t4", "cdi generate", 0, 1]]', True),
        ('{"cli": 1}', False),
        ('[["t4-flat", "t4"]]', False),
        ("no JSON", False),
        (None, False),
    ],
)
def test_make_conformance_knows_a_folder_of_nvidia_ctk(tmp_path, text, recorded) -> None:
    if text is not None:
        (tmp_path / "index.json").write_text(text)
    assert cdi_specs.is_recorded(tmp_path) is recorded


def test_make_conformance_counts_each_specification(capsys) -> None:
    """Equal, explained, and one with a line that no row explains: only that fails."""
    report = replay.Report(fixed_on_purpose.Table(()), foreign=True)
    assert report.is_empty
    report.add_specification("equal", [], [], 0)
    report.add_specification("explained", ["+ group 44"], [], 0)
    assert (report.is_empty, report.failed) == (False, 0)
    report.add_specification("other", ["+ group 44", "- node /dev/x"], ["- node /dev/x"], 0)
    assert report.failed == 1
    report.check_unused(["a reason"])
    assert report.failed == 2
    printed = capsys.readouterr().out
    assert "- node /dev/x" in printed
    assert "+ group 44" not in printed
