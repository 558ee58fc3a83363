# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses as users write them."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.address import (
    from_docker_host,
    from_nv_host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://10.0.0.1:", "http://10.0.0.1:3476"),
        ("10.0.0.1:80", "http://10.0.0.1:80"),
        ("tcp://gpu-1.lab_x:80", "http://gpu-1.lab_x:80"),
        ("http://h:22:80/x?y=1", "http://h:80"),
        ("http://h::1", None),
        ("http://h:22:", "http://h:3476"),
        ("http://:", "http://localhost:3476"),
        ("http://", "http://localhost:3476"),
        ("/var/run/docker.sock", "http://localhost:3476"),
        ("http://[fe80::1]:80", "http://[fe80::1]:80"),
        ("ssh://me@h:2222:80", "ssh://h:80"),
        ("ssh://", "ssh://localhost:3476"),
        ("unix:///x", "None"),
        ("unix://", "None"),
        ("http://10.0.0.1", None),
        ("10.0.0.1", None),
        ("fd://", None),
        ("npipe://x", None),
        ("ftp://h:1", None),
        ("https://h:443", None),
        ("HTTP://h:1", None),
        ("http://h_x:a", None),
        ("http://user:pw@h:1:2:3", None),
        ("http://h:70000", None),
        ("http://h:0", None),
        ("http://h:" + "9" * 5000, None),
        ("http://[::1:80", None),
        ("http://[::1]x:80", None),
        ("http://[]:80", None),
        ("http://a b:80", None),
        ("http://h:²", None),
        ("http://-h:1", None),
        ("ssh://-oProxyCommand=x:80", None),
        ("ssh://-lroot@h:80", None),
        ("ssh://$(id)@h:80", None),
        ("ssh://a b@h:80", None),
        ("ssh://@h:80", None),
        ("ssh://me\n@h:80", None),
    ],
)
def test_nv_host(uri: str, address: str | None) -> None:
    """v1's grammar, or one sentence with the value and without a password."""
    if address is not None:
        assert str(from_nv_host(uri)) == address
        return
    with pytest.raises(InvalidInput, match=r"^invalid remote host URI in NV_HOST: '") as caught:
        from_nv_host(uri)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("", "None"),
        (" ", "None"),
        ("unix:///run/user/1000/docker.sock", "None"),
        ("unix://", "None"),
        ("tcp://10.0.0.1:2375", "http://10.0.0.1:3476"),
        (" tcp://10.0.0.1:2375 ", "http://10.0.0.1:3476"),
        ("tcp://user@10.0.0.1:2375/path", "http://10.0.0.1:3476"),
        ("tcp://gpu1", "http://gpu1:3476"),
        ("10.0.0.1", "http://10.0.0.1:3476"),
        ("10.0.0.1:", "http://10.0.0.1:3476"),
        (":2375", "http://localhost:3476"),
        ("tcp://", "http://localhost:3476"),
        ("tcp://[::1]:2375", "http://[::1]:3476"),
        ("tcp://fe80::1", "http://[fe80::1]:3476"),
        ("ssh://me@h", "ssh://h:3476"),
        ("ssh://h:2222", "ssh://h:3476"),
        ("ssh://h/run/docker.sock", "ssh://h:3476"),
        ("ssh://[fe80::1]:22", "ssh://[fe80::1]:3476"),
        ("ssh://", None),
        ("ssh://me@", None),
        ("ssh://h:22:3476", None),
        ("ssh://-h", None),
        ("ssh://`id`@h", None),
        ("tcp://h:1:2", None),
        ("tcp://h:x", None),
        ("tcp://[::1]:2375x", None),
        ("http://h:2375", None),
        ("https://h:443", None),
        ("TCP://h:1", None),
        ("fd://", None),
        ("npipe://x", None),
    ],
)
def test_docker_host(uri: str, address: str | None) -> None:
    """docker's grammar; the plugin of that machine has its own port."""
    if address is not None:
        assert str(from_docker_host(uri, "DOCKER_HOST")) == address
        return
    with pytest.raises(InvalidInput, match=r"^invalid remote host URI in context lab: '"):
        from_docker_host(uri, "context lab")


@pytest.mark.parametrize(
    ("read", "uri", "user", "port"),
    [
        (from_nv_host, "ssh://me@h:2222:80", "me", 2222),
        (from_nv_host, "ssh://h:80", "", None),
        (from_nv_host, "ssh://h:22:", "", 22),
        (from_nv_host, "http://me@h:80", "", None),
        (from_nv_host, "ssh://me@lab:secret@h:80", "me@lab", None),
        (lambda uri: from_docker_host(uri, ""), "ssh://me:secret@h:2222", "me", 2222),
        (lambda uri: from_docker_host(uri, ""), "ssh://LAB\\me@h", "LAB\\me", None),
        (lambda uri: from_docker_host(uri, ""), "tcp://me@h:2375", "", None),
    ],
)
def test_ssh(read, uri: str, user: str, port: int | None) -> None:
    """In docker's form the only port is the SSH server's; what is not given is ssh's choice."""
    endpoint = read(uri)
    assert (endpoint.user, endpoint.host, endpoint.ssh_port) == (user, "h", port)
