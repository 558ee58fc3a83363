# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Merging into daemon.json, taking out, writing down.

The inputs are those that NVIDIA's own tool was recorded with; it lost features, options, digits,
second documents and order there.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.daemon_json import (
    merge,
    parse,
    render,
    same,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DaemonJsonError,
)
from hypothesis import given
from hypothesis import strategies as st

NVIDIA = {"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}
CDI = {"features": {"cdi": True}}

MERGED = [
    ("", NVIDIA, NVIDIA),
    ("  \n", NVIDIA, NVIDIA),
    ("null\n", NVIDIA, NVIDIA),
    ('{"runtimes": null}', NVIDIA, NVIDIA),
    (
        '{"runtimes": {"kata": {"runtimeType": "io.containerd.kata.v2"}}}',
        NVIDIA,
        {"runtimes": {"kata": {"runtimeType": "io.containerd.kata.v2"}, **NVIDIA["runtimes"]}},
    ),
    (
        '{"runtimes": {"nvidia": {"path": "/opt/x", "runtimeArgs": ["--debug"]}}}',
        NVIDIA,
        {"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": ["--debug"]}}},
    ),
    (
        '{"features": {"buildkit": true, "containerd-snapshotter": true}}',
        CDI,
        {"features": {"buildkit": True, "containerd-snapshotter": True, "cdi": True}},
    ),
    (
        '{"features": {"cdi": false, "buildkit": true}}',
        CDI,
        {"features": {"cdi": True, "buildkit": True}},
    ),
    ('{"dns": ["1.1.1.1"]}', {"dns": ["8.8.8.8"]}, {"dns": ["1.1.1.1", "8.8.8.8"]}),
    ('{"debug": 1}', {"debug": True}, {"debug": True}),
]


@pytest.mark.parametrize(("text", "wanted", "result"), MERGED)
def test_merge(text: str, wanted: dict[str, Any], result: dict[str, Any]) -> None:
    """Maps are merged, scalars replaced, what is not named stays."""
    merged = merge(parse(text.encode()).config, wanted)
    assert json.dumps(merged) == json.dumps(result)


LISTS: list[tuple[str, list[Any], list[Any], list[Any]]] = [
    ("insecure-registries", ["a"], ["b", "a"], ["a", "b"]),
    ("registry-mirrors", ["https://a"], ["https://b"], ["https://a", "https://b"]),
    ("dns", ["1.1.1.1", "8.8.8.8"], ["8.8.8.8"], ["1.1.1.1", "8.8.8.8"]),
    ("dns-search", ["a.example"], [], ["a.example"]),
    ("dns-opts", ["ndots:1", "use-vc"], ["ndots:3"], ["ndots:3", "use-vc"]),
    ("hosts", ["fd://"], ["tcp://127.0.0.1:2375"], ["fd://", "tcp://127.0.0.1:2375"]),
    ("cdi-spec-dirs", ["/etc/cdi"], ["/run/cdi"], ["/etc/cdi", "/run/cdi"]),
    ("authorization-plugins", ["opa"], ["audit"], ["opa", "audit"]),
    ("labels", ["gpu=a", "rack=1"], ["gpu=b"], ["gpu=b", "rack=1"]),
    (
        "exec-opts",
        ["native.cgroupdriver=cgroupfs"],
        ["native.cgroupdriver=systemd"],
        ["native.cgroupdriver=systemd"],
    ),
    ("storage-opts", ["a=1", "b=1"], ["b=2", "c=3"], ["a=1", "b=2", "c=3"]),
    # The GPUs of a node are one resource: those that are gone go.
    (
        "node-generic-resources",
        ["fpga=1", "gpu=GPU-old", "gpu=GPU-0", "ssd=2"],
        ["gpu=GPU-0", "gpu=GPU-1"],
        ["fpga=1", "gpu=GPU-0", "gpu=GPU-1", "ssd=2"],
    ),
    ("node-generic-resources", ["g=1", "x=1", "g=2"], ["g=2", "g=1"], ["g=1", "x=1", "g=2"]),
    ("insecure-registries", ["a", "a"], ["a"], ["a", "a"]),
    ("default-address-pools", [{"base": "a"}], [{"base": "b"}], [{"base": "b"}]),
    ("of-a-later-docker", ["a"], ["b"], ["b"]),
]


@pytest.mark.parametrize(("key", "before", "wanted", "after"), LISTS)
def test_lists(key: str, before: list[Any], wanted: list[Any], after: list[Any]) -> None:
    """United, united by name, or replaced, as the key says; a second time changes nothing."""
    merged = merge({key: before}, {key: wanted})
    assert merged == {key: after}
    assert merge(merged, {key: wanted}) == merged
    assert merge({}, {key: wanted}) == merge({key: None}, {key: wanted}) == {key: wanted}


