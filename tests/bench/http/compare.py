# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""compare.py [ROUNDS]: measures candidates.py in turns and prints a table of medians.

Needs a Python that has waitress, cheroot, uvicorn, hypercorn and h11; those it lacks are left out.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from candidates import CANDIDATES

HERE = Path(__file__).resolve().parent
SECONDS = 2.0
COLUMNS = [
    *"start ms|idle MiB|loaded MiB|1: req/s|1: CPU us|16: req/s|16: p99 ms|16: CPU us".split("|"),
    "500/s: p99 ms",
]


def load(port: int, connections: int, rate: float = 0) -> dict[str, float]:
    command = [sys.executable, str(HERE / "load.py"), str(port), "/", str(connections)]
    done = subprocess.run(
        [*command, str(SECONDS), str(rate)], check=True, stdout=subprocess.PIPE, timeout=60
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def memory_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(name: str) -> list[float] | None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, str(HERE / "candidates.py"), name, str(port)]
    started = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if process.poll() is not None:
                        return None
                    time.sleep(0.002)
            row = [(time.perf_counter() - started) * 1000, memory_mib(process.pid)]
            throughput: list[float] = []
            for connections in (1, 16):
                before = cpu_s(process.pid)
                result = load(port, connections)
                used = (cpu_s(process.pid) - before) / result["count"] * 1e6
                throughput.append(result["per_second"])
                throughput += [result["p99_ms"], used] if connections > 1 else [used]
            row.append(memory_mib(process.pid))
            return [*row, *throughput, load(port, 4, 500)["p99_ms"]]
        finally:
            process.kill()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rows: dict[str, list[list[float]]] = {name: [] for name in CANDIDATES}
    for _dummy in range(rounds):
        for name, found in rows.items():
            row = measure(name)
            if row is not None:
                found.append(row)
    print("| server | " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " --- |" * len(COLUMNS))
    for name, found in rows.items():
        if found:
            medians = [statistics.median(column) for column in zip(*found)]
            texts = [f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in medians]
            print(f"| {name} | " + " | ".join(texts) + " |")


if __name__ == "__main__":
    main()
