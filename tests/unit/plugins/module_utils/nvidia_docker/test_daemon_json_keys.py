# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a changed key needs, and what keeps an engine from starting.

Each row of REFUSED and ACCEPTED was tried with dockerd 20.10.24 and 26.1.5. What 26 tells of keys
itself, by --validate, is not asked of the table.
"""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import daemon_json_keys

OLD, NEW = (20, 10), (26, 1)
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


def test_no_engine_needs_nothing() -> None:
    needs = daemon_json_keys.needed({}, {"log-driver": "local"}, None)
    assert needs == {"log-driver": "none"}
    assert daemon_json_keys.strongest(needs) == daemon_json_keys.strongest({}) == "none"


def test_the_strongest_need_wins() -> None:
    assert daemon_json_keys.strongest({"a": "reload", "b": "restart", "c": "none"}) == "restart"
    assert daemon_json_keys.strongest({"a": "none", "b": "reload"}) == "reload"


REFUSED: list[tuple[dict[str, Any], tuple[tuple[int, int], ...], str]] = [
    ({"nope": 1}, (OLD,), "nope is no key that Docker 20.10 knows"),
    ({"Debug": True}, (OLD,), "Debug is no key"),
    ({"cdi-spec-dirs": []}, (OLD,), "cdi-spec-dirs is no key that Docker 20.10 knows, only 25.0"),
    (
        {"proxies": {"http-proxy": "http://p"}},
        (OLD,),
        "proxies is no key that Docker 20.10 knows, only 23.0",
    ),
    ({"default-shm-size": None}, (OLD, NEW), "default-shm-size must be a string and is null"),
    ({"default-runtime": "nvidia"}, (OLD, NEW), "default-runtime 'nvidia' is not defined"),
    ({"default-runtime": "/usr/bin/crun"}, (OLD, NEW), "default-runtime '/usr/bin/crun' is not"),
    ({"default-runtime": "io.containerd.kata.v2"}, (OLD,), "default-runtime 'io.containerd.kata"),
    ({"runtimes": ["nvidia"]}, (OLD, NEW), "runtimes must be an object and is a list"),
    ({"runtimes": "x"}, (OLD, NEW), "runtimes must be an object and is a string"),
    ({"runtimes": {"runc": PATH_RUNTIME}}, (OLD, NEW), "runtimes.runc: this name is reserved"),
    ({"runtimes": {"n": "x"}}, (OLD, NEW), "runtimes.n must be an object and is a string"),
    ({"runtimes": {"n": {}}}, (NEW,), "runtimes.n needs a path or a runtimeType"),
    ({"runtimes": {"n": None}}, (NEW,), "runtimes.n needs a path or a runtimeType"),
    ({"runtimes": {"n": {"path": "x", "runtimeType": "y"}}}, (NEW,), "runtimes.n has both"),
    (
        {"runtimes": {"n": {"runtimeType": "y", "runtimeArgs": ["a"]}}},
        (NEW,),
        "runtimes.n: runtimeA",
    ),
    ({"runtimes": {"n": {"path": "x", "options": {"a": 1}}}}, (NEW,), "runtimes.n: options go"),
    (
        {"log-opts": {"max-file": 3}},
        (OLD, NEW),
        "log-opts.max-file must be a string and is a number",
    ),
    (
        {"log-opts": {"nope": "1"}},
        (OLD, NEW),
        "log-opts.nope is no option of the log driver json-f",
    ),
    (
        {"log-driver": "journald", "log-opts": {"max-size": "1m"}},
        (OLD, NEW),
        "log-opts.max-size is no option of the log driver journald",
    ),
    (
        {"log-driver": "local", "log-opts": {"labels": "a"}},
        (OLD, NEW),
        "log-opts.labels is no option of the log driver local",
    ),
    ({"features": {"cdi": "true"}}, (OLD, NEW), "features.cdi must be a boolean and is a string"),
    ({"live-restore": "yes"}, (OLD, NEW), "live-restore must be a boolean and is a string"),
    ({"default-shm-size": 67108864}, (OLD, NEW), "default-shm-size must be a string and is a numb"),
    ({"node-generic-resources": ["gpu"]}, (OLD, NEW), "node-generic-resources: 'gpu' is not of"),
    (
        {"exec-opts": ["native.cgroupdriver=foo"]},
        (OLD, NEW),
        "exec-opts: 'native.cgroupdriver=foo'",
    ),
]


@pytest.mark.parametrize(("config", "engines", "sentence"), REFUSED, ids=[r[2] for r in REFUSED])
def test_what_keeps_an_engine_from_starting(
    config: dict[str, Any], engines: tuple[tuple[int, int], ...], sentence: str
) -> None:
    """One sentence, for the engines that refuse it, and none for the others."""
    for engine in (OLD, NEW):
        found = daemon_json_keys.problems(config, engine)
        assert len(found) == (engine in engines), (engine, found)
        assert all(text.startswith(sentence) for text in found)


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"features": {"cdi": True}},
    {"features": None, "runtimes": None, "debug": None, "log-opts": None, "labels": None},
    {"default-runtime": ""},
    {"default-runtime": "runc"},
    {"default-runtime": "io.containerd.runc.v2"},
    {"default-runtime": "nvidia", "runtimes": {"nvidia": {**PATH_RUNTIME, "args": []}}},
    {"runtimes": {"kata": {"runtimeType": "io.containerd.kata.v2"}}},
    {"log-opts": {"max-size": "10m", "max-file": "3", "mode": "non-blocking", "tag": "x"}},
    {"exec-opts": ["native.cgroupdriver=systemd", "foo=bar"]},
    {"node-generic-resources": ["NVIDIA-GPU=GPU-1"]},
    {"default-ulimits": {"memlock": {"Name": "memlock", "Hard": -1, "Soft": -1}}},
]


@pytest.mark.parametrize("engine", [OLD, NEW, None])
@pytest.mark.parametrize("config", ACCEPTED, ids=str)
def test_what_every_engine_takes(config: dict[str, Any], engine: tuple[int, int] | None) -> None:
    assert daemon_json_keys.problems(config, engine) == ()


def test_all_problems_are_told_at_once() -> None:
    assert (
        len(
            daemon_json_keys.problems(
                {"debug": 1, "log-opts": {"max-file": 3}, "default-runtime": "x"}, NEW
            )
        )
        == 3
    )


def test_keys_of_a_later_engine_are_left_to_its_own_validation() -> None:
    config = {"of-a-later-docker": 1, "graph": "/gone/since/23"}
    assert daemon_json_keys.problems(config, (29, 0)) == ()


def test_the_options_of_a_log_plugin_are_left_to_it() -> None:
    config = {"log-driver": "a-plugin", "log-opts": {"any": "thing"}}
    assert daemon_json_keys.problems(config, OLD) == ()


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
