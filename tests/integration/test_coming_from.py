# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each row of docs/coming-from.md, typed on a host with the machine zoo5."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.suites("trixie")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "coming-from.md"
ROW = re.compile(r"^\| (?!you typed|---)(.*?) \| ", re.MULTILINE)
RUN = "nvidia-docker run --rm"
IMAGE = "gpufleet/cuda:8.0"
LIST = f"{IMAGE} nvidia-smi -L"
FIRST, SECOND, THIRD = (f"GPU-{start}\\S+" for start in ("836c0c09", "b78a60a1-0", "b78a60a1-7"))
ALL = r"(GPU \d: [^(]*\(UUID: GPU-\S+\) ?){5}"
NOTHING_ADDED = r".*Warning: no GPU is added: {} asks docker itself for GPUs.*"
# What docker does with a plugin of its command line; compose is not on the host.
COMPOSE = """mkdir -p /root/.docker/cli-plugins && cd /root/.docker/cli-plugins && {
cat >docker-compose <<'END'
#!/bin/sh
[ "$1" = docker-cli-plugin-metadata ] || exec echo "$@" "$NV_GPU"
echo '{"SchemaVersion": "0.1.0", "Vendor": "x", "Version": "1"}'
END
chmod 755 docker-compose; nvidia-docker compose up; rm docker-compose; }"""


def gpus(*uuids: str) -> str:
    return " ".join(rf"GPU {n}: [^(]*\(UUID: {uuid}\)" for n, uuid in enumerate(uuids))


