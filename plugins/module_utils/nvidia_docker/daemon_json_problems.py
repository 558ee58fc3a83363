# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps an engine from starting with a daemon.json: each in one sentence, before it is tried.

Source: dockerd 20.10.24 and 26.1.5 of Debian, started with each row of the tests. From 23 on there
is ``dockerd --validate``, which tells keys that it does not know, and passes values that stop the
start: runtimes that are not defined, for example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .daemon_json_keys import KEYS, VALIDATES, Key, Version
from .dockerd_flags import Flag, duplicates
from .json_values import kind

_STOCK_RUNTIME = "runc"
_STOCK_RUNTIMES = (_STOCK_RUNTIME, "io.containerd.runc.v2", "io.containerd.runtime.v1.linux")
_CGROUP_DRIVERS = ("cgroupfs", "systemd")
_LOG_OPTIONS_OF_ALL = frozenset(
    "mode max-buffer-size cache-disabled cache-max-size cache-max-file cache-compress".split()
)
_LOG_OPTIONS: Mapping[str, frozenset[str]] = {
    "json-file": frozenset(
        "max-size max-file compress labels labels-regex env env-regex tag".split()
    ),
    "local": frozenset("max-size max-file compress".split()),
    "journald": frozenset("labels labels-regex env env-regex tag".split()),
}


def problems(
    config: Mapping[str, Any], engine: Version | None, flags: tuple[Flag, ...] = ()
) -> tuple[str, ...]:
    """Return a sentence for each thing that keeps this engine from starting with ``config``.

    Without an engine (None) only what all engines refuse is told. ``flags`` are those that dockerd
    is started with.
    """
    return (*_problems(config, engine, flags), *duplicates(config, flags))


def _problems(
    config: Mapping[str, Any], engine: Version | None, flags: tuple[Flag, ...]
) -> Iterator[str]:
    for key, value in config.items():
        fact = KEYS.get(key)
        if engine and (not fact.known(engine) if fact else engine < VALIDATES):
            yield _unknown(key, fact, engine)
        elif fact and fact.type and kind(value) != fact.type and not (value is None and fact.null):
            yield f"{key} must be {fact.type} and is {kind(value)}"
        elif key == "default-runtime" and value is not None:
            yield from _check_default_runtime(value, config, engine, flags)
        elif key in _CHECKS and value is not None:
            yield from _CHECKS[key](value, config, engine)


def _unknown(key: str, fact: Key | None, engine: Version) -> str:
    others = ""
    if fact:
        early = engine < fact.since
        others = f", only {_text(fact.since)} and later" if early else ""
        others = others or f", only those before {_text(fact.until)}"
    return f"{key} is no key that Docker {_text(engine)} knows{others}: it would not start"


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def _check_default_runtime(
    value: str, config: Mapping[str, Any], engine: Version | None, flags: tuple[Flag, ...]
) -> Iterator[str]:
    runtimes = config.get("runtimes")
    known = [*_STOCK_RUNTIMES, *(runtimes if isinstance(runtimes, Mapping) else ())]
    known += [flag.value.partition("=")[0] for flag in flags if flag.key == "runtimes"]
    # From Docker 23 on the dotted name of a containerd shim needs no entry.
    shim = "." in value and not value.startswith("/") and (engine is None or engine >= VALIDATES)
    if value and value not in known and not shim:
        yield f"default-runtime {value!r} is not defined in runtimes: Docker would not start"


def _check_runtimes(
    value: Mapping[str, Any], config: Mapping[str, Any], engine: Version | None
) -> Iterator[str]:
    for name, entry in value.items():
        if name == _STOCK_RUNTIME:
            yield f"runtimes.{name}: this name is reserved by Docker, choose another one"
        elif entry is not None and not isinstance(entry, Mapping):
            yield f"runtimes.{name} must be an object and is {kind(entry)}"
        elif engine and engine >= VALIDATES:
            yield from _check_runtime(name, entry or {})


def _check_runtime(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    by_path, by_type = entry.get("path"), entry.get("runtimeType")
    if not by_path and not by_type:
        yield f"runtimes.{name} needs a path or a runtimeType"
    if by_path and by_type:
        yield f"runtimes.{name} has both path and runtimeType: keep one of them"
    elif by_type and entry.get("runtimeArgs"):
        yield f"runtimes.{name}: runtimeArgs go with a path, not with a runtimeType"
    elif by_path and entry.get("options"):
        yield f"runtimes.{name}: options go with a runtimeType, not with a path"


def _check_log_options(
    value: Mapping[str, Any], config: Mapping[str, Any], engine: Version | None
) -> Iterator[str]:
    driver = config.get("log-driver") or "json-file"
    known = _LOG_OPTIONS.get(driver) if isinstance(driver, str) else None
    for name, option in value.items():
        if option is not None and not isinstance(option, str):
            yield f"log-opts.{name} must be a string and is {kind(option)}: put it in quotes"
        if known is not None and name not in known | _LOG_OPTIONS_OF_ALL:
            yield f"log-opts.{name} is no option of the log driver {driver}: Docker would not start"


def _check_features(
    value: Mapping[str, Any], config: Mapping[str, Any], engine: Version | None
) -> Iterator[str]:
    for name, switch in value.items():
        if switch is not None and not isinstance(switch, bool):
            yield f"features.{name} must be a boolean and is {kind(switch)}"


def _check_resources(
    value: list[Any], config: Mapping[str, Any], engine: Version | None
) -> Iterator[str]:
    for item in value:
        if not isinstance(item, str) or not re.fullmatch(r"[^=]+=[^=]+", item):
            yield f"node-generic-resources: {item!r} is not of the form KIND=VALUE"


def _check_exec_options(
    value: list[Any], config: Mapping[str, Any], engine: Version | None
) -> Iterator[str]:
    for item in value:
        name, _dummy, driver = str(item).partition("=")
        if name == "native.cgroupdriver" and driver not in _CGROUP_DRIVERS:
            yield f"exec-opts: {item!r} must name {' or '.join(_CGROUP_DRIVERS)}"


_CHECKS: Mapping[str, Any] = {
    "exec-opts": _check_exec_options,
    "features": _check_features,
    "log-opts": _check_log_options,
    "node-generic-resources": _check_resources,
    "runtimes": _check_runtimes,
}
