# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ssh in the root of a recording: tries to connect, as nothing more was recorded of it."""

from __future__ import annotations

import socket
import sys

_FAILED = 255
"""ssh's status for its own errors."""
_TIMEOUT_S = 10


def main(argv: list[str]) -> int:
    """``ssh … [-p PORT] … HOST``: end as ssh does when the server can't be reached."""
    host = argv[-1].rpartition("@")[2]
    port = int(argv[argv.index("-p") + 1]) if "-p" in argv else 22
    try:
        socket.create_connection((host, port), _TIMEOUT_S).close()
    except OSError as error:
        sys.stderr.write(f"ssh: connect to host {host} port {port}: {error.strerror}\r\n")
        return _FAILED
    sys.stderr.write("the stand-in for ssh can do no more than connect\n")
    return _FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv))
