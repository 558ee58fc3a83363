# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of daemon.json that dockerd 20.10 to 29 know, and what a changed one needs.

Source: moby's flags and daemon/config at v20.10.24 to docker-v29.7.2, and its daemon/reload.go for
what SIGHUP does; it reports ``cdi`` as reloaded, which only a start reads. The answers of dockerd
20.10.24 and 26.1.5 to each key are in tests/golden/daemon_json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .json_values import same

Version = tuple[int, int]
"""Major and minor version of a Docker engine, e.g. ``(20, 10)``."""

NONE, RELOAD, RESTART = "none", "reload", "restart"
_STRENGTH = (NONE, RELOAD, RESTART)

VALIDATES: Version = (23, 0)
"""The first engine with ``dockerd --validate``."""
_CDI: Version = (25, 0)
_CDI_BY_DEFAULT: Version = (28, 2)

BOOLEAN, _NUMBER, _STRING, _LIST, _OBJECT = (
    "a boolean",
    "a number",
    "a string",
    "a list",
    "an object",
)


@dataclass(frozen=True)
class Key:
    """One key of daemon.json."""

    type: str
    """Of its JSON value; empty: dockerd does not look at it, or takes several."""
    reload: bool = False
    """SIGHUP is enough."""
    since: Version = (0, 0)
    until: Version = (1000, 0)
    """The first engine that knows it, and the first that does not any more."""
    null: bool = True
    """Whether null is taken, as if the key was not there."""

    def known(self, engine: Version) -> bool:
        """Whether this engine knows the key."""
        return self.since <= engine < self.until


def _keys(type_: str, names: str, **facts: Any) -> dict[str, Key]:
    return {name: Key(type_, **facts) for name in names.split()}


KEYS: Mapping[str, Key] = {
    **_keys(
        BOOLEAN,
        "cri-containerd experimental icc init ip-forward ip-masq ip6tables iptables ipv6 "
        "no-new-privileges raw-logs rootless selinux-enabled tls tlsverify userland-proxy",
    ),
    **_keys(BOOLEAN, "debug live-restore", reload=True),
    **_keys(BOOLEAN, "ip-forward-no-drop", since=(28, 0)),
    **_keys(BOOLEAN, "allow-direct-routing", since=(28, 2)),
    **_keys(_NUMBER, "cpu-rt-period cpu-rt-runtime mtu network-control-plane-mtu"),
    **_keys(_NUMBER, "network-diagnostic-port", reload=True),
    **_keys(_NUMBER, "max-concurrent-downloads max-concurrent-uploads", reload=True),
    **_keys(_NUMBER, "max-download-attempts shutdown-timeout", reload=True),
    **_keys(_NUMBER, "oom-score-adjust", until=(26, 0)),
    **_keys(_NUMBER, "default-stop-timeout", since=(29, 7)),
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
    **_keys(_STRING, "api-cors-header", until=(29, 0)),
    **_keys(_STRING, "cluster-advertise cluster-store graph", until=(24, 0)),
    **_keys(_STRING, "log-format", since=(25, 0)),
    **_keys(_STRING, "bip6", since=(28, 0)),
    **_keys(_STRING, "bridge-accept-fwmark firewall-backend min-api-version", since=(29, 0)),
    **_keys(_LIST, "authorization-plugins default-address-pools dns dns-opts dns-search exec-opts"),
    **_keys(_LIST, "hosts node-generic-resources storage-opts"),
    **_keys(_LIST, "insecure-registries labels registry-mirrors", reload=True),
    **_keys(_LIST, "allow-nondistributable-artifacts", reload=True),
    **_keys(_LIST, "cdi-spec-dirs", since=_CDI),
    **_keys(_LIST, "host-gateway-ips", since=(28, 0)),
    **_keys(_OBJECT, "builder default-ulimits log-opts"),
    **_keys(_OBJECT, "features runtimes", reload=True),
    **_keys(_OBJECT, "cluster-store-opts", until=(24, 0)),
    **_keys(_OBJECT, "proxies", since=VALIDATES, null=False),
    **_keys(_OBJECT, "default-network-opts", since=(24, 0)),
    **_keys(_OBJECT, "nri-opts", since=(29, 2)),
    **_keys("", "containerd-plugins-namespace deprecated-key-path"),
    # Looked for in proxies; here they are known and not read.
    **_keys("", "http-proxy https-proxy no-proxy", since=VALIDATES),
}
"""The keys of all these engines."""

_RELOADED_FEATURES = frozenset({"buildkit"})
"""Features that SIGHUP switches; dockerd reads the others, such as ``cdi``, at its start only."""


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
    default = {"cdi": engine >= _CDI_BY_DEFAULT}
    changed = {
        name
        for name in {*old, *new}
        if not same(
            old.get(name, default.get(name, False)), new.get(name, default.get(name, False))
        )
    }
    if engine < _CDI:
        changed.discard("cdi")
    if not changed:
        return NONE
    return RELOAD if changed <= _RELOADED_FEATURES else RESTART
