# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each message that the documentation quotes is one that the code can say."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OTHERS = "## Messages of Docker, Podman and CUDA"
PAGES = ["troubleshooting.md", "driver-volume.md"]
# What pages write where the code puts something in, for readers who search for it.
PUT_IN = re.compile("libnvidia-ml(?=.so of driver)|nvidia_driver_…|the volume maker")
FIRST_CELL = re.compile(r"^\| `(.+?)`(?: \(a warning\))? \|", re.MULTILINE)


def quoted(page: str) -> list[str]:
    """The messages in the tables of a page whose first column is "message"."""
    text = (ROOT / "docs" / page).read_text().partition(OTHERS)[0]
    tables = re.findall(r"^\| message \|.*\n\| --- .*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [message for table in tables for message in FIRST_CELL.findall(table)]


def said(node: ast.AST) -> str | None:
    """A text of the code, with … for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(said(part) or "…" for part in node.values)
    return None


@cache
def texts() -> tuple[str, ...]:
    """Every text of our code that somebody could read, documentation left out."""
    found = set()
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        if "_vendor" not in path.parts:
            found |= {said(node) for node in ast.walk(ast.parse(path.read_text()))}
    for folder in ("roles", "playbooks"):
        for path in sorted((ROOT / folder).rglob("*.yml")):
            plain = re.sub(r"\{\{.*?\}\}", "…", path.read_text(), flags=re.DOTALL)
            found.add(" ".join(plain.split()))
    return tuple(text for text in found if text and "\nDOCUMENTATION" not in text)


def can_be_said(message: str) -> bool:
    """Whether one text has all fixed parts of the message, in their order."""
    fixed = [part.strip() for part in PUT_IN.sub("…", message).split("…")]
    parts = [re.escape(part) for part in fixed if part.strip(" :,;()")]
    pattern = re.compile(".*".join(parts), re.DOTALL)
    return any(pattern.search(text) for text in texts())


@pytest.mark.parametrize("message", [one for page in PAGES for one in quoted(page)])
def test_a_quoted_message_can_be_said(message: str) -> None:
    assert can_be_said(message)


def test_tables_are_found() -> None:
    """A page without a quoted message must not pass."""
    assert [len(quoted(page)) >= least for page, least in zip(PAGES, (45, 7))] == [True] * 2


def test_what_nobody_says_is_noticed() -> None:
    assert can_be_said("missing device node …: load the driver")
    assert not can_be_said("missing device nodes …: load the driver")
    assert not can_be_said("load the driver …: missing device node")


def test_every_row_is_read() -> None:
    """A row in another form would not be checked."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = [
        line
        for line in text.partition(OTHERS)[0].splitlines()
        if line.startswith("|") and not line.startswith(("| message", "| ---"))
    ]
    assert len(rows) == len(quoted("troubleshooting.md"))
