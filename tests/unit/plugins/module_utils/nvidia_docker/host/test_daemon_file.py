# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""daemon.json on the disk: replaced whole, attributes kept, links followed."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DaemonJsonError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import daemon_file


def test_a_new_file_is_readable_by_all(tmp_path: Path) -> None:
    file = tmp_path / "docker" / "daemon.json"
    old_mask = os.umask(0o077)
    try:
        with daemon_file.locked(file):
            daemon_file.replace(file, "{}\n", None)
    finally:
        os.umask(old_mask)
    assert file.read_text() == "{}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_mode_owner_and_attributes_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("{}")
    file.chmod(0o640)
    if os.getuid() == 0:
        os.chown(file, 1234, 4321)
    try:
        os.setxattr(file, "user.label", b"kept")
        labelled = True
    except OSError:
        labelled = False
    before = file.stat()
    daemon_file.replace(file, '{"a": 1}', b"{}")
    after = file.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert os.listxattr(file) == (["user.label"] if labelled else [])
    assert [entry.name for entry in tmp_path.iterdir()] == ["daemon.json"]


@pytest.mark.parametrize("there", [True, False], ids=["link", "dangling link"])
def test_a_link_is_followed_and_stays(tmp_path: Path, there: bool) -> None:
    real, link = tmp_path / "real.json", tmp_path / "daemon.json"
    if there:
        real.write_text("{}")
    link.symlink_to("real.json")
    file = daemon_file.target(str(link))
    daemon_file.replace(file, '{"a": 1}', daemon_file.read(file))
    assert link.is_symlink()
    assert real.read_text() == '{"a": 1}'


def test_what_can_t_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.mkdir()
    (file / "inside").write_text("x")
    with pytest.raises(DaemonJsonError, match=r"daemon.json is not a regular file: move it away"):
        daemon_file.replace(file, "{}", None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["daemon.json"]
    assert (file / "inside").read_text() == "x"


@pytest.mark.parametrize("now", [None, b'{"b": 2}'], ids=["removed", "changed"])
@pytest.mark.parametrize("text", [None, "{}"], ids=["to be removed", "to be replaced"])
def test_a_file_that_somebody_else_changed_is_left(
    tmp_path: Path, now: bytes | None, text: str | None
) -> None:
    file = tmp_path / "daemon.json"
    if now is not None:
        file.write_bytes(now)
    with pytest.raises(DaemonJsonError, match=r"daemon.json was changed by another program"):
        daemon_file.replace(file, text, b'{"a": 1}')
    assert daemon_file.read(file) == now
    assert [entry.name for entry in tmp_path.iterdir()] == (["daemon.json"] if now else [])


def test_a_file_can_be_removed(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_bytes(b"{}")
    daemon_file.replace(file, None, b"{}")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_no_obstacle_and_not_followed(tmp_path: Path) -> None:
    file, victim = tmp_path / "daemon.json", tmp_path / "victim"
    victim.write_text("precious")
    daemon_file.beside(file).symlink_to(victim)
    daemon_file.replace(file, "{}", None)
    assert victim.read_text() == "precious"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["daemon.json", "victim"]


def test_read(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    assert daemon_file.read(file) is None
    file.write_bytes(b"\xff")
    assert daemon_file.read(file) == b"\xff"
    with pytest.raises(DaemonJsonError, match="is not a regular file"):
        daemon_file.read(tmp_path)
    with pytest.raises(DaemonJsonError, match="can't be read: Not a directory"):
        daemon_file.read(file / "x")


def test_a_directory_that_can_t_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("a file")
    with (
        pytest.raises(DaemonJsonError, match=r"docker can't be used: .+"),
        daemon_file.locked(tmp_path / "docker" / "daemon.json"),
    ):
        pass


def test_two_writers_take_turns(tmp_path: Path) -> None:
    """Each adds its letter to what it has read: none is lost."""
    file = tmp_path / "daemon.json"

    def add(letter: str) -> None:
        with daemon_file.locked(file):
            old = daemon_file.read(file)
            daemon_file.replace(file, (old or b"").decode() + letter, old)

    writers = [threading.Thread(target=add, args=(letter,)) for letter in "abcdefghij"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(file.read_text()) == list("abcdefghij")
