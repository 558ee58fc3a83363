# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which engine docker talks to. The rows are what the clients 20.10 and 28 did."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.engine import (
    check,
    plugin,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)

LOCAL = "None"
A, B, LAB, TWO = (f"http://{name}:3476" for name in ("a", "b", "lab", "two"))


def write_context(folder: Path, name: str, meta: object) -> None:
    path = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(meta if isinstance(meta, str) else json.dumps(meta))


def endpoint(host: object) -> dict[str, object]:
    return {"Name": "x", "Metadata": {}, "Endpoints": {"docker": {"Host": host}}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the contexts lab, two, socket, ssh and some that can't be used."""
    folder = tmp_path / ".docker"
    write_context(folder, "lab", endpoint("tcp://lab:2376"))
    write_context(folder, "two", endpoint("tcp://two:2376"))
    write_context(folder, "ssh", endpoint("ssh://me@gpu1:2222"))
    write_context(folder, "socket", endpoint("unix:///run/other.sock"))
    write_context(folder, "empty", endpoint(""))
    write_context(folder, "number", endpoint(5))
    write_context(folder, "cut", '{"Name":"cut","Endpoi')
    write_context(folder, "kubernetes", {"Endpoints": {"kubernetes": {"Host": "https://k"}}})
    write_context(folder, "odd", endpoint("gopher://h"))
    return tmp_path


def current(home: Path, name: str) -> None:
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


@pytest.mark.parametrize(
    ("options", "environ", "in_use", "address"),
    [
        ({}, {}, "", LOCAL),
        ({}, {}, "default", LOCAL),
        ({}, {}, "two", TWO),
        ({}, {}, "socket", LOCAL),
        ({}, {}, "empty", LOCAL),
        ({}, {}, "ssh", "ssh://gpu1:3476"),
        ({}, {"DOCKER_CONTEXT": "lab"}, "two", LAB),
        ({}, {"DOCKER_CONTEXT": ""}, "two", TWO),
        ({}, {"DOCKER_CONTEXT": "default"}, "two", LOCAL),
        ({}, {"DOCKER_HOST": "tcp://a:1"}, "two", A),
        ({}, {"DOCKER_HOST": "tcp://a:1", "DOCKER_CONTEXT": "lab"}, "", A),
        ({}, {"DOCKER_HOST": "unix:///x"}, "two", LOCAL),
        ({"context": "lab"}, {"DOCKER_HOST": "tcp://a:1", "DOCKER_CONTEXT": "two"}, "two", LAB),
        ({"context": "lab"}, {"DOCKER_HOST": ""}, "", LAB),
        ({"context": "default"}, {"DOCKER_HOST": "tcp://a:1"}, "two", A),
        ({"context": "default"}, {}, "two", LOCAL),
        ({"context": ""}, {"DOCKER_CONTEXT": "lab"}, "", LAB),
        ({"host": "tcp://b:1"}, {"DOCKER_HOST": "tcp://a:1", "DOCKER_CONTEXT": "two"}, "two", B),
        ({"host": "b"}, {}, "", B),
        ({"host": ""}, {"DOCKER_HOST": "tcp://a:1"}, "two", LOCAL),
        ({"host": "ssh://me@b:22"}, {}, "", "ssh://b:3476"),
        ({"config": "/nowhere"}, {}, "two", LOCAL),
        ({"config": ""}, {}, "two", TWO),
        ({}, {"DOCKER_CONFIG": "/nowhere"}, "two", LOCAL),
        ({}, {"DOCKER_CONFIG": ""}, "two", TWO),
        ({}, {"DOCKER_HOST": ""}, "socket", LOCAL),
        ({}, {"DOCKER_HOST": ""}, "", LOCAL),
        ({}, {"NV_HOST": "http://a:", "DOCKER_HOST": "tcp://b:1"}, "two", A),
        ({"host": "tcp://b:1"}, {"NV_HOST": "a:"}, "", A),
        ({}, {"NV_HOST": "unix://", "DOCKER_HOST": "tcp://b:1"}, "two", LOCAL),
        ({}, {"NV_HOST": "", "DOCKER_HOST": "tcp://b:1"}, "two", B),
    ],
)
def test_precedence(home, options, environ, in_use, address) -> None:
    """NV_HOST, then docker's order: --host, --context, DOCKER_HOST, DOCKER_CONTEXT, config.json."""
    if in_use:
        current(home, in_use)
    assert str(plugin({"HOME": str(home), **environ}, options)) == address


def test_config_folder(home) -> None:
    """By option or variable, which may also be where the contexts are."""
    current(home, "two")
    folder = str(home / ".docker")
    assert str(plugin({"HOME": "/nowhere", "DOCKER_CONFIG": folder}, {})) == TWO
    assert str(plugin({"HOME": "/nowhere", "DOCKER_CONFIG": "/else"}, {"config": folder})) == TWO
    assert str(plugin({"HOME": "/nowhere"}, {"config": folder, "context": "lab"})) == LAB


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", LOCAL),
        ('{"currentContext":"two"', LOCAL),
        ("[]", LOCAL),
        ("[" * 100000, LOCAL),
        ('{"currentContext":5}', LOCAL),
        ('{"currentContext":null}', LOCAL),
        ('{"CURRENTCONTEXT":"two"}', TWO),
        ('{"currentContext":"two","psFormat":5}', TWO),
        ('{"currentContext":"two","a":"\\ud800"}', TWO),
    ],
)
def test_config_that_docker_warns_of(home, text, address) -> None:
    """docker goes on with what it could read."""
    (home / ".docker" / "config.json").write_text(text)
    assert str(plugin({"HOME": str(home)}, {})) == address


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone", r"'gone' can't be read, .*/meta.json: No such file"),
        ("../../x", r"'../../x' can't be read, .*/meta.json: No such file"),
        ("number", "'number' can't be read, .*: it names no engine; 'docker context ls'"),
        ("cut", "'cut' can't be read, .*: it names no engine"),
        ("kubernetes", "'kubernetes' can't be read, .*: it names no engine"),
        ("odd", "invalid remote host URI in context odd: 'gopher://h'"),
    ],
)
def test_a_context_that_can_not_be_used(home, name, sentence) -> None:
    """Never taken for this machine."""
    with pytest.raises(InvalidInput, match=sentence):
        plugin({"HOME": str(home)}, {"context": name})


