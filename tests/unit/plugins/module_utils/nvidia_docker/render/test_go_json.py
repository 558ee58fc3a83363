# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""go_json.py"""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render.go_json import (
    dumps,
)

WRITTEN = [
    ({"b": None, "a": [1, True]}, '{"b":null,"a":[1,true]}\n'),
    ('<a href="x">&amp;', '"\\u003ca href=\\"x\\"\\u003e\\u0026amp;"\n'),
    ("Ü\u2028\u2029", '"Ü\\u2028\\u2029"\n'),
    ("a\n\x01", '"a\\n\\u0001"\n'),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN)
def test_bytes_are_gos(value: object, text: str) -> None:
    assert dumps(value) == text
