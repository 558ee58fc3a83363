# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""tests/gpu/run.py, of `make test-gpu`, on a simulated machine: nvidia-smi's answer is replayed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from .conftest import HOST, ROOT

pytestmark = pytest.mark.suites("trixie")

MACHINES = ROOT / "roles/simulated_gpu/files/machines"
REPLAY = """mkdir -p /root/gpu-test/bin && cat >/root/gpu-test/answer
printf '#!/bin/sh\\ncat /root/gpu-test/answer\\n' >/root/gpu-test/bin/nvidia-smi
chmod 755 /root/gpu-test/bin/nvidia-smi"""
RUN = "cd /root/gpu-test && PATH=$PWD/bin:$PATH python3 tests/gpu/run.py /root/gpu-test/out"


def given(line: str, data: str | bytes) -> None:
    text = data.encode() if isinstance(data, str) else data
    subprocess.run(["docker", "exec", "-i", HOST, "sh", "-c", line], input=text, check=True)


@pytest.fixture(scope="module")
def replayed(on_host) -> Iterator[None]:
    """The GPUs of h100x8 with the demo's driver, and nvidia-smi's words of them."""
    demo = json.loads((MACHINES / "zoo5.json").read_text())
    machine = json.loads((MACHINES / "h100x8.json").read_text())
    machine |= {"driver": demo["driver"], "cuda": demo["cuda"]}
    given("cat >/root/machine.json && simulated-gpu load /root/machine.json", json.dumps(machine))
    answer = (ROOT / "tests/golden/nvidia_smi/h100x8.csv").read_text()
    given(REPLAY, answer.replace("570.86.15", demo["driver"]))
    files = ["plugins/module_utils/nvidia_docker", "tests/gpu"]
    packed = subprocess.run(
        ["tar", "-C", ROOT, "--exclude=__pycache__", "-c", *files], capture_output=True, check=True
    )
    given("tar -C /root/gpu-test -x", packed.stdout)
    yield
    given("cat >/root/machine.json && simulated-gpu load /root/machine.json", json.dumps(demo))
    on_host("rm -r /root/gpu-test")


@pytest.mark.usefixtures("replayed")
def test_a_machine_is_compared_and_recorded(on_host) -> None:
    done = on_host(RUN)
    assert "8 GPUs, 51 fields of nvidia-smi: 0 differences" in done.stdout
    assert "volume 375.26: " in done.stdout
    assert "CDI specification: 17 devices, " in done.stdout
    recorded = json.loads(on_host("cat /root/gpu-test/out/machine.json").stdout)
    assert [gpu["name"] for gpu in recorded["gpus"]] == ["NVIDIA H100 80GB HBM3"] * 8
    # What was recorded is a machine: the same facts come of it.
    on_host("simulated-gpu load /root/gpu-test/out/machine.json")
    assert "0 differences" in on_host(RUN).stdout


@pytest.mark.usefixtures("replayed")
def test_what_differs_is_told(on_host) -> None:
    on_host("simulated-gpu set 2.temp_slowdown=20 2.power_limit_mw=650000")
    done = on_host(RUN, ok=False)
    assert done.returncode == 1
    assert "GPU 2: power.limit is 700.00, the fact status.power_limit_milliwatts" in done.stdout
    assert "GPU 0000:4c:00.0 has 30 °C, and slows down from 20 °C on" in done.stdout
