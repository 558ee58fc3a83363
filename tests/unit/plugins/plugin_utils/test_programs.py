# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller ships."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import release
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.layout import (
    SHARED,
)
from ansible_collections.gpufleet.nvidia.plugins.plugin_utils import programs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package as `make vendor` leaves it, with what does not belong on a host."""
    contents = {
        "__init__.py": '__version__ = "1.2.3"\n',
        "cli/main.py": "pass\n",
        "cli/notes.md": "not for hosts\n",
        "cli/__pycache__/main.cpython-311.pyc": "not for hosts\n",
        "_vendor/__init__.py": "",
        "_vendor/pynvml.py": "pass\n",
        "_vendor/h11/__init__.py": "",
        "_vendor/prometheus_client/__init__.py": "",
        "_vendor/licenses/h11-0.16.0.txt": "The MIT License\n",
        "share/notes.md": "not for hosts\n",
        **{f"share/{name}": "" for name in SHARED},
    }
    for name, text in contents.items():
        path = tmp_path / "nvidia_docker" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "nvidia_docker"


def test_python_files_licences_and_shared_files_are_shipped(folder: Path) -> None:
    """And nothing else that lies in the folder."""
    assert sorted(programs.read_files(folder)) == [
        "nvidia_docker/GPL-3.0-or-later.txt",
        "nvidia_docker/__init__.py",
        "nvidia_docker/_vendor/__init__.py",
        "nvidia_docker/_vendor/h11/__init__.py",
        "nvidia_docker/_vendor/licenses/h11-0.16.0.txt",
        "nvidia_docker/_vendor/prometheus_client/__init__.py",
        "nvidia_docker/_vendor/pynvml.py",
        "nvidia_docker/cli/main.py",
        *sorted(f"nvidia_docker/share/{name}" for name in SHARED),
    ]


def test_every_shared_file_is_listed() -> None:
    """One that is not would stay on the controller."""
    share = programs.FOLDER / "share"
    files = {path.relative_to(share).as_posix() for path in share.rglob("*") if path.is_file()}
    assert files == set(SHARED)


def test_archive_depends_on_content_alone(folder: Path) -> None:
    """A fresh clone, with other dates and modes, makes the same bytes."""
    first = release.pack(programs.read_files(folder))
    for number, path in enumerate(sorted(folder.rglob("*.py"))):
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
        path.chmod(0o600)
    files = programs.read_files(folder)
    assert release.pack(dict(reversed(list(files.items())))) == first


@pytest.mark.parametrize("change", ["content", "name", "new file"])
def test_digest_follows_every_change(folder: Path, change: str) -> None:
    """One byte, a name, a file more: another release."""
    before = release.digest(programs.read_files(folder))
    main = folder / "cli/main.py"
    if change == "content":
        main.write_text("pass #\n")
    elif change == "name":
        main.rename(folder / "cli/mains.py")
    else:
        (folder / "cli/other.py").write_text("")
    assert release.digest(programs.read_files(folder)) != before


@pytest.mark.parametrize("missing", programs.VENDORED)
def test_missing_vendored_package_is_one_sentence_with_the_fix(folder: Path, missing: str) -> None:
    """A checkout without `make vendor` would ship programs that do not start."""
    (folder / "_vendor" / missing).unlink()
    with pytest.raises(release.ProgramsError, match=f"^{missing} is missing in .*'make vendor'"):
        programs.read_files(folder)
