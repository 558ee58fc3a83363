# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses as users write them: NV_HOST, and docker's own for an engine."""

from __future__ import annotations

from ..errors import InvalidInput

PLUGIN_PORT = 3476
_LOCAL = "unix"
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
_USER_CHARACTERS = _HOST_CHARACTERS | frozenset("@+\\")
"""No blank and nothing that a shell reads: a user's ssh_config may hand the name to one."""
_IPV6_CHARACTERS = frozenset("0123456789abcdefABCDEF:.")


class Endpoint:
    """Where the plugin listens.

    ``scheme``: ``http``, or ``ssh`` for a plugin that is reached through the SSH server of its
    machine; ``user`` and ``ssh_port`` are that server's, empty and None for what ssh itself takes.
    """

    __slots__ = ("host", "port", "scheme", "ssh_port", "user")

    def __init__(self, scheme: str, user: str, host: str, ssh_port: int | None, port: int) -> None:
        self.scheme = scheme
        self.user = user
        self.host = host
        self.ssh_port = ssh_port
        self.port = port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def from_nv_host(uri: str) -> Endpoint | None:
    """Read ``[(http|ssh)://][user@][host][:ssh-port]:[plugin-port]``; None for a unix socket.

    Raises InvalidInput. The last colon is needed, as in v1: without it one number could be either
    port.
    """
    problem = InvalidInput(
        f"invalid remote host URI in NV_HOST: {_shown(uri)}; "
        "write [(http|ssh)://][user@][host][:ssh-port]:[plugin-port], as http://gpu1:3476"
    )
    scheme, user, authority = _parts(uri, problem)
    if scheme == _LOCAL:
        return None
    host, ports = _split(authority, problem)
    if len(ports) > 2 or (len(ports) == 2 and not ports[0]) or (authority and not ports):
        raise problem
    if scheme not in ("http", "tcp", "ssh"):
        raise problem
    return Endpoint(
        scheme="ssh" if scheme == "ssh" else "http",
        user=_user(user, problem) if scheme == "ssh" else "",
        host=host or "localhost",
        ssh_port=_port(ports[0], problem) if len(ports) == 2 else None,
        port=(_port(ports[-1], problem) if ports else None) or PLUGIN_PORT,
    )


def from_docker_host(uri: str, source: str) -> Endpoint | None:
    """Read docker's address of an engine; the plugin is expected on its port of that machine.

    ``source`` says in messages where the address is from. None for a unix socket, and for nothing,
    which is docker's default socket. The port is the engine's or the SSH server's. Raises
    InvalidInput. Source of the forms: docker's client 20.10 and 28.
    """
    uri = uri.strip()
    problem = InvalidInput(
        f"invalid remote host URI in {source}: {_shown(uri)}; "
        "write tcp://host:port, ssh://[user@]host[:port] or unix://socket"
    )
    scheme, user, authority = _parts(uri, problem)
    if not uri or scheme == _LOCAL:
        return None
    if scheme == "tcp" and authority.count(":") > 1 and not authority.startswith("["):
        # docker takes an IPv6 address without brackets here, which then has no port.
        authority = f"[{authority}]"
    host, ports = _split(authority, problem)
    if scheme not in ("tcp", "ssh") or len(ports) > 1 or (scheme == "ssh" and not host):
        raise problem
    port = _port(ports[0], problem) if ports else None
    if scheme == "tcp":
        return Endpoint("http", "", host or "localhost", None, PLUGIN_PORT)
    return Endpoint("ssh", _user(user, problem), host, port, PLUGIN_PORT)


def _parts(uri: str, problem: InvalidInput) -> tuple[str, str, str]:
    """Return scheme, user (without password) and authority; the path is of no use here."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, rest = "tcp", uri
    if scheme == _LOCAL:
        return _LOCAL, "", ""
    for end in "/?#":
        rest = rest.partition(end)[0]
    user, at, authority = rest.rpartition("@")
    if at and not user:
        raise problem
    return scheme, user.partition(":")[0], authority


def _split(authority: str, problem: InvalidInput) -> tuple[str, list[str]]:
    """Return the host, and what stands behind each colon after it."""
    if authority.startswith("["):
        host, closed, rest = authority[1:].partition("]")
        if not closed or not host or not set(host) <= _IPV6_CHARACTERS or rest[:1] not in ("", ":"):
            raise problem
    else:
        host, colon, rest = authority.partition(":")
        rest = colon + rest
        if not set(host) <= _HOST_CHARACTERS or host.startswith("-"):
            raise problem
    return host, rest.split(":")[1:]


def _user(name: str, problem: InvalidInput) -> str:
    if not set(name) <= _USER_CHARACTERS or name.startswith("-") or name.endswith("\\"):
        raise problem
    return name


def _port(text: str, problem: InvalidInput) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) < 65536:
        raise problem
    return int(text)


def _shown(uri: str) -> str:
    """Return the URI quoted, without what may hold a password."""
    return repr(uri.rpartition("@")[2])
