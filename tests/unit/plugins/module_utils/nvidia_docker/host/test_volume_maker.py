# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking for a driver volume over a socket, and what a volume maker answers."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverVolumeError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_volume,
    helper,
    volume_maker,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.volume_maker import (  # noqa: E501
    LocalVolumeMaker,
    RemoteVolumeMaker,
)

VERSION = "550.54.15"


def serve(path: Path, answer) -> threading.Thread:
    """Take one connection and answer its first line with ``answer(line)``."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def once() -> None:
        with listener, listener.accept()[0] as connection, connection.makefile("rb") as stream:
            connection.sendall(answer(stream.readline()))

    thread = threading.Thread(target=once)
    thread.start()
    return thread


@pytest.fixture
def maker(tmp_path: Path):
    """A maker that asks another one, which answers once with the given function."""
    threads = []

    def start(answer) -> RemoteVolumeMaker:
        threads.append(serve(tmp_path / "maker.sock", answer))
        return RemoteVolumeMaker(tmp_path / "maker.sock")

    yield start
    for thread in threads:
        thread.join(10)


def answerer(local: LocalVolumeMaker):
    """What the helper does with a line."""
    return lambda line: helper.answer(line, partial(volume_maker.act, local))


def test_a_volume_is_made_and_removed_over_a_socket(root, driver, tmp_path) -> None:
    """Warnings come back too."""
    driver.library("/opt/libnvidia-cfg.so.535.1")
    driver.ldconfig()
    local = LocalVolumeMaker(root, driver.root)
    for action, exists in (("make", True), ("remove", False)):
        thread = serve(tmp_path / action, answerer(local))
        told = getattr(RemoteVolumeMaker(tmp_path / action), action)(VERSION)
        thread.join(10)
        assert (root / "nvidia_driver" / VERSION).exists() is exists
        if exists:
            assert driver_volume.unfit(root, VERSION) == ()
            assert "left out files of driver 535.1" in told[0]


def test_copies_are_told_when_they_are_made(driver) -> None:
    """In the log of the plugin, once."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == driver.root.stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        local = LocalVolumeMaker(Path(folder), driver.root)
        (told,) = local.make(VERSION)
        assert told.endswith(f"nvidia_driver/{VERSION} by copy, not as hard links")
        assert local.make(VERSION) == ()


def test_the_reason_of_a_failure_comes_back(root, driver, maker) -> None:
    local = LocalVolumeMaker(root, driver.root)
    remote = maker(answerer(local))
    with pytest.raises(DriverVolumeError, match=r"no 64-bit libnvidia-ml\.so of driver 1\.2"):
        remote.make("1.2")


def test_no_volume_maker_is_one_sentence(tmp_path) -> None:
    with pytest.raises(DriverVolumeError, match=r"start nvidia-docker-volume-maker\.socket$"):
        RemoteVolumeMaker(tmp_path / "none").make(VERSION)


@pytest.mark.parametrize("reply", [b"", b"{}\n", b"[1]\n", b"null\n", b"x"])
def test_a_broken_answer_says_where_to_look(maker, reply) -> None:
    """As when the maker was killed."""
    with pytest.raises(DriverVolumeError, match="gave no answer: see journalctl"):
        maker(lambda line: reply).make(VERSION)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (b"", "one line of JSON"),
        (b"{\n", "one line of JSON"),
        (b"[]", "an object of JSON"),
        (b"\xff", "one line of JSON"),
        (b"[" * 1024, "one line of JSON"),
        (b'{"action": "make"}', "can't 'make' None"),
        (b'{"action": "list", "version": "1"}', "can't 'list' '1': make or remove"),
        (b'{"action": "make", "version": 1}', "can't 'make' 1: make or remove"),
        (b'{"action": ["make"], "version": "1"}', "make or remove"),
        (b'{"action": "make", "version": "../x"}', "invalid driver version '../x'"),
        (b'{"action": "remove", "version": ".."}', "invalid driver version '..'"),
        (b'{"action": "remove", "version": "1\\u0000"}', "invalid driver version"),
    ],
)
def test_hostile_requests_get_a_reason_and_do_nothing(root, driver, request_, says) -> None:
    answer = json.loads(answerer(LocalVolumeMaker(root, driver.root))(request_))
    assert says in answer["error"]
    assert not root.exists()
