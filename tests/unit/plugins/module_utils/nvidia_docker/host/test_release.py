# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Archive and folder of a release."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import release

FILES = {
    "nvidia_docker/__init__.py": b'__version__ = "1.2.3"\n',
    "nvidia_docker/cli/__init__.py": b"",
    "nvidia_docker/_vendor/licenses/x-1.0.txt": b"a licence\n",
}
DIGEST = release.digest(FILES)
PYTHON = sys.executable
FORMATS = {"lease": 1}


def write_archive(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    """Any zip, not only what `pack` would make."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete release."""
    path = tmp_path / DIGEST
    path.mkdir()
    release.write(path, FILES, PYTHON, path, FORMATS)
    return path


def test_what_is_packed_comes_out(tmp_path: Path) -> None:
    """The archive of a release is read back whole."""
    archive = tmp_path / "archive"
    archive.write_bytes(release.pack(FILES))
    assert release.unpack(archive, DIGEST) == FILES


HOSTILE = [
    "/etc/passwd",
    "../x.py",
    "nvidia_docker",
    "nvidia_docker/",
    "nvidia_docker/../../x.py",
    "nvidia_docker/./x.py",
    "nvidia_docker//x.py",
    "nvidia_docker/.hidden",
    "nvidia_docker/a\\b.py",
    "nvidia_docker/a b.py",
    "nvidia_docker/a\n.py",
    "other/x.py",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(tmp_path: Path, name: str) -> None:
    """Even if the digest is right."""
    files = {**FILES, name: b""}
    archive = write_archive(tmp_path / "archive", list(files.items()))
    with pytest.raises(release.ProgramsError, match="bad name in the archive"):
        release.unpack(archive, release.digest(files))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    """Readers disagree on which one counts."""
    entries = [*FILES.items(), ("nvidia_docker/__init__.py", b"evil")]
    with pytest.raises(release.ProgramsError, match="bad name"):
        release.unpack(write_archive(tmp_path / "archive", entries), DIGEST)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """Before it is in memory."""
    bomb = ("nvidia_docker/bomb.py", b"\0" * (release.MAX_SIZE + 1))
    with pytest.raises(release.ProgramsError, match=f"over {release.MAX_SIZE} bytes"):
        release.unpack(write_archive(tmp_path / "archive", [bomb]), DIGEST)


@pytest.mark.parametrize("damage", ["other", "truncated", "flipped", "empty", "missing"])
def test_a_damaged_archive_is_one_sentence(tmp_path: Path, damage: str) -> None:
    """Whatever happened to it on its way."""
    archive = tmp_path / "archive"
    whole = release.pack(
        {**FILES, "nvidia_docker/x.py": os.urandom(500)} if damage == "other" else FILES
    )
    if damage == "truncated":
        whole = whole[: len(whole) // 2]
    elif damage == "flipped":
        whole = whole[:60] + bytes([whole[60] ^ 0xFF]) + whole[61:]
    elif damage == "empty":
        whole = b""
    if damage != "missing":
        archive.write_bytes(whole)
    with pytest.raises(release.ProgramsError, match=r"^the archive of the programs"):
        release.unpack(archive, DIGEST)


def test_a_written_release_is_complete(folder: Path) -> None:
    """It has a compiled file for each source, and nobody but its owner can write."""
    assert release.problem(folder, DIGEST, PYTHON) is None
    assert release.read(folder) == release.Release(DIGEST, "1.2.3", PYTHON, FORMATS)
    tag = sys.implementation.cache_tag
    assert (folder / f"nvidia_docker/cli/__pycache__/__init__.{tag}.pyc").is_file()
    assert {oct(path.stat().st_mode & 0o777) for path in folder.rglob("*")} == {"0o755", "0o644"}


def test_a_strict_umask_changes_nothing(tmp_path: Path) -> None:
    """Users who are not root must be able to run nvidia-docker."""
    before = os.umask(0o077)
    try:
        release.write(tmp_path, FILES, PYTHON, tmp_path, FORMATS)
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*")} == {"0o755", "0o644"}


def _edit(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"#\n")


INIT = "nvidia_docker/__init__.py"
PYC = f"nvidia_docker/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"
DAMAGE = {
    "edited source": lambda f: _edit(f / INIT),
    "missing source": lambda f: (f / INIT).unlink(),
    "additional source": lambda f: (f / "nvidia_docker/re.py").write_text("evil"),
    "additional top-level source": lambda f: (f / "sitecustomize.py").write_text("evil"),
    "edited compiled file": lambda f: _edit(f / PYC),
    "missing compiled file": lambda f: (f / PYC).unlink(),
    "missing manifest": lambda f: (f / release.MANIFEST).unlink(),
    "half a manifest": lambda f: (f / release.MANIFEST).write_text('{"format": 1'),
    "another manifest": lambda f: (f / release.MANIFEST).write_text("[]"),
    "writable file": lambda f: (f / INIT).chmod(0o666),
    "writable folder": lambda f: (f / "nvidia_docker").chmod(0o777),
    "link": lambda f: ((f / INIT).unlink(), (f / INIT).symlink_to("/etc/hostname")),
    "undecodable name": lambda f: open(bytes(f) + b"/\xff.py", "wb").close(),
    "folder gone": lambda f: f.rename(f.with_name("elsewhere")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed(folder: Path, damage: str) -> None:
    """What is there is verified, not trusted."""
    DAMAGE[damage](folder)
    assert release.problem(folder, DIGEST, PYTHON) is not None


def test_another_python_is_noticed(folder: Path) -> None:
    """Compiled files of another interpreter would be ignored, and each start be slow."""
    assert release.problem(folder, DIGEST, "/usr/bin/other") is not None


def test_compiled_files_of_other_pythons_are_no_damage(folder: Path) -> None:
    """Root may run the programs with another Python, which then leaves its own."""
    (folder / "nvidia_docker/__pycache__/__init__.cpython-36.pyc").write_bytes(b"x")
    assert release.problem(folder, DIGEST, PYTHON) is None
