# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""record.py OUTPUT.svg COMMAND...: runs a command in a terminal and draws what it prints, animated.

Waiting is shortened. The path of the checkout is shown as ``~/gpufleet.nvidia``. What is understood
of a terminal is what our commands and Ansible use: lines, carriage returns, colours. A command that
fails leaves no picture. ``make demo`` as README shows it, on a machine that has no demo yet:

    GPUFLEET_DEMO=gpu1 python tests/demo/record.py docs/demo.svg make demo DEMO_SUITE=trixie
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import sys
import termios
import time
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, ROWS = 100, 26
LONGEST_WAIT = 0.7
"""Seconds that pass between two lines at most."""
SPEED = 2.0
END = 6.0
"""Seconds for which the last lines stay."""

LINE = 19
CHARACTER = 8.45
MARGIN = 14
COLOURS = {
    31: "#ff8a80",
    32: "#7bd88f",
    33: "#e9c46a",
    34: "#82aaff",
    35: "#d6a2f5",
    36: "#6fd3e3",
    90: "#8a94a6",
}
SGR = re.compile(r"\x1b\[([0-9;]*)m")
OTHER_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b[=>]|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]"
)


@dataclass(frozen=True)
class Line:
    """When it was complete, in seconds, and its pieces with their colour; no colour is "text"."""

    seconds: float
    pieces: tuple[tuple[str, str], ...]


def run(command: list[str]) -> tuple[int, list[tuple[float, str]]]:
    """Run a command in a terminal; return its exit status, and its lines with their times."""
    started = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    lines: list[tuple[float, str]] = []
    rest = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last process has closed it
            data = b""
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        *complete, rest = (rest + data).split(b"\n")
        now = time.monotonic() - started
        lines += [(now, line.decode(errors="replace")) for line in complete]
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), lines


def pieces(text: str) -> list[tuple[str, str]]:
    """The text of a line as (colour, text)."""
    text = OTHER_CONTROL.sub("", text.rstrip("\r"))
    text = text.rpartition("\r")[2].expandtabs()
    found, colour, bold = [], "text", False
    for number, part in enumerate(SGR.split(text)):
        if number % 2 == 0:
            found.append((colour + " b" * bold, part))
            continue
        for code in map(int, filter(None, (part or "0").split(";"))):
            if code == 0:
                colour, bold = "text", False
            elif code == 1:
                bold = True
            elif code in COLOURS:
                colour = f"c{code}"
            elif code == 39:
                colour = "text"
    return [(colour, part) for colour, part in found if part]


def wrapped(line: list[tuple[str, str]]) -> list[tuple[tuple[str, str], ...]]:
    """A line as the terminal shows it: in as many rows as it needs."""
    rows: list[list[tuple[str, str]]] = [[]]
    room = COLUMNS
    for colour, text in line:
        while text:
            if room == 0:
                rows.append([])
                room = COLUMNS
            rows[-1].append((colour, text[:room]))
            room, text = room - len(text[:room]), text[room:]
    return [tuple(row) for row in rows]


def shown(lines: list[tuple[float, str]], command: list[str], home: Path = ROOT) -> list[Line]:
    """What the picture shows: the command, then its rows; times with waiting shortened."""
    result = [Line(0.0, (("c32 b", "$ "), ("text b", shlex.join(command))))]
    now = last = 0.0
    for seconds, text in lines:
        now += min(seconds - last, LONGEST_WAIT) / SPEED
        last = seconds
        for row in wrapped(pieces(text.replace(str(home), "~/gpufleet.nvidia"))):
            result.append(Line(now, row))
    return result


PICTURE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- Copyright (c) 2026 the gpufleet.nvidia authors -->
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Made by tests/demo/record.py -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"
  height="{height}" role="img" aria-label="{title}">
<style>
text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}}
text{{fill:#e6e9ef;white-space:pre}}
.b{{font-weight:bold}}{colours}
#t{{animation:m {seconds:.1f}s steps(1,end) infinite;transform:translateY({end}px)}}
@keyframes m{{{moves}100%{{transform:translateY({end}px)}}}}
@media (prefers-reduced-motion:reduce){{#t{{animation:none}}}}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#15181e"/>
<svg x="{margin}" y="{margin}" width="{inner_width}" height="{inner_height}"><g id="t">
{rows}
</g></svg>
</svg>
"""


def draw(lines: list[Line], title: str) -> str:
    """The picture: all lines below each other, moved up whenever some are new."""
    inner_width, inner_height = round(COLUMNS * CHARACTER), ROWS * LINE
    seconds = lines[-1].seconds + END
    steps: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        steps[f"{line.seconds / seconds * 100:.2f}%"] = (ROWS - number) * LINE
    return PICTURE.format(
        title=escape(title),
        width=inner_width + 2 * MARGIN,
        height=inner_height + 2 * MARGIN,
        inner_width=inner_width,
        inner_height=inner_height,
        margin=MARGIN,
        colours="".join(f".c{code}{{fill:{value}}}" for code, value in COLOURS.items()),
        moves="".join(f"{at}{{transform:translateY({y}px)}}" for at, y in steps.items()),
        end=(ROWS - len(lines)) * LINE,
        seconds=seconds,
        rows="\n".join(_row(number, line) for number, line in enumerate(lines) if line.pieces),
    )


def _row(number: int, line: Line) -> str:
    spans = "".join(
        escape(text, quote=False)
        if colour == "text"
        else f'<tspan class="{colour.removeprefix("text ")}">{escape(text, quote=False)}</tspan>'
        for colour, text in line.pieces
    )
    return f'<text y="{number * LINE + 14}" xml:space="preserve">{spans}</text>'


def main() -> int:
    if len(sys.argv) < 3:
        print("usage: record.py OUTPUT.svg COMMAND...", file=sys.stderr)
        return 2
    output, command = Path(sys.argv[1]), sys.argv[2:]
    status, lines = run(command)
    if status != 0:
        print(f"Error: '{shlex.join(command)}' ended with status {status}", file=sys.stderr)
        return 1
    output.write_text(draw(shown(lines, command), f"{shlex.join(command)} in a terminal"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
