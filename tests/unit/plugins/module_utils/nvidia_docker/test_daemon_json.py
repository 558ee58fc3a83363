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
    without,
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
    ('{"dns": ["1.1.1.1"]}', {"dns": ["8.8.8.8"]}, {"dns": ["8.8.8.8"]}),
    ('{"debug": 1}', {"debug": True}, {"debug": True}),
]


@pytest.mark.parametrize(("text", "wanted", "result"), MERGED)
def test_merge(text: str, wanted: dict[str, Any], result: dict[str, Any]) -> None:
    """Maps are merged, lists and scalars replaced, what is not named stays."""
    merged = merge(parse(text.encode()).config, wanted)
    assert json.dumps(merged) == json.dumps(result)


@pytest.mark.parametrize("runtimes", ['"x"', "[]", "1", "true"])
def test_a_map_never_replaces_something_else(runtimes: str) -> None:
    with pytest.raises(DaemonJsonError, match=r"^runtimes is an? \w+ in the file and an object"):
        merge(parse(f'{{"runtimes": {runtimes}}}'.encode()).config, NVIDIA)


def test_something_else_never_replaces_a_map() -> None:
    with pytest.raises(
        DaemonJsonError, match=r"^runtimes\.nvidia is an object in the file and a str"
    ):
        merge(NVIDIA, {"runtimes": {"nvidia": "nvidia-container-runtime"}})


WITHOUT = [
    ({"debug": True, **CDI}, CDI, {"debug": True}),
    ({"features": {"cdi": True, "buildkit": True}}, CDI, {"features": {"buildkit": True}}),
    ({"features": {"cdi": False}}, CDI, {"features": {"cdi": False}}),
    ({"features": {}}, CDI, {"features": {}}),
    ({"dns": ["1.1.1.1", "8.8.8.8"]}, {"dns": ["1.1.1.1"]}, {"dns": ["1.1.1.1", "8.8.8.8"]}),
    ({"debug": 1}, {"debug": True}, {"debug": 1}),
    ({"debug": True}, {"debug": {"a": 1}}, {"debug": True}),
    ({}, CDI, {}),
]


@pytest.mark.parametrize(("current", "unwanted", "result"), WITHOUT)
def test_without(current: dict[str, Any], unwanted: dict[str, Any], result: dict[str, Any]) -> None:
    """Only what equals is taken out."""
    assert json.dumps(without(current, unwanted)) == json.dumps(result)


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
def test_taking_out_what_was_merged_leaves_the_rest(
    current: dict[str, Any], wanted: dict[str, Any]
) -> None:
    try:
        merged = merge(current, wanted)
    except DaemonJsonError:
        return
    rest = without(merged, wanted)
    others = {key: value for key, value in current.items() if key not in wanted}
    assert same({key: rest[key] for key in others}, others)
    assert same(merge(rest, wanted), merged)
    assert same(merge(merged, wanted), merged)
    assert not any(key in rest for key in wanted if key not in current)


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
