# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit as systemd tells it, and ports that others have. The sockets are real."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    layout,
    service,
)

DIGEST = "0123456789abcdef" * 4


def running(pid: int | None) -> service.Service:
    return service.Service(
        exists=True,
        active=pid is not None,
        main_pid=pid,
        release=None,
        needs_reload=False,
        inactive_sockets=(),
        listens=(),
    )


SOCKETS = """

Listen=/run/nvidia-docker/volume-maker.sock (Stream)
Id=nvidia-docker-volume-maker.socket
LoadState=loaded
ActiveState=active
NeedDaemonReload=no

Listen=/run/nvidia-docker/image-reader.sock (Stream)
Id=nvidia-docker-image-reader.socket
LoadState=loaded
ActiveState=active
NeedDaemonReload=no

Listen=/run/docker/plugins/nvidia-docker.sock (Stream)
Listen=127.0.0.1:3476 (Stream)
Id=nvidia-docker-plugin.socket
LoadState=loaded
ActiveState=active
NeedDaemonReload=no
"""
"""What systemctl 252 says of sockets that listen."""


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that says what the test wrote into the returned file."""
    answer = tmp_path / "answer"
    script = tmp_path / "bin/systemctl"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec /bin/cat {answer}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    return answer


@pytest.fixture
def other() -> Iterator[tuple[int, int]]:
    """Another process that listens: its id and its port."""
    code = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate("")


def test_a_running_unit_tells_the_release_it_runs(tmp_path: Path, systemctl: Path) -> None:
    """By its working directory, which systemd resolved when it started."""
    where = layout.Layout(tmp_path)
    folder = where.releases / DIGEST
    folder.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=folder
    ) as it:
        systemctl.write_text(
            f"MainPID={it.pid}\nId={layout.SERVICE}\nLoadState=loaded\nActiveState=active\n"
            f"NeedDaemonReload=no{SOCKETS}"
        )
        assert service.ask(where) == service.Service(
            exists=True,
            active=True,
            main_pid=it.pid,
            release=DIGEST,
            needs_reload=False,
            inactive_sockets=(),
            listens=(
                "/run/nvidia-docker/volume-maker.sock",
                "/run/nvidia-docker/image-reader.sock",
                "/run/docker/plugins/nvidia-docker.sock",
                "127.0.0.1:3476",
            ),
        )
        it.communicate(b"\n")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("MainPID=0\nLoadState=not-found\nActiveState=inactive\nNeedDaemonReload=no", "---"),
        ("MainPID=0\nLoadState=loaded\nActiveState=failed\nNeedDaemonReload=no", "e--"),
        ("MainPID=0\nLoadState=loaded\nActiveState=activating\nNeedDaemonReload=yes", "e-r"),
        ("MainPID=1\nLoadState=loaded\nActiveState=active\nNeedDaemonReload=yes", "ear"),
    ],
)
def test_states_of_the_unit(tmp_path: Path, systemctl: Path, said: str, expected: str) -> None:
    """e: systemd knows it; a: it runs; r: its file is newer than what systemd has read."""
    systemctl.write_text(f"{said}\nId={layout.SERVICE}{SOCKETS}")
    found = service.ask(layout.Layout(tmp_path))
    assert found is not None
    flags = zip("ear", (found.exists, found.active, found.needs_reload), strict=True)
    assert "".join(letter if flag else "-" for letter, flag in flags) == expected
    assert found.release is None


@pytest.mark.parametrize(
    ("old", "new", "inactive", "reload"),
    [
        ("ActiveState=active", "ActiveState=inactive", list(layout.SOCKETS), False),
        ("LoadState=loaded", "LoadState=not-found", [], False),
        ("NeedDaemonReload=no", "NeedDaemonReload=yes", [], True),
    ],
)
def test_states_of_the_sockets(
    tmp_path: Path, systemctl: Path, old: str, new: str, inactive: list[str], reload: bool
) -> None:
    """A socket that does not listen counts for no address."""
    systemctl.write_text(
        f"MainPID=0\nId={layout.SERVICE}\nNeedDaemonReload=no{SOCKETS.replace(old, new)}"
    )
    found = service.ask(layout.Layout(tmp_path))
    assert found is not None
    assert (list(found.inactive_sockets), found.needs_reload) == (inactive, reload)
    assert ("127.0.0.1:3476" in found.listens) is not bool(inactive)


def test_no_systemd_is_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No systemctl, or one that can't reach systemd."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert service.ask(layout.Layout(tmp_path)) is None
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    assert service.ask(layout.Layout(tmp_path)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "", "0.0.0.0"])
def test_who_has_the_port_is_named(other: tuple[int, int], host: str) -> None:
    """On the same address or on all."""
    pid, port = other
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    for own in (None, running(None), running(os.getpid())):
        with pytest.raises(service.AddressError, match=rf"{port}: .*process {pid} \({name}\)"):
            service.check_address(f"{host}:{port}", own)


def test_the_running_plugin_is_not_in_its_own_way(other: tuple[int, int]) -> None:
    """It has the port that it will have after the restart."""
    pid, port = other
    service.check_address(f"127.0.0.1:{port}", running(pid))


@pytest.mark.parametrize(
    ("address", "listens"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("", "[::]"), ("[::1]", "[::1]")],
)
def test_a_port_that_systemd_has_for_the_plugin_is_free(
    other: tuple[int, int], address: str, listens: str
) -> None:
    """The plugin may be stopped: its socket listens all the same."""
    _dummy, port = other
    ours = dataclasses.replace(running(None), listens=(f"{listens}:{port}",))
    service.check_address(f"{address}:{port}", ours)


def test_the_user_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By systemd-sysusers, whose own words are told when it fails."""
    program = tmp_path / "systemd-sysusers"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(service, "USER", "root")
    service.make_user()
    monkeypatch.setattr(service, "USER", "gpufleet-nobody")
    with pytest.raises(NvidiaDockerError, match="can't make the plugin's user: No such file"):
        service.make_user()
    program.write_text(f"#!/bin/sh\necho $* >{tmp_path}/called; echo no >&2; exit 1\n")
    program.chmod(0o755)
    with pytest.raises(NvidiaDockerError, match="can't make the plugin's user: no"):
        service.make_user()
    assert (tmp_path / "called").read_text() == "gpufleet-nobody.conf\n"


