# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of another machine's plugin, and what becomes of its answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli import remote
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.address import (
    Endpoint,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    RemoteError,
    UnmetRequirement,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.requirement import (
    Image,
)

GOLDEN = Path(__file__).parents[5] / "golden" / "v1"
RECORDED = json.loads((GOLDEN / "rest-zoo5.json").read_text())["exchanges"]
CONTROL = ["--device=/dev/nvidiactl", "--device=/dev/nvidia-uvm", "--device=/dev/nvidia-uvm-tools"]
VOLUME = (
    "--mount=type=volume,source=nvidia_driver_375.26,target=/usr/local/nvidia,readonly,"
    "volume-driver=nvidia-docker"
)
PATHS = [
    "--env=PATH=/usr/local/nvidia/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "--env=LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
]
"""What an image without the volumes label needs to find the volume."""
ALL = (2, 0, 1, 3, 4)
LABEL = {"com.nvidia.volumes.needed": "nvidia_driver"}


def image(require: str = "", cuda: str = "") -> Image:
    environment = {"NVIDIA_REQUIRE_CUDA": require} if require else {}
    return Image("cuda", {**LABEL, "com.nvidia.cuda.version": cuda} if cuda else LABEL, environment)


@pytest.fixture
def zoo5(plugin) -> Endpoint:
    """v1's plugin on the machine zoo5: its recorded answers, each to the very path."""
    plugin.answers = {
        exchange["request"]["path"]: (exchange["response"]["status"], exchange["response"]["body"])
        for exchange in RECORDED
        if exchange["request"]["method"] == "GET"
    }
    for path, recorded in list(plugin.answers.items()):
        plugin.answers[path.replace("?dev=", "?vol=nvidia_driver&dev=")] = recorded
    return Endpoint("http", "", "127.0.0.1", None, plugin.port)


def added(minors: tuple[int, ...]) -> list[str]:
    return [*CONTROL, *(f"--device=/dev/nvidia{minor}" for minor in minors), VOLUME]


@pytest.mark.parametrize(
    ("gpus", "asked", "minors"),
    [
        ((), "", ALL),
        (("all",), "", ALL),
        (("0", "all"), "", ALL),
        (("none",), "", ()),
        (("0",), "0", (2,)),
        (("1",), "1", (0,)),
        (("+1",), "%2B1", (0,)),
        (("GPU-b78a60a1-77",), "GPU-b78a60a1-77", (1,)),
        (("0000:04:00.0",), "GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00", (2,)),
        (("4:0.0",), "GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00", (2,)),
    ],
)
def test_gpus(zoo5, plugin, gpus, asked, minors) -> None:
    """v1's two requests; what v1's plugin does not know is put in words that it knows."""
    assert remote.options(zoo5, image(), gpus) == added(minors)
    assert [request for request, _dummy in plugin.requests] == [
        "GET /gpu/info/json HTTP/1.1",
        f"GET /docker/cli?vol=nvidia_driver&dev={asked} HTTP/1.1",
    ]
    assert {headers["Host"] for _dummy, headers in plugin.requests} == {"plugin"}


@pytest.mark.parametrize(
    ("identifier", "asked"),
    [
        ("a&b=c", "a%26b%3Dc"),
        ("#x", "%23x"),
        ("50%", "50%25"),
        ("../status", "..%2Fstatus"),
        ("GPU 1", "GPU%201"),
        ("\r\nX: y", "%0D%0AX%3A%20y"),
        ("\udcff", "%FF"),
    ],
)
def test_identifiers_are_escaped(zoo5, plugin, identifier, asked) -> None:
    """None of them changes the request."""
    plugin.answers["/docker/cli"] = (400, "invalid device\n")
    with pytest.raises(RemoteError, match=r"^invalid device \(the plugin at .*, status 400\)$"):
        remote.options(zoo5, image(), (identifier,))
    assert plugin.requests[1][0] == f"GET /docker/cli?vol=nvidia_driver&dev={asked} HTTP/1.1"


@pytest.mark.parametrize(
    ("label", "asked", "outcome"),
    [
        ("", "nvidia_driver", [*added(ALL), *PATHS]),
        ("nvidia_driver nvidia_driver", "nvidia_driver+nvidia_driver", added(ALL)),
        ("nvidia_driver foo", "nvidia_driver+foo", "^invalid volume: foo "),
        ("<b>", "%3Cb%3E", "^invalid volume: <b> "),
    ],
)
def test_volumes(zoo5, plugin, label, asked, outcome) -> None:
    """All that the image names, as v1; a volume is mounted once."""
    path = f"/docker/cli?vol={asked}"
    plugin.answers[f"{path}&dev="] = plugin.answers[path]
    wanted = Image("cuda", {"com.nvidia.volumes.needed": label}, {})
    if isinstance(outcome, list):
        assert remote.options(zoo5, wanted, ()) == outcome
    else:
        with pytest.raises(RemoteError, match=outcome):
            remote.options(zoo5, wanted, ())
    assert plugin.requests[1][0] == f"GET {path}&dev= HTTP/1.1"


@pytest.mark.parametrize(
    ("wanted", "gpus", "sentence"),
    [
        (image(cuda="8.0.61"), (), None),
        (image(cuda="9.0.176"), (), "^unsupported CUDA version: driver 8.0 < image 9.0.176$"),
        (image(cuda="9.0"), ("99",), "^unsupported CUDA version: driver 8.0 < image 9.0$"),
        (image("driver>=400"), (), "driver>=400"),
        (image("arch>=6.0"), ("0",), None),
        (image("arch>=6.0"), ("1",), "arch>=6.0"),
        (image("arch>=6.0"), (), "arch>=6.0"),
        (image("arch>=6.0"), ("none",), None),
        (image("arch>=3.0"), ("GPU-b78a60a1-77",), None),
    ],
)
def test_requirements(zoo5, plugin, wanted, gpus, sentence) -> None:
    """Checked with what the other machine has; architectures with the GPUs that were chosen."""
    if sentence is None:
        assert remote.options(zoo5, wanted, gpus)
        return
    with pytest.raises(UnmetRequirement, match=sentence):
        remote.options(zoo5, wanted, gpus)


def test_an_unreadable_gpu_has_no_place_in_the_list(zoo5, plugin) -> None:
    """What is index 1 for the plugin is then the first in its list: nodes tell which is which."""
    status, info = plugin.answers["/gpu/info/json"]
    document = json.loads(info)
    del document["Devices"][0]
    plugin.answers["/gpu/info/json"] = (status, json.dumps(document))
    with pytest.raises(UnmetRequirement):
        remote.options(zoo5, image("arch>=6.0"), ("1",))
    assert remote.options(zoo5, image("arch>=6.0"), ("4",))


NO_PLUGIN = "is it nvidia-docker-plugin that listens there"


@pytest.mark.parametrize(
    "info",
    [
        "",
        "[]",
        "5",
        "{}",
        '{"Version":5}',
        '{"Version":{"Driver":5}}',
        '{"Version":{"Driver":"x\x1b[2J"}}',
        '{"Version":{"CUDA":"8.0"},"Devices":5}',
        '{"Version":{"CUDA":"8.0"},"Devices":[5]}',
        '{"Version":{"CUDA":"8.0"},"Devices":[{}]}',
        '{"Version":{"CUDA":"8.0"},"Devices":[{"Path":"/dev/nvidia0","UUID":"x","Arch":"new"}]}',
        "[" * 100000,
    ],
)
def test_what_is_no_description(zoo5, plugin, info) -> None:
    """One harmless sentence."""
    plugin.answers["/gpu/info/json"] = (200, info)
    with pytest.raises(RemoteError, match=NO_PLUGIN) as caught:
        remote.options(zoo5, image(), ())
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "info",
    [
        '{"Version":{"Driver":"375.26","CUDA":"8.0"},"Devices":null}',
        '{"Version":{"Driver":null,"CUDA":null},"Devices":[]}',
        '{"Version":{"Driver":"1","CUDA":"8.0"},"Devices":[{"Path":"/dev/x","UUID":"","Arch":""}]}',
    ],
)
def test_what_can_be_missing(zoo5, plugin, info) -> None:
    """An image that requires nothing is served all the same."""
    plugin.answers["/gpu/info/json"] = (200, info)
    assert remote.options(zoo5, image(), ()) == added(ALL)


def test_an_answer_that_is_refused(zoo5, plugin) -> None:
    """docker gets none of it."""
    plugin.answers["/docker/cli?vol=nvidia_driver&dev="] = (200, "--device=/dev/sda")
    with pytest.raises(RemoteError, match="no driver volume: unexpected option '--device=/dev/sd"):
        remote.options(zoo5, image(), ())
