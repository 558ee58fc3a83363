# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replays recordings of nvidia-docker 1.0.1 with our command and running plugin, and compares our
CDI specifications with those that nvidia-ctk wrote (make conformance).

replay.py [--counts FILE] [--differences FILE] [FOLDER]: the status is 1 if something differs
without a row in the table of what is fixed on purpose, or a row is not met. A folder has either
kind of recordings, or both.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cdi_specs
import fixed_on_purpose
import recorded_driver
from compare import Content, Item, changes
from fixed_on_purpose import Difference, Place
from machine import Base, Machine
from recorded_driver import CHECKOUT
from recordings import DEFAULT, Folder, Replay, recorded

_INSIDE = "GPUFLEET_CONFORMANCE_NAMESPACES"
_NAMESPACES = ["--mount", "--net", "--pid", "--uts", "--fork", "--kill-child"]
_SHOWN = 12
"""Lines of a difference that are printed."""
_WIDTH = 240
_EQUAL, _FIXED, _DIFFERENT = range(3)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def main(argv: list[str]) -> int:
    """Replay a folder and return the exit status."""
    options = _parse(argv)
    if options.page:
        fixed_on_purpose.write_page()
        return 0
    # A shell's background job has some ignored, and would pass that on to the plugin.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if os.environ.get(_INSIDE) != "1":
        return _in_namespaces()
    if not options.folder.is_dir():
        sys.stderr.write(f"Error: there is no folder {options.folder}\n")
        return 2
    _bring_up_loopback()
    rows = fixed_on_purpose.read()
    report = Report(fixed_on_purpose.Table(rows), not _is_default(options.folder))
    working = recorded_driver.compile_working(CHECKOUT / ".build" / "conformance")
    top = Path(tempfile.mkdtemp(prefix="gpufleet-"))
    base = Base(top / "base")
    try:

        @contextmanager
        def machine(description: dict[str, Any], file: dict[str, Any]) -> Iterator[Machine]:
            made = Machine(top / "root", base, description, working)
            try:
                made.show(file)
                yield made
            finally:
                made.close()

        for name, replay in Replay(Folder(options.folder), machine).recordings():
            if replay is None:
                report.skip(name)
            else:
                started = time.monotonic()
                items = replay()
                report.add(name, items, time.monotonic() - started)
    finally:
        base.close()
        shutil.rmtree(top)
    _compare_specifications(options.folder, report)
    if _is_default(options.folder):
        report.check_rows()
        report.check_page(rows)
    if report.is_empty:
        sys.stderr.write(f"Error: {options.folder} has no recording that is replayed\n")
        return 2
    report.close(options)
    return 1 if report.failed else 0


def _compare_specifications(folder: Path, report: Report) -> None:
    default = _is_default(folder)
    place = cdi_specs.DEFAULT if default else folder
    if not cdi_specs.is_recorded(place):
        return
    table = cdi_specs.rows()
    used = set()
    started = time.monotonic()
    for recording, differing, _equal in cdi_specs.compare(place):
        left = cdi_specs.unexplained(table, recording, differing)
        report.add_specification(recording.name, differing, left, time.monotonic() - started)
        used |= {row for row in table for line in differing if row.explains(recording, line)}
        started = time.monotonic()
    if default:
        report.check_unused(row.reason for row in table if row not in used)


def _is_default(folder: Path) -> bool:
    return folder.resolve() == DEFAULT


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="replay.py", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, metavar="FOLDER")
    parser.add_argument("--counts", type=Path, help="file for the numbers of passed and failed")
    parser.add_argument("--differences", type=Path, help="file for all that differs, as JSON")
    parser.add_argument("--page", action="store_true", help="write the page of the table, no more")
    options = parser.parse_args(argv)
    options.folder = options.folder.absolute()
    return options


def _in_namespaces() -> int:
    """Run again with mounts, network and processes of its own: nothing is left behind."""
    if os.geteuid() != 0:
        sys.stderr.write("Error: only root can make the machines of the recordings\n")
        return 2
    os.environ[_INSIDE] = "1"
    os.execvp("unshare", ["unshare", *_NAMESPACES, sys.executable, *sys.argv])