def test_where_docker_clients_differ(home) -> None:
    """20.10 takes a DOCKER_HOST that is empty for the default socket, 28 for none."""
    current(home, "two")
    with pytest.raises(InvalidInput, match="DOCKER_HOST is set to nothing"):
        plugin({"HOME": str(home), "DOCKER_HOST": ""}, {})


WARNING = ("NV_HOST is set but DOCKER_HOST is not",)


@pytest.mark.parametrize(
    ("options", "environ", "in_use", "warnings"),
    [
        ({}, {}, "two", ()),
        ({}, {"NV_HOST": "h:"}, "", WARNING),
        ({}, {"NV_HOST": "h:"}, "default", WARNING),
        ({}, {"NV_HOST": "unix://"}, "", WARNING),
        ({}, {"NV_HOST": "h:", "DOCKER_HOST": "tcp://h"}, "", ()),
        ({}, {"NV_HOST": "h:", "DOCKER_HOST": "unix://"}, "", ()),
        ({"host": "tcp://h"}, {"NV_HOST": "h:"}, "", ()),
        ({"context": "two"}, {"NV_HOST": "h:"}, "", ()),
        ({"context": "gone"}, {"NV_HOST": "h:"}, "", ()),
        ({}, {"NV_HOST": "h:", "DOCKER_CONTEXT": "two"}, "", ()),
        ({}, {"NV_HOST": "h:"}, "two", ()),
        ({}, {"NV_HOST": "h:", "DOCKER_HOST": "fd://"}, "", ()),
        ({"host": "tcp://h"}, {"DOCKER_HOST": "fd://"}, "", ()),
        ({"context": "two"}, {"DOCKER_HOST": "fd://"}, "", ()),
        ({}, {"DOCKER_HOST": "ssh://me@h"}, "", ()),
    ],
)
def test_warning(home, options, environ, in_use, warnings) -> None:
    """v1's: docker would start the container on another machine than the GPUs are from."""
    if in_use:
        current(home, in_use)
    assert check({"HOME": str(home), **environ}, options) == warnings


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"NV_HOST": "fd://"}, "^invalid remote host URI in NV_HOST: 'fd://'"),
        ({"DOCKER_HOST": "https://h:443"}, "^invalid remote host URI in DOCKER_HOST: 'https"),
        ({"DOCKER_HOST": "10.0.0.1"}, "DOCKER_HOST: '10.0.0.1'; write tcp://10.0.0.1:2375$"),
    ],
)
def test_no_address(environ, sentence) -> None:
    """As in v1, for every command."""
    with pytest.raises(InvalidInput, match=sentence):
        check(environ, {})