def test_the_user_is_removed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the group that is left, and not if something runs as the user."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("userdel", "groupdel"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} $* >>{tmp_path}/called\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(service, "USER", "gpufleet-nobody")
    service.remove_user()
    assert not (tmp_path / "called").exists()
    monkeypatch.setattr(service, "USER", "games")
    service.remove_user()
    assert (tmp_path / "called").read_text() == "userdel games\ngroupdel games\n"
    (tmp_path / "userdel").write_text("#!/bin/sh\necho games is used by process 7 >&2; exit 8\n")
    with pytest.raises(NvidiaDockerError, match=r"^'userdel games' failed: games is used by"):
        service.remove_user()


def test_a_free_port_is_free() -> None:
    """And is left free; a connection that still closes there does not count."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            client.recv(1)
    service.check_address(f"127.0.0.1:{port}", None)
    socket.create_server(("127.0.0.1", port)).close()


def test_an_address_of_another_machine_is_refused() -> None:
    """With the kernel's reason."""
    with pytest.raises(service.AddressError, match="Cannot assign requested address"):
        service.check_address("192.0.2.1:3476", None)


@pytest.mark.parametrize(
    "address",
    ["3476", "localhost", "127.0.0.1:", ":0", ":65536", "example.org:80", "::1:80", "1:2\n"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    """With an example."""
    with pytest.raises(service.AddressError, match=r"127\.0\.0\.1:3476"):
        service.check_address(address, None)
