# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flags of docker.service, read from its files as systemd reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import docker_unit

DEBIAN = """[Unit]
Description=Docker
ExecStart=/not/this/section --debug
[Service]
# a comment
EnvironmentFile=-{root}/default
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/c.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
"""
OVERRIDE = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --data-root=/srv\n"

Files = dict[str, str]
Flags = list[tuple[str, str]]

UNIT = "lib/docker.service"
BASE: Flags = [("-H fd://", UNIT), ("--containerd=/run/c.sock", UNIT)]

CASES: list[tuple[str, Files, Flags]] = [
    ("no unit", {}, []),
    ("the unit of Debian", {"lib/docker.service": DEBIAN}, BASE),
    (
        "options in /etc/default",
        {
            "lib/docker.service": DEBIAN,
            "default": "# DOCKER_OPTS=--icc\nDOCKER_OPTS='--dns 8.8.8.8 --debug'\nOTHER=1\n",
        },
        [*BASE, ("--dns 8.8.8.8", "default"), ("--debug", "default")],
    ),
    (
        "a drop-in",
        {"lib/docker.service": DEBIAN, "etc/docker.service.d/override.conf": OVERRIDE},
        [("--data-root=/srv", "etc/docker.service.d/override.conf")],
    ),
    (
        "a variable in a drop-in",
        {
            "lib/docker.service": DEBIAN,
            "lib/docker.service.d/10.conf": '[Service]\nEnvironment="DOCKER_OPTS=--mtu 1" A=b\n',
        },
        [*BASE, ("--mtu 1", "lib/docker.service.d/10.conf")],
    ),
    (
        "a drop-in that takes the place of another one",
        {
            "lib/docker.service": DEBIAN,
            "lib/docker.service.d/10.conf": OVERRIDE,
            "etc/docker.service.d/10.conf": "[Service]\n",
        },
        BASE,
    ),
    (
        "the last drop-in wins",
        {
            "lib/docker.service": DEBIAN,
            "etc/docker.service.d/a.conf": OVERRIDE,
            "lib/docker.service.d/z.conf": OVERRIDE.replace("/srv", "/mnt"),
        },
        [("--data-root=/mnt", "lib/docker.service.d/z.conf")],
    ),
    (
        "a unit in place of the package's",
        {
            "lib/docker.service": DEBIAN,
            "etc/docker.service": "[Service]\nExecStart=-/opt/dockerd \\\n  --icc=false\n",
        },
        [("--icc=false", "etc/docker.service")],
    ),
    (
        "a part of a word",
        {UNIT: "[Service]\nEnvironment=R=/x y\nExecStart=dockerd --data-root=${R}\n"},
        [("--data-root=/x", UNIT)],
    ),
    ("another program", {"lib/docker.service": "[Service]\nExecStart=/bin/podman --debug\n"}, []),
    ("a quote that is open", {UNIT: "[Service]\nExecStart=dockerd '--debug\n"}, []),
]


@pytest.mark.parametrize(("files", "flags"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_flags(tmp_path: Path, files: Files, flags: Flags) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(root=tmp_path) if "{root}" in text else text)
    found = docker_unit.flags((tmp_path / "etc", tmp_path / "lib"))
    assert [(flag.text, flag.source) for flag in found] == [
        (text, str(tmp_path / source)) for text, source in flags
    ]


def test_a_masked_unit_has_no_flags(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "etc/docker.service").symlink_to("/dev/null")
    (tmp_path / "lib/docker.service").write_text(DEBIAN)
    assert docker_unit.flags((tmp_path / "etc", tmp_path / "lib")) == ()
