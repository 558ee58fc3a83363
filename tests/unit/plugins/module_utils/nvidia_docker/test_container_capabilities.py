# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""container_capabilities.py"""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_capabilities import (  # noqa: E501
    read,
    words,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)

ALL = "compat32,compute,display,graphics,ngx,utility,video"
READ = [
    (None, None, "compute,utility", ""),
    (None, "", "compute,utility", ""),
    (None, "graphics, video", "graphics,video", ""),
    (None, "all", ALL, ""),
    (None, "utility,magic", "utility", ""),
    (None, "magic", "compute,utility", ""),
    (("graphics", "compute"), "all", "compute,graphics", "compute,graphics"),
    (("all",), None, ALL, ""),
    (("all", "compute"), None, ALL, ""),
]


@pytest.mark.parametrize(("given", "variable", "wanted", "demanded"), READ)
def test_what_a_container_is_to_be_able_to_do(
    given: tuple[str, ...] | None, variable: str | None, wanted: str, demanded: str
) -> None:
    """``all`` is all that there is, so nothing of it is demanded."""
    environment = {} if variable is None else {"NVIDIA_DRIVER_CAPABILITIES": variable}
    found = read(given, environment)
    assert ",".join(found.words) == wanted
    assert ",".join(words(found.demanded)) == demanded


@pytest.mark.parametrize(
    ("given", "sentence"),
    [(("compute", "Graphics"), "'Graphics' is no driver capability"), ((), "an empty list")],
)
def test_what_is_none_is_one_sentence(given: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=f"capabilities: {sentence}.*compute, utility, video"):
        read(given, {})
