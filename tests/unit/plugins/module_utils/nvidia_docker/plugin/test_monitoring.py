# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""monitoring.py: /metrics and /healthz, when they ask the driver and when it does not answer.

REWRITE_GOLDEN=1 in the environment writes down the pages as they are now; look at every changed
line.
"""

from __future__ import annotations

import dataclasses
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import __version__
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverUnavailable,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    DeviceStatus,
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import (
    remote_api,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.api import (
    Request,
    Response,
    respond,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    GLANCE_S,
    State,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.sweeper import (
    IDLE_S,
    MAX_AGE_S,
    PERIOD_S,
)
from prometheus_client.parser import text_string_to_metric_families

GOLDEN = Path(__file__).resolve().parents[5] / "golden" / "metrics"
API = remote_api.api(set())
TEXT = "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
TIMEOUT_S = 20
PATIENCE_S = 0.3


class Machine:
    """A machine whose driver changes or hangs, and a clock that only the test moves."""

    def __init__(self, host: Host, patience_s: float = TIMEOUT_S, real_time: bool = False) -> None:
        self.host = host
        self.now = 100.0
        self.sweeps = 0
        self.samples = 0
        self.error: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.state = State(
            Path("/v"),
            self.discover,
            lambda host: (),
            module_version=lambda: self.host.driver.module_version,
            clock=time.monotonic if real_time else lambda: self.now,
            sample=self.sample,
            patience_s=patience_s,
            wall_clock=lambda: 1500000000.5,
        )

    def discover(self) -> Host:
        self.sweeps += 1
        assert self.answers.wait(TIMEOUT_S)
        return self.host

    def sample(self, host: Host) -> tuple[DeviceStatus, ...]:
        self.samples += 1
        if self.error is not None:
            raise self.error
        return tuple(DeviceStatus(temperature_celsius=self.samples) for _one in host.devices)

    def get(self, path: str, host: str = "localhost") -> Response:
        return respond(API, self.state, Request("GET", path, headers={"host": host}))

    def metrics(self) -> dict[str, float]:
        """The values of the first sample of each metric."""
        answer = self.get("/metrics")
        assert (answer.status, answer.content_type) == (200, METRICS)
        families = text_string_to_metric_families(answer.body.decode())
        return {family.name: family.samples[0].value for family in families}

    def until_begun(self, sweeps: int) -> None:
        self.until(lambda: self.sweeps >= sweeps)

    def until_swept(self, sweeps: int) -> None:
        sweeper = self.state._sweeper
        self.until(lambda: self.sweeps >= sweeps and sweeper._running_since is None)

    @staticmethod
    def until(true: Callable[[], bool]) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not true():
            assert time.monotonic() < end
            time.sleep(0.005)


@pytest.fixture
def machine(zoo5: Host) -> Iterator[Machine]:
    machine = Machine(zoo5)
    yield machine
    machine.state.stop()


@pytest.fixture
def hanging(zoo5: Host) -> Iterator[Machine]:
    """It has answered once."""
    machine = Machine(zoo5, PATIENCE_S, real_time=True)
    machine.state.host()
    machine.answers.clear()
    yield machine
    machine.answers.set()
    machine.state.stop()


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
def test_they_are_routed_as_the_others(machine: Machine, path: str) -> None:
    """But v1 had no such path, so its prefix has none."""
    assert machine.get(path).status == 200
    assert machine.get("/v1.0" + path).status == 404
    assert machine.get(path, host="evil.example").status == 403
    assert machine.get(path, host="192.0.2.1:3476").status == 200


def test_a_page_is_made_once_per_picture(machine: Machine) -> None:
    first = machine.get("/metrics")
    assert machine.get("/metrics") is first
    machine.now += MAX_AGE_S
    assert machine.get("/metrics") is not first
    assert (machine.sweeps, machine.samples) == (2, 2)


def test_a_scrape_costs_one_sweep(machine: Machine) -> None:
    """Ten more after each would keep the GPUs of a host without persistence mode busy."""
    for scrape in range(1, 4):
        assert machine.metrics()["DCGM_FI_DEV_GPU_TEMP"] == scrape
        machine.now += PERIOD_S
        time.sleep(0.05)
        assert machine.sweeps == scrape
        machine.now += 15


def test_a_scrape_beside_a_client_of_the_status(machine: Machine) -> None:
    """Whoever wants to go on being served is."""
    machine.get("/gpu/status")
    machine.get("/metrics")
    assert machine.sweeps == 1
    machine.now += MAX_AGE_S
    machine.get("/docker/cli")
    assert machine.samples == 2


def test_samples_that_fail_do_not_hide_the_rest(machine: Machine) -> None:
    machine.error = DriverUnavailable("gone")
    told = machine.metrics()
    assert (told["nvidia_docker_driver_up"], told["nvidia_docker_gpus"]) == (0, 5)
    assert "DCGM_FI_DEV_GPU_TEMP" not in told


def test_what_is_a_mistake_of_ours_is_no_silent_driver(machine: Machine) -> None:
    machine.error = RuntimeError("out of luck")
    assert machine.get("/metrics").status == 500


def test_metrics_of_a_driver_that_hangs(hanging: Machine) -> None:
    """The first scrape waits, none after it does; the last answer's time is told."""
    time.sleep(MAX_AGE_S)
    for number in range(3):
        begin = time.monotonic()
        told = hanging.metrics()
        assert time.monotonic() - begin < (TIMEOUT_S / 2 if number == 0 else PATIENCE_S)
        assert told["nvidia_docker_driver_hanging"] == 1
        assert told["nvidia_docker_driver_up"] == 0
        assert told["nvidia_docker_sweep_timestamp_seconds"] == 1500000000.5
    hanging.answers.set()
    end = time.monotonic() + TIMEOUT_S
    while hanging.metrics()["nvidia_docker_driver_hanging"]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_health_never_waits_for_a_driver_that_hangs(zoo5: Host) -> None:
    machine = Machine(zoo5, patience_s=5)
    machine.state.host()
    machine.answers.clear()
    machine.now += GLANCE_S
    try:
        for _dummy in range(3):
            assert machine.get("/healthz").body == b"ok\n"
        machine.until_begun(2)
        machine.now += 4.9
        assert machine.get("/healthz").status == 200
        machine.now += 0.2
        answer = machine.get("/healthz")
        assert (answer.status, answer.content_type) == (503, TEXT)
        assert answer.body.startswith(b"the NVIDIA driver has not answered for 5 s")
        assert machine.sweeps == 2
    finally:
        machine.answers.set()
    machine.until_swept(2)
    assert machine.get("/healthz").status == 200
    machine.state.stop()


