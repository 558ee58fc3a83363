# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""run.py [--save FILE] [SUBJECT...]: measures these subjects, all by default, and prints figures.

A subject is a file beside this one with a function ``figures(directory)``, which yields them. It
may write to ``directory``, on the disk of the checkout. Nothing is asserted: a target stands beside
what was measured.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGE = "ansible_collections.gpufleet.nvidia.tests.bench"
sys.path.insert(0, str(ROOT / ".dev"))

SUBJECTS = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in ("run", "measure", "page"))


def file_system(directory: Path) -> str:
    done = subprocess.run(
        ["stat", "--file-system", "--format=%T", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures, and prints what was measured.")
    # choices= would refuse the empty list.
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--save", metavar="FILE", type=Path, help="for tests/bench/page.py")
    arguments = parser.parse_args()
    subjects = arguments.subjects or SUBJECTS
    unknown = sorted(set(subjects) - set(SUBJECTS))
    if unknown:
        parser.error(f"no such subject: {', '.join(unknown)}; known are {', '.join(SUBJECTS)}")
    build = ROOT / ".build"
    build.mkdir(exist_ok=True)
    machine = {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "load": os.getloadavg()[0],
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "file_system": file_system(build),
    }
    print(
        "machine: {cores} cores ({architecture}), load {load:.1f}, Linux {kernel}, "
        "Python {python}, {file_system}".format(**machine)
    )
    print("each figure: the median of runs that are warm, in turns with its baseline's")
    measured: dict[str, list[dict[str, object]]] = {}
    for subject in subjects:
        print(f"\n{subject}")
        measured[subject] = []
        module = importlib.import_module(f"{PACKAGE}.{subject}")
        with tempfile.TemporaryDirectory(dir=build, prefix="bench-") as directory:
            for one in module.figures(Path(directory)):
                measured[subject].append(asdict(one))
                print(
                    f"  {one.name}: {milliseconds(one.seconds)} "
                    f"(slowest {milliseconds(one.worst)})\n"
                    f"      {one.ratio:.2f} x the {milliseconds(one.baseline_seconds)} "
                    f"of: {one.baseline}"
                )
                for text in filter(None, (one.target and f"target: {one.target}", one.remark)):
                    print(f"      {text}")
                sys.stdout.flush()
    if arguments.save is not None:
        run = {"date": f"{datetime.now(timezone.utc):%Y-%m-%d}", "machine": machine}
        text = json.dumps({**run, "subjects": measured}, indent=1) + "\n"
        arguments.save.write_text(text)


if __name__ == "__main__":
    main()
