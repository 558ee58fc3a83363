# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/zip_import.py: a file out of a zip, compiled once or not at all."""

from __future__ import annotations

import os
import py_compile
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import zip_import

NAME = "zipped_by_ansible.binding"
SOURCE = "import sys\nME = sys.modules[__name__]\nANSWER = 42\n"
OTHER = SOURCE.replace("42", "43")
HASH = py_compile.PycInvalidationMode.UNCHECKED_HASH


@pytest.fixture(name="zipped")
def _zipped(tmp_path: Path) -> Iterator[str]:
    """A folder in a zip, with the file."""
    with zipfile.ZipFile(tmp_path / "module.zip", "w") as archive:
        archive.writestr("zipped_by_ansible/__init__.py", "")
        archive.writestr("zipped_by_ansible/binding.py", SOURCE)
    yield f"{tmp_path}/module.zip/zipped_by_ansible"
    sys.modules.pop(NAME, None)


@pytest.fixture(name="installed")
def _installed(tmp_path: Path) -> Callable[..., Path]:
    """A function that installs the file; its byte code is what the programs' release has."""

    def install(compiled: str = SOURCE, mode: py_compile.PycInvalidationMode = HASH) -> Path:
        folder = tmp_path / "releases/1"
        folder.mkdir(parents=True)
        path = folder / "binding.py"
        path.write_text(compiled)
        py_compile.compile(str(path), dfile="/installed/binding.py", invalidation_mode=mode)
        (tmp_path / "current").symlink_to("releases/1")
        return tmp_path / "current/binding.py"

    return install


def byte_code(installed: Path) -> Path:
    return installed.parent / "__pycache__" / f"binding.{sys.implementation.cache_tag}.pyc"


def test_byte_code_of_the_same_text_is_used(zipped: str, installed, monkeypatch) -> None:
    path = installed()
    monkeypatch.setattr("builtins.compile", None)
    module = zip_import.load(NAME, zipped, path)
    assert (module.ANSWER, module.ME, module.__name__) == (42, module, NAME)
    assert zip_import.load(NAME, zipped, path) is module


def unsafe(path: Path) -> None:
    path.chmod(0o666)


def foreign(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(path, 65534, 65534)


def foreign_folder(path: Path) -> None:
    foreign(path.parent)


def open_folder(path: Path) -> None:
    path.parent.parent.chmod(0o777)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def of_another_python(path: Path) -> None:
    path.write_bytes(b"\0\0\r\n" + path.read_bytes()[4:])


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "change",
    [unsafe, foreign, foreign_folder, open_folder, cut, of_another_python, linked, gone],
    ids=lambda one: one.__name__,
)
def test_byte_code_that_cant_be_trusted_is_not_used(zipped: str, installed, change) -> None:
    """Byte code that says something else, though for the same text, shows which one was run."""
    path = installed()
    lie(byte_code(path))
    assert zip_import.load(NAME, zipped, path).ANSWER == 43
    del sys.modules[NAME]
    change(byte_code(path))
    before = sorted(path.parent.rglob("*"))
    assert zip_import.load(NAME, zipped, path).ANSWER == 42
    assert sorted(path.parent.rglob("*")) == before


def lie(compiled: Path) -> None:
    """Give byte code of OTHER the head of SOURCE's."""
    head = compiled.read_bytes()[:16]
    other = compiled.with_name("other.py")
    other.write_text(OTHER)
    py_compile.compile(str(other), cfile=str(compiled), invalidation_mode=HASH)
    other.unlink()
    compiled.write_bytes(head + compiled.read_bytes()[16:])


def test_byte_code_of_another_text_is_not_used(zipped: str, installed) -> None:
    assert zip_import.load(NAME, zipped, installed(OTHER)).ANSWER == 42


def test_byte_code_without_a_hash_of_its_text_is_not_used(zipped: str, installed) -> None:
    path = installed(mode=py_compile.PycInvalidationMode.TIMESTAMP)
    assert zip_import.load(NAME, zipped, path).ANSWER == 42


def test_without_installed_programs_it_is_compiled_once(zipped: str, monkeypatch) -> None:
    compiled: list[object] = []
    real = compile

    def counting(*arguments, **more):
        compiled.append(arguments)
        return real(*arguments, **more)

    monkeypatch.setattr("builtins.compile", counting)
    assert zip_import.load(NAME, zipped, Path("/nowhere/binding.py")).ANSWER == 42
    assert len(compiled) == 1


def test_a_zip_without_the_file_is_an_import_error(zipped: str) -> None:
    with pytest.raises(ImportError, match=r"absent\.py is not there"):
        zip_import.load("zipped_by_ansible.absent", zipped, Path("/nowhere/absent.py"))