def test_health_before_the_first_answer(zoo5: Host) -> None:
    machine = Machine(zoo5)
    machine.answers.clear()
    assert machine.get("/healthz").body == b"ok\n"
    machine.answers.set()
    machine.until_swept(1)
    machine.state.stop()


def test_health_of_a_host_that_nobody_asks_is_looked_at(machine: Machine) -> None:
    """Seldom: a probe every second must not keep the GPUs busy."""
    machine.get("/healthz")
    machine.until_swept(1)
    for _dummy in range(int(GLANCE_S)):
        machine.get("/healthz")
        machine.now += 1
    assert machine.sweeps == 1
    machine.get("/healthz")
    machine.until_swept(2)
    machine.now += IDLE_S / 2
    machine.get("/healthz")
    assert (machine.sweeps, machine.samples) == (2, 0)


DRIVERS = [
    (Driver("375.26", None, None, "375.26"), None, 200, "ok\n"),
    (Driver("375.26", None, None, None), None, 200, "ok\n"),
    (Driver(None, None, None, None), "no driver is loaded", 200, "ok\n"),
    (Driver(None, None, None, "375.26"), "versions differ", 503, "versions differ\n"),
]


@pytest.mark.parametrize(("driver", "reason", "status", "body"), DRIVERS)
def test_health(
    machine: Machine, driver: Driver, reason: str | None, status: int, body: str
) -> None:
    """A host without driver has none that could fail; one that is loaded and refuses has."""
    machine.host = dataclasses.replace(machine.host, driver=driver, reason=reason)
    machine.state.host()
    assert machine.get("/healthz") == Response.of(status, body)