def _bring_up_loopback() -> None:
    with socket.socket() as one:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(one, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


class Report:
    """Counts, and what is printed."""

    def __init__(self, table: fixed_on_purpose.Table, foreign: bool) -> None:
        self._table = table
        self._foreign = foreign
        self._met: set[Place] = set()
        self._total = [0, 0, 0]
        self._different: list[dict[str, Any]] = []
        self._problems = 0
        self._specifications = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was compared."""
        return not self._met and not self._specifications

    @property
    def failed(self) -> int:
        """How many items differ, and rows that are not met."""
        return self._total[2] + self._problems

    def add(self, recording: str, items: list[Item], seconds: float) -> None:
        """Count the items of a recording and show what is different."""
        counts = [0, 0, 0]
        different = []
        for item in items:
            place = (recording, item.name)
            self._met.add(place)
            kind = self._kind(place, item)
            counts[kind] += 1
            if kind == _DIFFERENT:
                different.append((place, item))
        self._total = [sum(pair) for pair in zip(self._total, counts)]
        print(f"{recording:34} {_counted(counts)}  {seconds:5.1f} s", flush=True)
        for place, item in different:
            self._show(place, item)

    def add_specification(
        self, recording: str, differing: list[str], left: list[str], seconds: float
    ) -> None:
        """Count a CDI specification, with the lines that differ and those that no row explains."""
        kind = _DIFFERENT if left else _FIXED if differing else _EQUAL
        self._specifications += 1
        self._total[kind] += 1
        counts = [int(one == kind) for one in (_EQUAL, _FIXED, _DIFFERENT)]
        print(f"{recording:34} {_counted(counts)}  {seconds:5.1f} s", flush=True)
        if left:
            self._different.append({"recording": recording, "item": "CDI", "changes": left})
            print("    the lines that no row explains; - nvidia-ctk's, + ours:")
            _print_lines(tuple(left))

    def check_unused(self, reasons: Iterable[str]) -> None:
        """Report rows of the table of CDI differences that explain nothing."""
        for reason in reasons:
            print(f"a row of {cdi_specs.TABLE.name} explains nothing: {reason}")
            self._problems += 1

    def skip(self, recording: str) -> None:
        """Say that nothing replays a recording yet."""
        print(f"{recording:34} not replayed: nothing replays this kind yet", flush=True)

    def _kind(self, place: Place, item: Item) -> int:
        row = self._table.at(place)
        if row is None and self._is_like_elsewhere(item):
            return _FIXED
        if row is None:
            return _DIFFERENT if changes(item.expected, item.got) else _EQUAL
        if not changes(item.expected, item.got):
            return _DIFFERENT
        return _FIXED if changes(self._base(item, row), item.got) == row.changes else _DIFFERENT

    def _base(self, item: Item, row: Difference) -> Content:
        """Return what the changes of a row start from."""
        if row.like is None:
            return item.expected
        base = recorded(*row.like)
        if base is None:
            raise SystemExit(f"Error: {fixed_on_purpose.TABLE.name}: nothing is at {row.like}")
        return base

    def _is_like_elsewhere(self, item: Item) -> bool:
        """In another folder rows count for all recordings."""
        changed = changes(item.expected, item.got)
        return self._foreign and bool(changed) and self._table.knows(item.name, changed)

    def _show(self, place: Place, item: Item) -> None:
        row = self._table.at(place)
        changed = changes(item.expected, item.got)
        self._different.append(
            {
                "recording": place[0],
                "item": place[1],
                "changes": changed,
                "got": {"lines": item.got.lines, "body": item.got.body},
            }
        )
        print(f"  {item.name}")
        if row is not None:
            print("    differs from v1 on purpose, but not as its row says; the row:")
            _print_lines(row.changes)
            if row.like is not None:
                print(f"    from what was recorded at {row.like}; it is:")
                changed = changes(self._base(item, row), item.got)
        print("    the difference; - expected, + got:")
        _print_lines(changed or ("(none: it is as recorded)",))

    def check_rows(self) -> None:
        """Find the rows that belong to nothing."""
        for place in sorted(set(self._table.places()) - self._met):
            print(f"a row of {fixed_on_purpose.TABLE.name} is for nothing: {place[0]}, {place[1]}")
            self._problems += 1

    def check_page(self, rows: tuple[fixed_on_purpose.Row, ...]) -> None:
        """Compare docs/conformance.md with the table."""
        document = fixed_on_purpose.PAGE.read_text(encoding="utf-8")
        if fixed_on_purpose.with_page(document, rows) != document:
            print(f"{fixed_on_purpose.PAGE.name} is not what the table says: run replay.py --page")
            self._problems += 1

    def close(self, options: argparse.Namespace) -> None:
        """Print the total and write the files that were asked for."""
        print(f"{'total':34} {_counted(self._total)}")
        if options.counts:
            options.counts.write_text(f"{self._total[0] + self._total[1]} {self.failed}\n")
        if options.differences:
            options.differences.write_text(json.dumps(self._different, indent=1) + "\n")


def _counted(counts: list[int]) -> str:
    return f"{counts[0]:4} equal  {counts[1]:4} fixed on purpose  {counts[2]:4} different"


def _print_lines(lines: tuple[str, ...]) -> None:
    for line in lines[:_SHOWN]:
        print(f"      {line[:_WIDTH]}{'...' if len(line) > _WIDTH else ''}")
    if len(lines) > _SHOWN:
        print(f"      ... {len(lines) - _SHOWN} more lines")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
