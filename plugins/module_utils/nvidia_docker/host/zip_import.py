# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A quick import of a large file out of the zip in which Ansible sends a module.

Python compiles what lies in a zip in each process, and twice: to find the module, and to run it.
Here it is compiled once, or not at all where the installed programs have its byte code.
"""

from __future__ import annotations

import importlib.util
import marshal
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import CodeType, ModuleType
from zipimport import zipimporter

_HEAD = 16
_BY_HASH = 1
"""Of the flags in the second word of the head: a hash of the source is in the last two."""


def load(name: str, folder: str, installed: Path) -> ModuleType:
    """Return the module ``name``, a file in ``folder``, which is a path into a zip.

    ``installed`` is where the programs have that file. Its byte code is used if it was made from
    the same text by the same Python, and only root or this user could have written it; nothing is
    written. Raises ImportError if the zip has no such file.
    """
    if name in sys.modules:
        return sys.modules[name]
    path = os.path.join(folder, f"{name.rpartition('.')[2]}.py")
    try:
        source = zipimporter(folder).get_data(path)
    except OSError as error:
        raise ImportError(f"{path} is not there", name=name, path=path) from error
    code = _byte_code(installed, source) or compile(source, path, "exec", dont_inherit=True)
    module = ModuleType(name)
    module.__file__ = path
    # A module may look itself up there while it is imported.
    sys.modules[name] = module
    exec(code, module.__dict__)
    return module


def _byte_code(installed: Path, source: bytes) -> CodeType | None:
    with suppress(OSError, ValueError, EOFError, TypeError):
        path = Path(importlib.util.cache_from_source(str(installed.resolve())))
        if _is_safe(path):
            data = path.read_bytes()
            head = importlib.util.MAGIC_NUMBER, importlib.util.source_hash(source)
            if (data[:4], data[8:_HEAD]) == head and data[4] & _BY_HASH:
                code = marshal.loads(data[_HEAD:])
                return code if isinstance(code, CodeType) else None
    return None


def _is_safe(path: Path) -> bool:
    """Whether only root and this user can write a file or put another one in its place."""
    for one in (path, *path.parents):
        found = one.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid not in (0, os.geteuid()):
            return False
        # In a sticky directory others can't replace what is not theirs.
        if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
            return False
    return True
