# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a changed key of daemon.json needs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import daemon_json_keys

OLD, NEW = (20, 10), (26, 1)
LATEST = (29, 7)
PATH_RUNTIME = {"path": "nvidia-container-runtime"}

NEEDS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("cdi on", {}, {"features": {"cdi": True}}, "restart"),
    ("cdi off", {"features": {"cdi": True}}, {"features": {"cdi": False}}, "restart"),
    ("buildkit", {"features": {}}, {"features": {"buildkit": True}}, "reload"),
    ("features removed", {"features": {"buildkit": True}}, {}, "reload"),
    ("a feature off that was off", {}, {"features": {"cdi": False}}, "none"),
    ("cdi-spec-dirs", {}, {"cdi-spec-dirs": ["/etc/cdi"]}, "restart"),
    ("exec-opts", {}, {"exec-opts": ["native.cgroupdriver=systemd"]}, "restart"),
    ("log-driver", {"log-driver": "local"}, {"log-driver": "json-file"}, "restart"),
    ("log-opts", {}, {"log-opts": {"max-size": "1m"}}, "restart"),
    ("shm", {}, {"default-shm-size": "1G"}, "restart"),
    ("ulimits", {}, {"default-ulimits": {}}, "restart"),
    ("generic resources", {}, {"node-generic-resources": ["gpu=GPU-1"]}, "restart"),
    ("data-root", {}, {"data-root": "/srv"}, "restart"),
    ("hosts", {}, {"hosts": ["fd://"]}, "restart"),
    ("unknown", {}, {"of-a-later-docker": 1}, "restart"),
    ("runtime added", {}, {"runtimes": {"nvidia": PATH_RUNTIME}}, "reload"),
    (
        "runtime beside",
        {"runtimes": {"kata": PATH_RUNTIME}},
        {"runtimes": {"kata": PATH_RUNTIME, "nvidia": PATH_RUNTIME}},
        "reload",
    ),
    (
        "runtime removed",
        {"runtimes": {"kata": PATH_RUNTIME, "nvidia": PATH_RUNTIME}},
        {"runtimes": {"kata": PATH_RUNTIME}},
        "restart",
    ),
    ("default-runtime", {}, {"default-runtime": "nvidia"}, "reload"),
    ("default-runtime unset", {"default-runtime": "nvidia"}, {}, "restart"),
    ("labels", {}, {"labels": ["gpu=true"]}, "reload"),
    ("debug", {"debug": False}, {"debug": True}, "reload"),
    ("debug unset", {"debug": True}, {}, "restart"),
    ("live-restore", {}, {"live-restore": True}, "reload"),
    ("mirrors", {}, {"registry-mirrors": ["https://m"]}, "reload"),
]


@pytest.mark.parametrize(
    ("before", "after", "need"), [row[1:] for row in NEEDS], ids=[row[0] for row in NEEDS]
)
def test_need_of_a_key(before: dict[str, Any], after: dict[str, Any], need: str) -> None:
    needs = daemon_json_keys.needed(before, after, NEW)
    assert list(needs.values()) == [need]
    assert daemon_json_keys.strongest(needs) == need


def test_only_changed_keys_are_told() -> None:
    before = {"debug": True, "log-opts": {"a": "1", "b": "2"}, "dns": ["1.1.1.1"], "icc": True}
    after = {"log-opts": {"b": "2", "a": "1"}, "icc": False, "debug": True, "labels": []}
    needs = daemon_json_keys.needed(before, after, NEW)
    assert needs == {"icc": "restart", "labels": "reload", "dns": "restart"}
    assert list(needs) == ["icc", "labels", "dns"]


def test_an_engine_without_cdi_needs_nothing_for_it() -> None:
    assert daemon_json_keys.needed({}, {"features": {"cdi": True}}, OLD) == {"features": "none"}


def test_an_engine_with_cdi_by_default_needs_nothing_to_have_it() -> None:
    on, off = {"features": {"cdi": True}}, {"features": {"cdi": False}}
    assert daemon_json_keys.needed({}, on, LATEST) == {"features": "none"}
    assert daemon_json_keys.needed({}, off, LATEST) == {"features": "restart"}
    assert daemon_json_keys.needed(off, {}, LATEST) == {"features": "restart"}


def test_no_engine_needs_nothing() -> None:
    needs = daemon_json_keys.needed({}, {"log-driver": "local"}, None)
    assert needs == {"log-driver": "none"}
    assert daemon_json_keys.strongest(needs) == daemon_json_keys.strongest({}) == "none"


def test_the_strongest_need_wins() -> None:
    assert daemon_json_keys.strongest({"a": "reload", "b": "restart", "c": "none"}) == "restart"
    assert daemon_json_keys.strongest({"a": "none", "b": "reload"}) == "reload"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Docker version 20.10.24+dfsg1, build 297e128", (20, 10)),
        ("Docker version 26.1.5+dfsg1, build a72d7cd", (26, 1)),
        ("Docker version 28.5.2, build deadbee\n", (28, 5)),
        ("Docker version library-import, build library-import", None),
        ("", None),
    ],
)
def test_engine_version(text: str, version: tuple[int, int] | None) -> None:
    assert daemon_json_keys.engine_version(text) == version