def test_a_list_in_a_map_is_replaced() -> None:
    before = {"runtimes": {"nvidia": {"path": "x", "runtimeArgs": ["--debug"]}}}
    wanted = {"runtimes": {"nvidia": {"runtimeArgs": ["--log"]}}}
    merged = merge(before, wanted)
    assert merged == {"runtimes": {"nvidia": {"path": "x", "runtimeArgs": ["--log"]}}}


@pytest.mark.parametrize("runtimes", ['"x"', "[]", "1", "true"])
def test_a_map_never_replaces_something_else(runtimes: str) -> None:
    with pytest.raises(DaemonJsonError, match=r"^runtimes is an? \w+ in the file and an object"):
        merge(parse(f'{{"runtimes": {runtimes}}}'.encode()).config, NVIDIA)


@pytest.mark.parametrize(
    ("before", "wanted", "sentence"),
    [
        (["1.1.1.1"], None, "dns is a list in the file and null is wanted"),
        (["1.1.1.1"], "8.8.8.8", "dns is a list in the file and a string is wanted"),
        ("1.1.1.1", ["8.8.8.8"], "dns is a string in the file and a list is wanted"),
    ],
)
def test_nor_does_a_list_that_others_have_items_in(
    before: object, wanted: object, sentence: str
) -> None:
    with pytest.raises(DaemonJsonError, match=sentence):
        merge({"dns": before}, {"dns": wanted})


def test_something_else_never_replaces_a_map() -> None:
    with pytest.raises(
        DaemonJsonError, match=r"^runtimes\.nvidia is an object in the file and a str"
    ):
        merge(NVIDIA, {"runtimes": {"nvidia": "nvidia-container-runtime"}})


def test_what_did_not_change_is_copied_as_written() -> None:
    before = (
        b"{\n"
        b'    "zeta": 12345678901234567890,\n'
        b'    "html": "<a&b>\\u00e9",\n'
        b'    "log-opts": {"max-size": "10m", "max-file": "3"},\n'
        b'    "exec-opts": [\n        "native.cgroupdriver=systemd"\n    ],\n'
        b'    "features": {"buildkit": true}\n'
        b"}"
    )
    document = parse(before)
    text = render(document, merge(document.config, {**CDI, "dns": ["1.1.1.1"]}))
    assert text == before.decode().replace(
        '{"buildkit": true}\n}',
        '{\n        "buildkit": true,\n        "cdi": true\n    },\n    "dns": ["1.1.1.1"]\n}\n',
    )


def test_what_is_again_as_it_was_is_written_as_it_was() -> None:
    original = parse(b'{"features": { "buildkit":true }, "icc":  false}')
    current = parse(
        b'{"features": {"buildkit": true, "cdi": true}, "icc": false, "dns": ["1.1.1.1"]}'
    )
    config = {"features": {"buildkit": True}, "icc": False, "dns": ["1.1.1.1"]}
    text = render(current, config, original)
    assert text.splitlines()[1:-1] == [
        '  "features": { "buildkit":true },',
        '  "icc": false,',
        '  "dns": ["1.1.1.1"]',
    ]


STYLES = [
    ("", '{\n  "debug": true\n}\n'),
    ("{}", '{\n  "debug": true\n}\n'),
    ('{"icc": false}', '{\n  "icc": false,\n  "debug": true\n}\n'),
    ('{\n\t"icc": false\n}\n', '{\n\t"icc": false,\n\t"debug": true\n}\n'),
    ('{\r\n "icc": false\r\n}\r\n', '{\r\n "icc": false,\r\n "debug": true\r\n}\r\n'),
]


@pytest.mark.parametrize(("before", "after"), STYLES)
def test_the_style_of_the_file_is_kept(before: str, after: str) -> None:
    document = parse(before.encode())
    assert render(document, merge(document.config, {"debug": True})) == after


def test_an_equal_configuration_is_the_same_text() -> None:
    document = parse(b'{"features":{"cdi":true},   "debug":false}')
    merged = merge(document.config, {"debug": False, **CDI})
    assert render(document, merged) == document.text


def test_the_last_key_taken_out_leaves_an_object() -> None:
    document = parse(b'{"debug": true}')
    assert render(document, {}) == "{}\n"


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ({"a": 1, "b": [1]}, {"b": [1], "a": 1}, True),
        (1, True, False),
        (0, False, False),
        ([1, 2], [2, 1], False),
        (None, False, False),
        ("1", 1, False),
    ],
)
def test_same(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is equal


SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
VALUES = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
CONFIGS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


@given(CONFIGS)
def test_what_is_written_reads_as_the_same(config: dict[str, Any]) -> None:
    text = render(parse(b""), config)
    assert same(json.loads(text), config)
    again = parse(text.encode())
    assert same(again.config, config) and list(again.config) == list(config)


@given(CONFIGS, CONFIGS)
def test_a_change_in_a_file_reads_as_the_change(
    current: dict[str, Any], wanted: dict[str, Any]
) -> None:
    document = parse(json.dumps(current, indent=4).encode())
    try:
        merged = merge(document.config, wanted)
    except DaemonJsonError:
        return
    assert same(parse(render(document, merged).encode()).config, merged)
