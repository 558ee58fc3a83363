# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/env_file.py"""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import env_file


def test_variables_are_read(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# A=comment\n\nA=b\n  B=c=d  \nE=\nno variable\n")
    assert env_file.read(str(file)) == {"A": "b", "B": "c=d", "E": ""}


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"env_file: can't read {tmp_path}/x: No such file"):
        env_file.read(f"{tmp_path}/x")
