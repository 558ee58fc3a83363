# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""type_at_bash.py WORDS...: prints, on a test host, what an interactive bash with the package
bash-completion makes of each WORDS and TAB, a line per WORDS. Standard error gets the whole screen.

    docker exec -i HOST python3 - 'nvidia-docker ru' <tests/hosts/type_at_bash.py
"""

from __future__ import annotations

import os
import pty
import re
import signal
import sys

TIMEOUT_S = 30
START = ["bash", "--norc", "--noprofile", "-i"]
SETUP = (
    "bind 'set enable-bracketed-paste off'; bind 'set page-completions off'; PS1='ready> '; "
    ". /usr/share/bash-completion/bash_completion\n"
)
# Readline does one key after the other. Ctrl-A, Ctrl-E: to the start and the end of the line.
KEYS = "{words}\t\x01printf 'typed: <%s>\\n' '\x05'\n"
PROMPT = re.compile(rb"^ready> \Z", re.MULTILINE)
TYPED = re.compile(rb"^typed: <(.*)>\r$", re.MULTILINE)


def typed(lines: list[str]) -> list[str]:
    """Return what stands in the command line after each."""
    pid, terminal = pty.fork()
    if pid == 0:
        # Wide enough for a line to be one.
        os.execvpe(START[0], START, {**os.environ, "TERM": "dumb", "COLUMNS": "500"})
    signal.alarm(TIMEOUT_S)
    os.write(terminal, SETUP.encode())
    screen = b""
    while not PROMPT.search(screen):
        screen += os.read(terminal, 4096)
    found: list[bytes] = []
    for line in lines:
        os.write(terminal, KEYS.format(words=line).encode())
        while len(found) < lines.index(line) + 1:
            screen += os.read(terminal, 4096)
            found = TYPED.findall(screen)
    os.write(terminal, b"exit\n")
    os.waitpid(pid, 0)
    sys.stderr.write(screen.decode(errors="replace"))
    return [text.decode() for text in found]


if __name__ == "__main__":
    for line in typed(sys.argv[1:]):
        print(line)