TYPED: dict[str, list[tuple[str, str]]] = {
    "`nvidia-docker run`, `create`": [
        (
            f"{RUN} -p8080:80 -itv/etc:/b -w/b -- {IMAGE} ls passwd 2>&1",
            "the input device is not a TTY",
        ),
        (f"{RUN} -p8080:80 -iv/etc:/b -w/b -- {IMAGE} ls passwd </dev/null", "passwd"),
        (f"docker rm $(nvidia-docker create {IMAGE} true) | wc -l", "1"),
    ],
    "`NV_GPU=0,1 nvidia-docker run …`": [
        (f"NV_GPU=0,1 {RUN} {LIST}", gpus(FIRST, SECOND)),
        (f"NV_GPU=none {RUN} {LIST}", "No devices found."),
        (f"NV_GPU=0000:83:00.0 {RUN} {LIST}", ".*UUID.*"),
        (f"NV_GPU=GPU-b78a60a1 {RUN} {LIST} 2>&1", ".*it is the start of 2 UUIDs.*"),
    ],
    "`nvidia-docker run -v data:/data …`": [
        (
            f"{RUN} -v data:/data {IMAGE} true; docker volume ls -qf driver=local -f name=^data$; "
            "docker volume rm data >&2",
            "data",
        ),
    ],
    "`nvidia-docker run -e CUDA_VISIBLE_DEVICES …`": [
        (
            f"CUDA_VISIBLE_DEVICES=1 {RUN} -e CUDA_VISIBLE_DEVICES {IMAGE} env",
            ".*CUDA_VISIBLE_DEVICES=1.*",
        ),
    ],
    "`NV_DOCKER='sudo docker' nvidia-docker …`": [
        (f"NV_DOCKER='sudo docker' {RUN} {LIST}", ALL),
    ],
    "`NV_HOST=http://gpu7:3476 nvidia-docker …`": [
        (f"NV_HOST=http://localhost:3476 {RUN} {LIST} 2>/dev/null", ALL),
        (
            f"NV_HOST=http://localhost:3476 NV_GPU=9 {RUN} --name no {IMAGE} true 2>&1; "
            "docker ps -aqf name=^no$",
            r".*Error: invalid device: 9 \(the plugin at http://localhost:3476, status 400\)",
        ),
    ],
    # test_remote_ssh.py has this one.
    "`NV_HOST=ssh://gpu7: nvidia-docker …`": [],
    "`docker volume create -d nvidia-docker --name=nvidia_driver_375.26`": [
        (
            "docker volume create -d nvidia-docker --name=nvidia_driver_375.26",
            "nvidia_driver_375.26",
        ),
        (
            "docker volume create -d nvidia-docker --name=nvidia_driver_999.26 2>&1",
            ".*invalid volume version: nvidia_driver_999.26",
        ),
    ],
    "`docker run $(curl -s localhost:3476/docker/cli?dev=0) …`": [
        (f"docker run --rm $(curl -s localhost:3476/docker/cli?dev=0) {LIST}", gpus(FIRST)),
        ("curl -s -w %{http_code} -o /dev/null localhost:3476/docker/cli?dev=9", "400"),
        ("curl -fs localhost:3476/docker/cli?dev=9; echo $?", "22"),
    ],
    "`docker run --runtime=nvidia IMAGE`": [
        (f"{RUN} --runtime=nvidia {IMAGE} true 2>&1", NOTHING_ADDED.format("--runtime nvidia")),
    ],
    "`nvidia-docker run -e NVIDIA_VISIBLE_DEVICES=0,1 IMAGE`": [
        (f"{RUN} -e NVIDIA_VISIBLE_DEVICES=0,1 {LIST}", gpus(FIRST, SECOND)),
        (f"NV_GPU=2 {RUN} -e NVIDIA_VISIBLE_DEVICES=0,1 {LIST}", gpus(THIRD)),
        (f"{RUN} -e NVIDIA_VISIBLE_DEVICES=none {LIST}", "No devices found."),
        (
            f"{RUN} -e NVIDIA_VISIBLE_DEVICES=void {IMAGE} ls /usr/local/nvidia 2>&1",
            ".*No such file.*",
        ),
    ],
    "`-e NVIDIA_VISIBLE_DEVICES` in a file of `--env-file`": [
        (
            "echo NVIDIA_VISIBLE_DEVICES=1 >/tmp/env; "
            f"{RUN} --env-file /tmp/env {LIST}; rm /tmp/env",
            ALL,
        ),
    ],
    "`-e NVIDIA_DRIVER_CAPABILITIES=compute,utility`": [
        (
            f"{RUN} -e NVIDIA_DRIVER_CAPABILITIES=compute {IMAGE} ls /usr/local/nvidia/bin",
            ".*nvidia-smi.*",
        ),
    ],
    "`-e NVIDIA_DISABLE_REQUIRE=1`": [
        (f"{RUN} -e NVIDIA_REQUIRE_X='cuda>=99' {IMAGE} true 2>&1", ".*cuda>=99 is not met.*"),
        (
            f"{RUN} -e NVIDIA_REQUIRE_X='cuda>=99' -e NVIDIA_DISABLE_REQUIRE=1 {IMAGE} true; "
            "echo $?",
            "0",
        ),
    ],
    "`docker run --gpus all IMAGE`": [
        (f"{RUN} --gpus all {IMAGE} true 2>&1", NOTHING_ADDED.format("--gpus all")),
    ],
    # Of the next two, what is typed now is above.
    "`docker run --gpus 2 IMAGE`": [],
    "`docker run --gpus '\"device=0,1\"' IMAGE`": [],
    "`docker run --device nvidia.com/gpu=0 IMAGE`": [
        (f"NV_GPU=0 {RUN} {LIST}", gpus(FIRST)),
        (
            f"{RUN} --device nvidia.com/gpu=0 {IMAGE} true 2>&1",
            NOTHING_ADDED.format("--device nvidia.com/gpu=0"),
        ),
    ],
    "`docker compose up` with `devices:`": [(COMPOSE, "(compose )?up")],
}


def test_every_row_is_typed() -> None:
    assert ROW.findall(PAGE.read_text()) == list(TYPED)


@pytest.mark.parametrize("row", [row for row, lines in TYPED.items() if lines])
def test_a_row_is_so(row, on_host) -> None:
    for line, prints in TYPED[row]:
        done = on_host(line, ok=False)
        said = " ".join(done.stdout.split())
        assert re.fullmatch(prints, said), f"{line}: {said} {done.stderr}"
