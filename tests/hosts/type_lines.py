# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""type_lines.py LINES: runs the lines of nvidia_docker.yml, given as JSON, on a test host.

Prints the name of each; one that does not print what it shall ends the run with status 1.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

IMAGE = "gpufleet/cuda:8.0"


def build(images: dict[str, str]) -> dict[str, str]:
    """Return the images by the variable that names them."""
    names = {"image": IMAGE}
    for name, added in images.items():
        names[name] = f"gpufleet/typed-{name}"
        subprocess.run(
            ["docker", "build", "-q", "-t", names[name], "-"],
            input=f"FROM {IMAGE}\n{added}\n".encode(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return names


def main(typed: dict[str, object]) -> int:
    environment = {**os.environ, **build(typed["images"])}
    for one in typed["lines"]:
        print(one["name"], flush=True)
        done = subprocess.run(
            ["bash", "-c", one["line"]],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        printed = " ".join(done.stdout.split())
        if done.returncode != one.get("status", 0) or not re.fullmatch(one["prints"], printed):
            print(f"{one['line']}\nstatus {done.returncode}, printed: {printed}\n{done.stderr}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