ASK = """
import socket, sys
from pathlib import Path
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import discovery
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import (
    api, remote_api, state
)
socket.gethostname = lambda: "gpu1"
seen = state.State(
    Path("/nowhere"),
    lambda: discovery.discover(Path(sys.argv[1])),
    lambda host: (),
    clock=lambda: 0.0,
    sample=discovery.sample,
    keep_open=discovery.kept_open,
    wall_clock=lambda: 1500000000.0,
)
request = api.Request("GET", "/metrics", headers={"host": "localhost"})
answer = api.respond(remote_api.api(set()), seen, request)
assert answer.status == 200, answer.body
sys.stdout.buffer.write(answer.body)
"""


@pytest.fixture(scope="module")
def scraped(on_machine, tmp_path_factory):
    """A function from a machine to its page, from the simulated NVML through the real pynvml."""
    return lambda machine: on_machine(machine, ASK, str(tmp_path_factory.mktemp("root"))).decode()


@pytest.mark.parametrize("machine", ["zoo5", "badgpu", "none", "badinit"])
def test_pages_stay_as_they_are(machine: str, scraped) -> None:
    page = scraped(machine).replace(f'version="{__version__}"', 'version="0.0.0"')
    file = GOLDEN / f"{machine}.txt"
    if "REWRITE_GOLDEN" in os.environ:
        file.write_text(page)
    assert page == file.read_text()


TOLD = {
    "DCGM_FI_DEV_SM_CLOCK": ("sm_clock", 1),
    "DCGM_FI_DEV_MEM_CLOCK": ("mem_clock", 1),
    "DCGM_FI_DEV_GPU_TEMP": ("temp", 1),
    "DCGM_FI_DEV_POWER_USAGE": ("power_mw", 1000),
    "DCGM_FI_DEV_POWER_MGMT_LIMIT": ("power_limit_mw", 1000),
    "DCGM_FI_DEV_PCIE_TX_THROUGHPUT": ("pcie_tx_kbs", 1),
    "DCGM_FI_DEV_PCIE_RX_THROUGHPUT": ("pcie_rx_kbs", 1),
    "DCGM_FI_DEV_GPU_UTIL": ("util_gpu", 1),
    "DCGM_FI_DEV_MEM_COPY_UTIL": ("util_mem", 1),
    "DCGM_FI_DEV_ENC_UTIL": ("util_enc", 1),
    "DCGM_FI_DEV_DEC_UTIL": ("util_dec", 1),
    "DCGM_FI_DEV_FB_TOTAL": ("mem_total", 2**20),
    "DCGM_FI_DEV_FB_USED": ("mem_used", 2**20),
    "DCGM_FI_DEV_BAR1_TOTAL": ("bar1_total", 2**20),
    "DCGM_FI_DEV_BAR1_USED": ("bar1_used", 2**20),
    "DCGM_FI_DEV_ECC_DBE_VOL_L1": ("ecc_l1", 1),
    "DCGM_FI_DEV_ECC_DBE_VOL_L2": ("ecc_l2", 1),
    "DCGM_FI_DEV_ECC_DBE_VOL_DEV": ("ecc_mem", 1),
}


@pytest.mark.parametrize("machine", ["zoo5", "zoo5-lostgpu", "h100x8", "a100_mig"])
def test_values_are_the_machines(machine: str, scraped, machine_file) -> None:
    """Every sample is what the machine file says, in the unit of its name."""
    gpus = {gpu["uuid"]: gpu for gpu in machine_file(machine)["gpus"] if "uuid" in gpu}
    families = {family.name: family for family in text_string_to_metric_families(scraped(machine))}
    compared = 0
    for name, (key, divisor) in TOLD.items():
        for sample in families[name].samples if name in families else ():
            assert sample.value == pytest.approx(gpus[sample.labels["UUID"]][key] / divisor)
            compared += 1
    assert compared >= 15


def test_nothing_is_rounded(scraped, machine_file) -> None:
    """As /gpu/status does."""
    (power,) = re.findall(r'DCGM_FI_DEV_POWER_USAGE\{.*gpu="0".*\} (.*)', scraped("zoo5"))
    assert power == "131.499"
    assert machine_file("zoo5")["gpus"][0]["power_mw"] == 131499
