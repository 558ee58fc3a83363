# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""ask_dockerd.py <CONFIGS >ANSWERS: what the installed dockerd says to each daemon.json of a list.

Both are JSON. An answer is null, or why dockerd would not start. dockerd runs as nobody: it reads
its configuration first, and then refuses to start without root; so nothing is started or changed.
Uses the standard library only, to run on a test host.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

NOBODY = 65534
READ_ITS_FILE = "needs to be started with root"


def ask(config: object, flags: tuple[str, ...] = ()) -> str | None:
    """Return what dockerd complains of, None if it takes this daemon.json."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "daemon.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config if isinstance(config, str) else json.dumps(config))
        done = subprocess.run(
            ["dockerd", "--config-file", path, *flags],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=NOBODY if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )
    said = done.stderr.strip().replace(path, "daemon.json")
    return None if READ_ITS_FILE in said else said.splitlines()[-1]


if __name__ == "__main__":
    json.dump([ask(config) for config in json.load(sys.stdin)], sys.stdout)
