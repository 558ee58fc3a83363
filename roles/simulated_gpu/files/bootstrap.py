# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host by ``python3 -c``: unpacks machine and program from standard input, runs it."""

import base64
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile

machine, _dummy, archive = sys.stdin.read().partition("\n")
with tempfile.TemporaryDirectory() as folder:
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive))) as program:
        # Newer Pythons want to be told that nothing leaves the folder, older ones cannot be told.
        trust = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        program.extractall(folder, **trust)
    path = pathlib.Path(folder, "machine.json")
    path.write_bytes(base64.b64decode(machine))
    verb, *options = sys.argv[1:]
    arguments = [verb, str(path), *options] if verb == "load" else [verb, *options]
    command = [sys.executable, "-B", f"{folder}/simulated_gpu.py", *arguments]
    sys.exit(subprocess.run(command, check=False).returncode)
