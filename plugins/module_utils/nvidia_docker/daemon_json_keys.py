# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dockerd knows of daemon.json: its keys, what it refuses, what a changed key needs.

Source: dockerd 20.10.24 and 26.1.5 of Debian, started with each row here and in the tests. Which
keys an engine knows is judged for those before 23 only: later ones answer ``dockerd --validate``,
which in turn passes values that stop the start. What SIGHUP does is
read from moby's daemon/reload.go; it reports ``cdi`` as reloaded, which only a start reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .json_values import kind, same

Version = tuple[int, int]
"""Major and minor version of a Docker engine, e.g. ``(20, 10)``."""

NONE, RELOAD, RESTART = "none", "reload", "restart"
_STRENGTH = (NONE, RELOAD, RESTART)

VALIDATES: Version = (23, 0)
"""The first engine with ``dockerd --validate``."""
_CDI: Version = (25, 0)

_BOOLEAN, _NUMBER, _STRING, _LIST, _OBJECT = (
    "a boolean",
    "a number",
    "a string",
    "a list",
    "an object",
)


@dataclass(frozen=True)
class Key:
    """One key: the JSON type of its value, whether SIGHUP does, the first engine, null allowed."""

    type: str
    reload: bool = False
    since: Version = (0, 0)
    null: bool = True


def _keys(type_: str, names: str, **facts: Any) -> dict[str, Key]:
    return {name: Key(type_, **facts) for name in names.split()}


KEYS: Mapping[str, Key] = {
    **_keys(
        _BOOLEAN,
        "experimental icc init ip-forward ip-masq ip6tables iptables ipv6 no-new-privileges "
        "raw-logs selinux-enabled tls tlsverify userland-proxy",
    ),
    **_keys(_BOOLEAN, "debug live-restore", reload=True),
    **_keys(_NUMBER, "cpu-rt-period cpu-rt-runtime mtu network-control-plane-mtu"),
    **_keys(_NUMBER, "network-diagnostic-port", reload=True),
    **_keys(_NUMBER, "oom-score-adjust"),
    **_keys(_NUMBER, "max-concurrent-downloads max-concurrent-uploads", reload=True),
    **_keys(_NUMBER, "max-download-attempts shutdown-timeout", reload=True),
    **_keys(
        _STRING,
        "bip bridge cgroup-parent containerd containerd-namespace "
        "data-root default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode "
        "exec-root fixed-cidr fixed-cidr-v6 group host-gateway-ip init-path ip "
        "log-driver log-level metrics-addr pidfile seccomp-profile storage-driver "
        "swarm-default-advertise-addr tlscacert tlscert tlskey userland-proxy-path userns-remap",
    ),
    **_keys(_STRING, "default-runtime", reload=True),
    **_keys(_STRING, "default-shm-size", null=False),
    **_keys(_STRING, "graph cluster-advertise cluster-store"),
    **_keys(_LIST, "authorization-plugins default-address-pools dns dns-opts dns-search exec-opts"),
    **_keys(_LIST, "hosts node-generic-resources storage-opts"),
    **_keys(_LIST, "insecure-registries labels registry-mirrors", reload=True),
    **_keys(_LIST, "allow-nondistributable-artifacts", reload=True),
    **_keys(_LIST, "cdi-spec-dirs", since=_CDI),
    **_keys(_OBJECT, "builder default-ulimits log-opts"),
    **_keys(_OBJECT, "features runtimes", reload=True),
    **_keys(_OBJECT, "cluster-store-opts"),
    **_keys(_OBJECT, "default-network-opts", since=(24, 0)),
    **_keys(_OBJECT, "proxies", since=(23, 0)),
    # Known names whose value dockerd does not look at, or whose type was not tried.
    **_keys("", "api-cors-header containerd-plugins-namespace cri-containerd deprecated-key-path"),
    **_keys("", "rootless"),
}
"""The keys of Docker 20.10, and some of later engines, with which 20.10 would not start."""

_RELOADED_FEATURES = frozenset({"buildkit"})
"""Features that SIGHUP switches; dockerd reads the others, such as ``cdi``, at its start only."""

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


def engine_version(text: str) -> Version | None:
    """Return the version in ``dockerd --version``'s answer, None if it tells none."""
    found = re.search(r"\bversion (\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else None


def needed(
    before: Mapping[str, Any], after: Mapping[str, Any], engine: Version | None
) -> dict[str, str]:
    """Return for each top-level key that differs what a running engine needs to follow.

    ``none``, ``reload`` (SIGHUP) or ``restart``; keys in the order of ``after``, then the removed
    ones. Without an engine (None) nothing is needed.
    """
    names = [*after, *(key for key in before if key not in after)]
    return {
        key: _need(key, before, after, engine) if engine else NONE
        for key in names
        if (key in before) != (key in after) or not same(before.get(key), after.get(key))
    }


def strongest(needs: Mapping[str, str]) -> str:
    """Return what satisfies all of ``needs``."""
    return max(needs.values(), key=_STRENGTH.index, default=NONE)


def problems(config: Mapping[str, Any], engine: Version | None) -> tuple[str, ...]:
    """Return a sentence for each thing that keeps this engine from starting with ``config``.

    Without an engine (None) only what all engines refuse is told.
    """
    return tuple(_problems(config, engine))


def _need(key: str, before: Mapping[str, Any], after: Mapping[str, Any], engine: Version) -> str:
    old, new = before.get(key), after.get(key)
    if key == "features" and isinstance(old or {}, Mapping) and isinstance(new or {}, Mapping):
        return _features_need(old or {}, new or {}, engine)
    fact = KEYS.get(key)
    # SIGHUP skips what the file no longer names: the old value stays until a restart.
    if fact is None or not fact.reload or new is None:
        return RESTART
    if key == "runtimes" and set(old or ()) - set(new):
        return RESTART
    return RELOAD


def _features_need(old: Mapping[str, Any], new: Mapping[str, Any], engine: Version) -> str:
    changed = {
        name for name in {*old, *new} if not same(old.get(name, False), new.get(name, False))
    }
    if engine < _CDI:
        changed.discard("cdi")
    if not changed:
        return NONE
    return RELOAD if changed <= _RELOADED_FEATURES else RESTART


def _problems(config: Mapping[str, Any], engine: Version | None) -> Iterator[str]:
    for key, value in config.items():
        fact = KEYS.get(key)
        if engine and engine < VALIDATES and (fact is None or engine < fact.since):
            later = f", only {_text(fact.since)} and later" if fact else ""
            yield f"{key} is no key that Docker {_text(engine)} knows{later}: it would not start"
        elif fact and fact.type and kind(value) != fact.type and not (value is None and fact.null):
            yield f"{key} must be {fact.type} and is {kind(value)}"
        elif key in _CHECKS and value is not None:
            yield from _CHECKS[key](value, config, engine)


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def _check_default_runtime(
    value: str, config: Mapping[str, Any], engine: Version | None
) -> Iterator[str]:
    runtimes = config.get("runtimes")
    known = [*_STOCK_RUNTIMES, *(runtimes if isinstance(runtimes, Mapping) else ())]
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
    "default-runtime": _check_default_runtime,
    "exec-opts": _check_exec_options,
    "features": _check_features,
    "log-opts": _check_log_options,
    "node-generic-resources": _check_resources,
    "runtimes": _check_runtimes,
}
