# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs of another machine, through its nvidia-docker-plugin: v1's remote mode."""

from __future__ import annotations

from ..errors import InvalidInput, RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from http.client import HTTPConnection

    from ..requirement import Image

PLUGIN_PORT = 3476
_SSH_PORT = 22
_TIMEOUT_SECONDS = 10
_MAX_ANSWER_BYTES = 1 << 20
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
_IPV6_CHARACTERS = frozenset("0123456789abcdefABCDEF:.")
_ANSWERED_OPTIONS = ("--device", "--volume", "--volume-driver", "--mount")


class Endpoint:
    """Where the plugin listens. ``scheme``: ``http``, or ``ssh`` for a plugin behind an SSH server
    at ``ssh_port``; ``user``: of the SSH server, empty for the default."""

    __slots__ = ("host", "port", "scheme", "ssh_port", "user")

    def __init__(self, scheme: str, user: str, host: str, ssh_port: int, port: int) -> None:
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

    Raises InvalidInput.
    """
    problem = InvalidInput(
        f"invalid remote host URI in NV_HOST: {_without_user(uri)!r}; "
        "write [(http|ssh)://][user@][host][:ssh-port]:[plugin-port], as http://gpu1:3476"
    )
    return _parse(uri, problem, colon_needed=True)


def from_docker_host(uri: str) -> Endpoint | None:
    """Read docker's own address; the plugin is expected on its port of that machine.

    None for a unix socket. Raises InvalidInput.
    """
    problem = InvalidInput(
        f"invalid remote host URI in DOCKER_HOST: {_without_user(uri)!r}; "
        "write tcp://host:port, ssh://user@host or unix://socket"
    )
    ssh = uri.startswith("ssh://")
    endpoint = _parse(uri, problem, colon_needed=not ssh)
    if endpoint is not None:
        # docker's URL has one port, and it is the SSH server's; v1 took it for the plugin's.
        if ssh and endpoint.port != PLUGIN_PORT:
            endpoint.ssh_port = endpoint.port
        endpoint.port = PLUGIN_PORT
    return endpoint


def options(endpoint: Endpoint, image: Image, gpus: tuple[str, ...]) -> list[str]:
    """Ask the other machine's plugin what to add to docker's arguments for this image.

    Raises UnmetRequirement if that machine's driver can't serve the image, RemoteError if the
    plugin can't be reached, refuses, or answers what is no such option.
    """
    if endpoint.scheme == "ssh":
        raise RemoteError(
            f"the plugin of {endpoint.host} can't be asked through ssh:// yet: set NV_HOST=http://"
            f"{endpoint.host}:{PLUGIN_PORT}, or run nvidia-docker on that machine"
        )
    from http.client import HTTPConnection
    from urllib.parse import quote

    from ..requirement import DRIVER_VOLUME

    volumes = image.volumes_needed or (DRIVER_VOLUME,)
    connection = HTTPConnection(endpoint.host, endpoint.port, timeout=_TIMEOUT_SECONDS)
    try:
        _check(image, _get(connection, endpoint, "/gpu/info/json"), endpoint)
        wanted = "+".join(quote(name, safe="") for name in volumes)
        devices = "+".join(quote(identifier, safe="") for identifier in gpus)
        answer = _get(connection, endpoint, f"/docker/cli?vol={wanted}&dev={devices}")
    finally:
        connection.close()
    words = answer.split()
    if not words or any(word.partition("=")[0] not in _ANSWERED_OPTIONS for word in words):
        raise RemoteError(
            f"the plugin at {endpoint} answered what are no devices and volumes: {_line(answer)!r}"
        )
    return words


def _check(image: Image, info: str, endpoint: Endpoint) -> None:
    """Check what the image requires; GPU architectures are not known of another machine."""
    import json

    from ..model import Driver, Host
    from ..requirement import check

    try:
        version = json.loads(info)["Version"]
        driver = Driver(version.get("Driver"), version.get("CUDA"), None, None)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise RemoteError(
            f"the plugin at {endpoint} answered /gpu/info/json with {_line(info)!r}: "
            "is it nvidia-docker-plugin that listens there?"
        ) from None
    check(image, Host(driver, (), (), (), (), None), ())


def _get(connection: HTTPConnection, endpoint: Endpoint, path: str) -> str:
    from http.client import HTTPException

    try:
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", "plugin")
        connection.endheaders()
        response = connection.getresponse()
        body = response.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise RemoteError(
            f"can't ask the plugin at {endpoint}: {reason}; is nvidia-docker-plugin running there?"
        ) from None
    if response.status != 200:
        raise RemoteError(
            f"{_line(body) or response.reason} (the plugin at {endpoint}, status {response.status})"
        )
    return body


def _parse(uri: str, problem: InvalidInput, colon_needed: bool) -> Endpoint | None:
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, rest = "tcp", uri
    if scheme == "unix":
        return None
    if scheme not in ("http", "tcp", "ssh"):
        raise problem
    for end in "/?#":
        rest = rest.partition(end)[0]
    user, _dummy, authority = rest.rpartition("@")
    host, ports = _split(authority, problem)
    numbers = ports.split(":")[1:]
    if len(numbers) > 2 or (colon_needed and authority and not numbers):
        raise problem
    if len(numbers) == 2 and not numbers[0]:
        raise problem
    return Endpoint(
        scheme="ssh" if scheme == "ssh" else "http",
        user=user.partition(":")[0],
        host=host or "localhost",
        ssh_port=_port(numbers[0], _SSH_PORT, problem) if len(numbers) == 2 else _SSH_PORT,
        port=_port(numbers[-1], PLUGIN_PORT, problem) if numbers else PLUGIN_PORT,
    )


def _split(authority: str, problem: InvalidInput) -> tuple[str, str]:
    """Return host and what follows it, from the first colon on."""
    if authority.startswith("["):
        host, closed, ports = authority[1:].partition("]")
        if (
            not closed
            or not host
            or not set(host) <= _IPV6_CHARACTERS
            or ports[:1] not in ("", ":")
        ):
            raise problem
        return host, ports
    host, colon, ports = authority.partition(":")
    if not set(host) <= _HOST_CHARACTERS:
        raise problem
    return host, colon + ports


def _port(text: str, default: int, problem: InvalidInput) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65536:
        raise problem
    return int(text)


def _without_user(uri: str) -> str:
    """Return the URI without what may hold a password."""
    return uri.rpartition("@")[2]


def _line(text: str) -> str:
    """Return another machine's text as one short line that does nothing to a terminal."""
    words = " ".join(text.split())[:300]
    return "".join(character if character.isprintable() else "?" for character in words)
