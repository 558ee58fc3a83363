# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cache that only its user can have written; what can't be kept is no error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.owned_cache import (  # noqa: E501
    OwnedCache,
)


def cache(folder: Path) -> OwnedCache:
    made = OwnedCache.below({"HOME": str(folder)})
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"HOME": "H"}, "H/.cache"),
        ({"HOME": "H", "XDG_CACHE_HOME": "H/x/y"}, "H/x/y"),
        ({"HOME": "H", "XDG_CACHE_HOME": "relative"}, "H/.cache"),
        ({"HOME": "H", "XDG_CACHE_HOME": ""}, "H/.cache"),
        ({"XDG_CACHE_HOME": "H/x"}, "H/x"),
    ],
)
def test_where(tmp_path: Path, environ: dict[str, str], place: str) -> None:
    """XDG_CACHE_HOME counts if it is absolute; folders are made."""
    home = str(tmp_path)
    made = OwnedCache.below({key: text.replace("H", home) for key, text in environ.items()})
    assert made is not None
    made.write("tool", "file", "text")
    assert Path(place.replace("H", home), "tool", "file").read_text() == "text"
    assert made.read("tool", "file", 4) == "text"
    assert made.read("tool", "file", 3) == ""


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_nowhere(environ: dict[str, str]) -> None:
    """A daemon may have no home."""
    assert OwnedCache.below(environ) is None


def test_replaced_whole(tmp_path: Path) -> None:
    """A reader sees the old text or the new one; nothing is left beside."""
    made = cache(tmp_path)
    made.write("tool", "file", "old")
    path = tmp_path / ".cache/tool/file"
    with path.open() as before:
        made.write("tool", "file", "new")
        assert (before.read(), path.read_text()) == ("old", "new")
    assert os.listdir(path.parent) == ["file"]


def others_file(path: Path) -> None:
    path.chmod(0o666)


def others_folder(path: Path) -> None:
    path.parent.chmod(0o777)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def linked_folder(path: Path) -> None:
    path.parent.rename(path.parents[1] / "elsewhere")
    path.parent.symlink_to("elsewhere")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def no_folder(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("in the way")


@pytest.mark.parametrize(
    "change", [others_file, others_folder, link, linked_folder, fifo, folder, no_folder]
)
def test_not_trusted(tmp_path: Path, change) -> None:
    """Nothing is read that somebody else could have put there; to write raises nothing."""
    made = cache(tmp_path)
    made.write("tool", "file", "text")
    change(tmp_path / ".cache/tool/file")
    assert made.read("tool", "file", 100) == ""
    made.write("tool", "file", "text")
    left = [name for _top, _folders, names in os.walk(tmp_path) for name in names]
    assert not [name for name in left if name.startswith(".")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users(tmp_path: Path) -> None:
    """As under sudo with the caller's HOME: no file of root's in a user's home."""
    made = cache(tmp_path)
    made.write("tool", "file", "text")
    path = tmp_path / ".cache/tool/file"
    os.chown(path, 12345, 12345)
    assert made.read("tool", "file", 100) == ""
    os.chown(path.parent, 12345, 12345)
    os.chown(path, 0, 0)
    assert made.read("tool", "file", 100) == ""
    os.chown(tmp_path / ".cache", 12345, 12345)
    assert OwnedCache.below({"HOME": str(tmp_path)}) is None
    os.chown(tmp_path, 12345, 12345)
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "not" / "there")}
    assert OwnedCache.below(environ) is None
