# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cdi_yaml.py, against a complete YAML library and nvidia-ctk's own files"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import cdi_yaml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import CdiError

GOLDEN = Path(__file__).resolve().parents[4] / "golden" / "ctk"
RECORDED = sorted(path.name for path in GOLDEN.glob("*.yaml"))


def complete(text: str) -> object:
    """What a complete YAML library reads."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def test_recordings_are_there() -> None:
    assert len(RECORDED) >= 9


@pytest.mark.parametrize("name", RECORDED)
def test_what_nvidia_ctk_writes_is_read_as_a_yaml_library_does(name) -> None:
    text = (GOLDEN / name).read_text()
    assert cdi_yaml.read(text) == complete(text)


SAME = [
    "",
    "# only a comment\n",
    "---\na: 1\n",
    "a: 1\nb: -2\nc: x\n",
    "a:\nb: 1\n",
    "a:\n    b:\n        c: d\n",
    "a:\n- 1\n- b\n",
    "a:\n  - 1\n  - b\n",
    "- a: 1\n  b: 2\n- c: 3\n",
    "-\n  a: 1\n",
    "- - 1\n  - 2\n- 3\n",
    "-   a: 1\n    b:\n    -   x\n",
    "a: []\nb: {}\nc: null\nd: ~\ne: true\nf: false\n",
    "a: \"0\"\nb: '0'\nc: 0\nd: \"x\\ny\"\ne: 'it''s'\n",
    "a: /dev/dri/by-path/pci-0000:3b:00.0-card\n",
    "a: ../card1::/dev/dri/x\n",
    "a: A=b c\n",
    "a: --link\nb: -x\n",
    "  a: 1\n  b: 2\n",
    "a: 0.7.0\n",
    "- x\n- ''\n- 0:1\n",
    "a:\n    # comment\n    b: 1\n\n    c: 2\n",
    "\"a\": 1\n'b': 2\n",
]


@pytest.mark.parametrize("text", SAME)
def test_it_means_what_a_yaml_library_says(text) -> None:
    assert cdi_yaml.read(text) == complete(text)


REFUSED = [
    ("a: &x 1\n", 1),
    ("a: 1\nb: *x\n", 2),
    ("a: !!str 1\n", 1),
    ("a: |\n  x\n", 1),
    ("a: >-\n  x\n", 1),
    ("a: [1, 2]\n", 1),
    ("a: {b: 1}\n", 1),
    ("a: x\n  y\n", 2),
    ('a: "x\n  y"\n', 1),
    ("a: 'x\n", 1),
    ("a: 'x'y'\n", 1),
    ("a: x # comment\n", 1),
    ("a: x: y\n", 1),
    ("a:\tx\n", 1),
    ("a: 1\n\tb: 2\n", 2),
    ("a: 1\na: 2\n", 2),
    ("a: 1\n---\nb: 2\n", 2),
    ("a: 1\n...\n", 2),
    ("a: 0x1f\n", 1),
    ("a: 010\n", 1),
    ("a: 1.5\n", 1),
    ("a: 1e3\n", 1),
    ("a: .inf\n", 1),
    ("a: 1_000\n", 1),
    ("a: 1:1\n", 1),
    ("a: 2026-08-21\n", 1),
    ("a: yes\n", 1),
    ("a: Off\n", 1),
    ("a: TRUE\n", 1),
    ("a: 1\n b: 2\n", 2),
    ("  a: 1\n b: 2\n", 2),
    ("- 1\na: 2\n", 2),
    ("a: 1\n- 2\n", 2),
    ("a: %x\n", 1),
    ("a: @x\n", 1),
    ("? a\n: b\n", 1),
    ("a: x:\n", 1),
    ("a: 1\0\n", 1),
    ("\n" + "- " * 100 + "x\n", 2),
]


@pytest.mark.parametrize(("text", "line"), REFUSED)
def test_what_is_not_understood_is_refused_with_its_line(text, line) -> None:
    """Never read as something else than a YAML library would."""
    with pytest.raises(CdiError, match=f"^line {line}: "):
        cdi_yaml.read(text)


INDENTS = ("", "  ", "    ", " ")
PARTS = (
    "a:",
    "b: 1",
    "- c: x",
    "-",
    "- d",
    '- "0"',
    "e: 'f'",
    "g: []",
    "- - h",
    "# i",
    "j",
    "",
    "a: 2",
)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_read_is_what_a_yaml_library_reads(seed) -> None:
    """Lines at random: refused, or the same value; never another one."""
    chance = random.Random(seed)
    read = 0
    for _number in range(100):
        lines = [chance.choice(INDENTS) + chance.choice(PARTS) for _line in range(5)]
        text = "\n".join(lines[: chance.randint(1, 5)]) + "\n"
        try:
            value = cdi_yaml.read(text)
        except CdiError:
            continue
        read += 1
        assert value == complete(text), text
    assert read
