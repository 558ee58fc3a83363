# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/air-gapped.md on a host: an image that comes through a pipe, and none that is pulled.

Of the collections see tests/artifact, of packages and proxies test_docker_role.py.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.suites("trixie")

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "air-gapped.md").read_text()
IMAGE = "training:5"
# The other machine is this one, after it has lost the image.
SSH = (
    f'ssh() {{ shift; cat >/root/piped; docker image rm --force {IMAGE} >&2; "$@" </root/piped; }}'
)


@pytest.fixture
def declared(on_controller) -> Callable[[], dict[str, Any]]:
    """Have the page's container, by another name than the demo's; return the module's result."""
    (text,) = re.findall(r"```yaml\n(gpufleet_containers:\n.*?)```", PAGE, re.DOTALL)
    (container,) = yaml.safe_load(text)["gpufleet_containers"]

    def run() -> dict[str, Any]:
        given = shlex.quote(json.dumps({**container, "name": "air-gapped"}))
        done = on_controller(f"ansible -i inventory gpus -m nvidia_container -a {given}", ok=False)
        return json.loads(done.stdout.split("=>", 1)[1])

    return run


@pytest.fixture(autouse=True)
def _clean(on_host) -> Iterator[None]:
    yield
    on_host(f"docker rm --force air-gapped; docker image rm --force {IMAGE}; rm -f /root/piped")


def test_an_image_that_is_not_there_is_one_sentence(declared) -> None:
    """And no registry is waited for."""
    assert declared()["msg"] == (
        f"image {IMAGE} is not on this host, and 'pull' is never: load it first"
    )


def test_an_image_comes_through_a_pipe(declared, on_host) -> None:
    (line,) = re.findall(r"^docker save .*", PAGE, re.MULTILINE)
    on_host(
        f'printf \'FROM gpufleet/cuda:8.0\\nCMD ["sleep", "60"]\\n\' | docker build -qt {IMAGE} -'
    )
    assert f"Loaded image: {IMAGE}" in on_host(f"{SSH}; {line}").stdout
    assert declared()["changed"] is True
    assert "UUID" in on_host("docker exec air-gapped nvidia-smi -L").stdout
