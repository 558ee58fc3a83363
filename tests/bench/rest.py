# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The REST API of the plugin with eight GPUs, beside http.server of the standard library."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.gpufleet.nvidia.tests.bench.measure import Figure
from ansible_collections.gpufleet.nvidia.tests.fuzz.plugin import PACKAGES, Plugin

HTTP = Path(__file__).resolve().parent / "http"
BASELINE = "http.server, the same 340 bytes each time"
SECONDS = 1.0
ROUNDS = 5
# Requests a second at 1 and at 16 connections, from recordings of nvidia-docker-plugin 1.0.1.
V1 = {
    "/docker/cli": (10_700, 21_400),
    "/docker/cli?dev=3": (10_700, 26_500),
    "/docker/cli/json": (12_300, 42_800),
    "/gpu/info/json": (13_400, 25_100),
    "/gpu/status/json": (8_850, 19_800),
    "/gpu/info": (1_200, 2_260),
    "/gpu/status": (1_200, 1_650),
    "/mesos/cli": (1_980, 2_290),
}
RENDERED_EACH_TIME = ("/gpu/info", "/gpu/status", "/mesos/cli")
"""By v1, which parsed its template for each request."""
NVML_S = 0.02
"""What a slow driver takes for what one GPU does."""
CLIENTS = 50
V1_MEMORY = "v1.0.1: 8 MiB idle, 24 MiB loaded"
NODES = ["nvidiactl", "nvidia-uvm", *(f"nvidia{number}" for number in range(8))]
# What it can't be told: a root with the device nodes of GPUs that are not there, a slower driver.
START = """
import sys, time
sys.path += {packages!r}
from functools import partial
from pathlib import Path
from nvidia_docker.host import discovery
quick = discovery.sample
def sample(host):
    time.sleep({nvml_s} * len(host.devices))
    return quick(host)
if {nvml_s}:
    discovery.sample = sample
from nvidia_docker.plugin import main
discovery.discover = partial(discovery.discover, root=Path({root!r}))
sys.exit(main.main(sys.argv[1:]))
"""


def load(port: int, path: str, connections: int, rate: float = 0) -> dict[str, float]:
    command = [sys.executable, str(HTTP / "load.py"), str(port), path, str(connections)]
    done = subprocess.run(
        [*command, str(SECONDS), str(rate)], check=True, stdout=subprocess.PIPE, timeout=60
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


@contextlib.contextmanager
def baseline() -> Iterator[int]:
    """Serve, and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, str(HTTP / "candidates.py"), "http_server", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for _dummy in range(500):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.01)
            yield port
        finally:
            process.kill()


def in_turns(
    one: Callable[[], dict[str, float]], other: Callable[[], dict[str, float]]
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    pairs = [(one(), other()) for _dummy in range(ROUNDS)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def throughput(plugin: Plugin, other: int, path: str, connections: int) -> Figure:
    v1 = V1[path][connections > 1]
    target = f"as many as v1.0.1, at least {0.3 if connections == 1 else 0.15} of it"
    if path in RENDERED_EACH_TIME:
        target = "at least 2 x as many as v1.0.1"
    ours, theirs = in_turns(
        lambda: load(plugin.port, path, connections), lambda: load(other, "/", connections)
    )
    times = [1 / result["per_second"] for result in ours]
    per_second = 1 / statistics.median(times)
    return Figure(
        name=f"{path}, {connections} connections, time per answer",
        seconds=statistics.median(times),
        worst=max(times),
        baseline=BASELINE,
        baseline_seconds=statistics.median(1 / result["per_second"] for result in theirs),
        target=target,
        remark=f"{per_second:,.0f}/s; v1.0.1, as recorded: {v1:,}/s, {per_second / v1:.2f} x",
    )


def latency(plugin: Plugin, other: int, path: str) -> Figure:
    ours, theirs = in_turns(
        lambda: load(plugin.port, path, 4, 500), lambda: load(other, "/", 4, 500)
    )
    return Figure(
        name=f"{path}, 500 requests a second on 4 connections, 99th percentile",
        seconds=statistics.median(result["p99_ms"] / 1000 for result in ours),
        worst=max(result["p99_ms"] / 1000 for result in ours),
        baseline=BASELINE,
        baseline_seconds=statistics.median(result["p99_ms"] / 1000 for result in theirs),
        target="10 ms",
    )


def slow_driver(plugin: Plugin, other: int) -> Figure:
    """Many clients while NVML takes its time: v1 asked it for each of them."""
    ours, theirs = in_turns(
        lambda: load(plugin.port, "/gpu/status", CLIENTS), lambda: load(other, "/", CLIENTS)
    )
    times = [1 / result["per_second"] for result in ours]
    return Figure(
        name=f"/gpu/status, {CLIENTS} clients, 8 GPUs x {NVML_S * 1000:.0f} ms of NVML, per answer",
        seconds=statistics.median(times),
        worst=max(times),
        baseline=BASELINE,
        baseline_seconds=statistics.median(1 / result["per_second"] for result in theirs),
        target="1 ms: at least 1,000/s",
        remark=f"{1 / statistics.median(times):,.0f}/s; with a sweep per request: "
        f"{1 / (8 * NVML_S):.0f}/s",
    )


def machine(directory: Path) -> Path:
    """Return a root with device nodes."""
    (directory / "root" / "dev").mkdir(parents=True)
    for number, name in enumerate(NODES):
        os.mknod(directory / "root" / "dev" / name, 0o020666, os.makedev(195, number))
    return directory / "root"


def figures(directory: Path) -> Iterator[Figure]:
    """Yield throughput, latency and memory."""
    driver = Plugin.build_driver(directory / "driver")
    root = str(machine(directory))
    start = START.format(packages=PACKAGES, root=root, nvml_s=0)
    served = directory / "served"
    served.mkdir()
    with Plugin(served, driver, start) as plugin, baseline() as other:
        idle = plugin.memory_kib()
        for path in V1:
            for connections in (1, 16):
                yield throughput(plugin, other, path, connections)
        last = latency(plugin, other, "/docker/cli")
        memory = f"memory: {idle / 1024:.1f} MiB idle, {plugin.memory_kib() / 1024:.1f} MiB loaded"
        yield Figure(**{**vars(last), "remark": f"{memory}; {V1_MEMORY}"})
    slow = directory / "slow"
    slow.mkdir()
    start = START.format(packages=PACKAGES, root=root, nvml_s=NVML_S)
    with Plugin(slow, driver, start) as plugin, baseline() as other:
        yield slow_driver(plugin, other)
