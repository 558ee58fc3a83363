# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hostile requests: right ones that were damaged, and what attackers are known to send.

The same seed makes the same requests.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

TARGETS = [
    *"/ /docker/cli /docker/cli/json /gpu/info /gpu/info/json /gpu/status /mesos/cli".split(),
    *"/v1.0/docker/cli /docker/cli?dev=0 /docker/cli?dev=0+1&vol=nvidia_driver".split(),
    *"/docker/cli?dev=%zz /docker/cli?dev=%ff /docker/cli?x=1 /docker/cli?dev=&dev=1".split(),
    *"/docker/cli?dev=GPU-%00 /docker/cli?dev=99999999999999999999 /%2e%2e/etc/passwd".split(),
    *"//docker/cli /../../etc/passwd /docker%2Fcli /%00 * http://localhost/docker/cli".split(),
    *"http://evil/docker/cli http:///docker/cli https://localhost/ file:///etc/passwd".split(),
    *"/Plugin.Activate /VolumeDriver.Create /VolumeDriver.Remove /VolumeDriver.Mount".split(),
    *"/VolumeDriver.Path /VolumeDriver.Unmount /VolumeDriver.Get /VolumeDriver.List".split(),
    *"/VolumeDriver.Capabilities /VolumeDriver.Get/../List".split(),
]
METHODS = "GET GET GET POST POST POST HEAD PUT DELETE OPTIONS CONNECT PRI get G@T".split()
VERSIONS = "HTTP/1.1 HTTP/1.1 HTTP/1.1 HTTP/1.0 HTTP/0.9 HTTP/2.0 HTTP/9.9 http/1.1 X".split()
HEADERS = [
    "Host: localhost",
    "Host: evil.example",
    "Host: 127.0.0.1:3476",
    "Host:",
    "Accept: application/vnd.docker.plugins.v1.1+json",
    "Accept: " + "a" * 5000,
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999",
    "Content-Length: 1_0",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding:\tchunked",
    "Transfer_Encoding: chunked",
    "Expect: 100-continue",
    "Expect: x",
    "Connection: close",
    "Connection: keep-alive, Upgrade",
    "Upgrade: h2c",
    " folded: x",
    "X: \x00",
    "X: \u00ff\u0100",
    "no colon",
    ": no name",
]
NAMES = [
    "nvidia_driver",
    "nvidia_driver_535.161.08",
    "nvidia_driver_../../victim",
    "nvidia_driver_/etc",
    "../victim",
    "nvidia_driver_\x00",
    "nvidia_driver_\ud800",
    "nvidia_driver_" + "9" * 5000,
    "",
    None,
    7,
    ["nvidia_driver"],
    {"Name": "nvidia_driver"},
]
CHUNKS = [b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", b"-1\r\n", b"1;" * 99]
NOISE = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"%", b"\xff\xfe", b"\r\n\r\n", b"9" * 99]


def requests(seed: int, count: int) -> Iterator[bytes]:
    """Yield so many requests."""
    chance = random.Random(seed)
    for _dummy in range(count):
        kind = chance.random()
        if kind < 0.03:
            yield chance.randbytes(chance.randrange(1, 2000))
        elif kind < 0.05:
            yield _request(chance) + _request(chance)
        elif kind < 0.5:
            yield _damaged(chance, _request(chance))
        else:
            yield _request(chance)


def _request(chance: random.Random) -> bytes:
    line = [chance.choice(METHODS), chance.choice(TARGETS), chance.choice(VERSIONS)]
    headers = chance.choices(HEADERS, k=chance.randrange(4))
    body = _body(chance)
    # Half of them reach a handler: what is hostile in these is the target and the body.
    right = chance.random() < 0.5
    if right:
        line[0] = "POST" if line[1].startswith(("/Plugin", "/Volume")) else "GET"
        line[2] = "HTTP/1.1"
        headers.clear()
    if right or chance.random() < 0.8:
        headers.append(HEADERS[0])
    if right or chance.random() < 0.5:
        headers.append(HEADERS[4])
    if right or chance.random() < 0.7:
        headers.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([" ".join(line), *headers, "", ""])
    return head.encode("latin-1", errors="replace") + body


def _body(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.4:
        return b""
    if kind < 0.75:
        return json.dumps({chance.choice(["Name", "name", "X"]): chance.choice(NAMES)}).encode()
    if kind < 0.8:
        return b'{"Name":' + b"[" * chance.choice([9, 999, 60000])
    if kind < 0.9:
        return chance.choice(CHUNKS)
    return chance.randbytes(chance.choice([1, 99, 70000]) if kind > 0.995 else 99)


def _damaged(chance: random.Random, request: bytes) -> bytes:
    data = bytearray(request)
    for _dummy in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        end = at + chance.randrange(20)
        kind = chance.randrange(5)
        if kind == 0:
            data[at:at] = chance.choice(NOISE)
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = data[at:end]
        elif kind == 3:
            data[at : at + 1] = bytes([chance.randrange(256)])
        else:
            del data[max(1, at) :]
    return bytes(data)
