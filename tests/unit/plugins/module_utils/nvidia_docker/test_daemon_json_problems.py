# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps an engine from starting.

Each row of REFUSED and ACCEPTED was tried with dockerd 20.10.24 and 26.1.5. What 26 tells of keys
itself, by --validate, is not asked of the table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (
    daemon_json_keys,
    daemon_json_problems,
    dockerd_flags,
    json_values,
)

ROOT = Path(__file__).resolve().parents[5]
OLD, NEW = (20, 10), (26, 1)
PATH_RUNTIME = {"path": "nvidia-container-runtime"}

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
        found = daemon_json_problems.problems(config, engine)
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
    assert daemon_json_problems.problems(config, engine) == ()


def test_all_problems_are_told_at_once() -> None:
    assert (
        len(
            daemon_json_problems.problems(
                {"debug": 1, "log-opts": {"max-file": 3}, "default-runtime": "x"}, NEW
            )
        )
        == 3
    )


def test_keys_of_a_later_engine_are_left_to_its_own_validation() -> None:
    assert daemon_json_problems.problems({"of-a-later-docker": 1}, (29, 0)) == ()


VERSIONS = [
    ("graph", "/x", [(20, 10), (23, 0)], [(24, 0), (26, 1), (29, 7)]),
    ("default-network-opts", {}, [(24, 0), (29, 7)], [(20, 10), (23, 0)]),
    ("cdi-spec-dirs", [], [(25, 0), (29, 7)], [(20, 10), (24, 0)]),
    ("oom-score-adjust", 1, [(20, 10), (25, 0)], [(26, 0), (29, 7)]),
    ("bip6", "fd00::1/64", [(28, 0), (29, 7)], [(26, 1), (27, 5)]),
    ("allow-direct-routing", True, [(28, 2), (29, 7)], [(28, 1), (27, 5)]),
    ("api-cors-header", "*", [(20, 10), (28, 5)], [(29, 0)]),
    ("firewall-backend", "nftables", [(29, 0)], [(28, 5)]),
    ("nri-opts", {}, [(29, 2)], [(29, 1)]),
    ("default-stop-timeout", 5, [(29, 7)], [(29, 6)]),
]


@pytest.mark.parametrize(("key", "value", "known", "unknown"), VERSIONS)
def test_keys_come_and_go_with_versions(
    key: str, value: object, known: list[tuple[int, int]], unknown: list[tuple[int, int]]
) -> None:
    for engine in [*known, *unknown]:
        found = daemon_json_problems.problems({key: value}, engine)
        assert [f"{key} is no key that Docker" in text for text in found] == [True] * (
            engine in unknown
        )
    assert daemon_json_problems.problems({key: value}, None) == ()


GOLDEN = json.loads((ROOT / "tests/golden/daemon_json/keys.json").read_text())
KINDS: dict[str, Any] = {
    "a boolean": True,
    "a number": 1,
    "a string": "x",
    "a list": ["x"],
    "an object": {"x": "x"},
    "null": None,
}
STRICTER = {("20.10.24", "default-network-opts", "an object")}
"""dockerd 20.10 takes the keys in it for its own, and does not read them."""
LOOSER = {
    *((version, "deprecated-key-path", kind) for version in GOLDEN["accepted"] for kind in KINDS),
    *((version, "containerd-plugins-namespace", "an object") for version in GOLDEN["accepted"]),
    *(("26.1.5", key, "an object") for key in ("http-proxy", "https-proxy", "no-proxy")),
    *(("26.1.5", "of-no-engine", kind) for kind in KINDS),
    ("26.1.5", "tlsverify", "a boolean"),
    ("26.1.5", "tlsverify", "null"),
    ("26.1.5", "userland-proxy-path", "a string"),
}
"""Refused by dockerd itself, which is asked too, for what the table does not know: files that are
not there, for example."""


@pytest.mark.parametrize("version", GOLDEN["accepted"])
def test_the_table_of_keys_says_what_dockerd_said(version: str) -> None:
    engine = daemon_json_keys.engine_version(f"Docker version {version}")
    wrong = []
    for key in [*daemon_json_keys.KEYS, "of-no-engine"]:
        values = dict(KINDS)
        if key in GOLDEN["values"]:
            values[json_values.kind(GOLDEN["values"][key])] = GOLDEN["values"][key]
        for kind, value in values.items():
            refused = bool(daemon_json_problems.problems({key: value}, engine))
            accepted = kind in GOLDEN["accepted"][version][key]
            row = (version, key, kind)
            if refused == accepted and row not in (STRICTER if refused else LOOSER):
                wrong.append(row)
    assert wrong == []


FLAGS = dockerd_flags.read(
    (word, "unit") for word in "-H fd:// --data-root /x --add-runtime nvidia=/n --debug".split()
)


@pytest.mark.parametrize(
    ("config", "sentences"),
    [
        ({"icc": True}, []),
        ({"hosts": ["fd://"]}, ["hosts is also a flag of dockerd, -H fd:// in unit"]),
        ({"data-root": "/x", "debug": False}, ["data-root is also a", "debug is also a flag"]),
        ({"default-runtime": "nvidia"}, []),
        ({"default-runtime": "kata"}, ["default-runtime 'kata' is not defined"]),
    ],
)
def test_what_is_also_a_flag(config: dict[str, Any], sentences: list[str]) -> None:
    for engine in (OLD, NEW):
        found = daemon_json_problems.problems(config, engine, FLAGS)
        assert len(found) == len(sentences)
        assert all(map(str.startswith, found, sentences))


def test_the_options_of_a_log_plugin_are_left_to_it() -> None:
    config = {"log-driver": "a-plugin", "log-opts": {"any": "thing"}}
    assert daemon_json_problems.problems(config, OLD) == ()
