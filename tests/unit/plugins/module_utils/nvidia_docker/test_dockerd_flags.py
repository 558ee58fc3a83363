# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flags of dockerd, as keys of daemon.json."""

from __future__ import annotations

import shlex

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import dockerd_flags

READ = [
    ("-H fd:// --containerd=/run/c.sock", [("hosts", "fd://"), ("containerd", "/run/c.sock")]),
    ("-Hfd:// -H=tcp://x", [("hosts", "fd://"), ("hosts", "tcp://x")]),
    ("--host unix:///x --data-root /x", [("hosts", "unix:///x"), ("data-root", "/x")]),
    (
        "--debug --icc=false -D --mtu 1",
        [("debug", ""), ("icc", "false"), ("debug", ""), ("mtu", "1")],
    ),
    ("--label a=b --log-opt max-size=1m", [("labels", "a=b"), ("log-opts", "max-size=1m")]),
    ("--add-runtime nvidia=/n", [("runtimes", "nvidia=/n")]),
    (
        "-l warn -s overlay2 -G docker",
        [("log-level", "warn"), ("storage-driver", "overlay2"), ("group", "docker")],
    ),
    ("--mtu", [("mtu", "")]),
    ("", []),
]


@pytest.mark.parametrize(("line", "flags"), READ)
def test_read(line: str, flags: list[tuple[str, str]]) -> None:
    found = dockerd_flags.read((word, "unit") for word in shlex.split(line))
    assert [(flag.key, flag.value) for flag in found] == flags
    assert " ".join(flag.text for flag in found).strip() == line


DUPLICATES = [
    ({"debug": True}, "--debug", ["debug"]),
    ({"debug": True}, "--mtu 1", []),
    ({"hosts": ["fd://"]}, "-H fd:// -H tcp://x", ["hosts"]),
    ({"labels": []}, "--label a=b", ["labels"]),
    ({"log-opts": {"mtu": "1"}}, "--mtu 1", []),
    ({"proxies": {"http-proxy": "x"}}, "--http-proxy y", ["http-proxy"]),
    ({"runtimes": {"nvidia": {}}}, "--add-runtime nvidia=/n", []),
    ({"features": {"cdi": True}}, "--feature cdi", ["features"]),
]


@pytest.mark.parametrize(("config", "line", "keys"), DUPLICATES)
def test_duplicates(config: dict[str, object], line: str, keys: list[str]) -> None:
    flags = dockerd_flags.read((word, "/a/drop-in.conf") for word in shlex.split(line))
    found = dockerd_flags.duplicates(config, flags)
    assert [text.partition(" ")[0] for text in found] == keys
    assert all("in /a/drop-in.conf" in text for text in found)
