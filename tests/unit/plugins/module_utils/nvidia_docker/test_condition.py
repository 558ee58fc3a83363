# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""condition.py: what holds, what does not, and what is no condition."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.condition import (
    Condition,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    Driver,
    Host,
)
from hypothesis import given
from hypothesis import strategies as st

DRIVER = Driver("535.54.03", "12.2", None, None)


@pytest.fixture
def gpu(host: Host):
    """A tesla of compute capability 6.0."""
    return host.devices[0]


HOLDS = [
    ("cuda>=12.2", True),
    ("cuda>=12.3", False),
    ("cuda>12.2", False),
    ("cuda>12.1.9", True),
    ("cuda<=12.2.0", True),
    ("cuda<12.2.1", True),
    ("cuda<12.2", False),
    ("cuda=12.2", True),
    ("cuda=12.2.0.0", True),
    ("cuda=12", False),
    ("cuda!=12.2", False),
    ("cuda!=12", True),
    ("cuda!12.2", False),
    ("cuda!12", True),
    ("cuda>=9.2", True),
    ("cuda>=012.02", True),
    ("cuda>=12.", True),
    ("cuda>12..3", True),
    ("CUDA>=12.2", True),
    ("cUdA>=12.3", False),
    ("driver>=535.54.3", True),
    ("driver>=535.54.04", False),
    ("driver>=470,driver<471", False),
    ("driver>=535,driver<536", True),
    ("arch>=6.0", True),
    ("arch>=6.1", False),
    ("arch=6", True),
    ("brand=tesla", True),
    ("brand=TESLA", True),
    ("Brand=geforce", False),
    ("brand!=geforce", True),
    ("brand!tesla", False),
    ("cuda>=99 driver>=535", True),
    ("cuda>=99 driver>=535,arch>=9", False),
    ("  cuda>=99   cuda>=12 ", True),
    (",,cuda>=12,,driver>=535,", True),
    (",,cuda>=12,,driver>=536,", False),
    ("cuda>=99 ,", False),
    ("", True),
    ("   ", True),
    (",", True),
    ("cuda>=12 colour=red", True),
    ("cuda>=12 cuda", True),
    ("cuda>=99,colour=red cuda>=12", True),
]


@pytest.mark.parametrize(("text", "holds"), HOLDS)
def test_holds(gpu, text, holds) -> None:
    """As libnvidia-container reads it."""
    assert Condition(text).holds(DRIVER, gpu) is holds


NONE = [
    "cuda",
    "cuda>=",
    "cuda>=x",
    "cuda>=12.x",
    "cuda>=-1",
    "cuda>=.",
    "cuda==12.2",
    "cuda=>12",
    "cuda<>12",
    "cuda!!12",
    "cuda>>12",
    "cuda >=12",
    "cuda>=\t12",
    "cuda>=12\n",
    "cuda>=\uff11\uff12",
    ">=12",
    "12>=cuda",
    "colour=red",
    "cudaa>=12",
    "brand>=tesla",
    "brand<tesla",
    "brand==tesla",
    "brand=",
    "brand",
    "cuda>=99 driver>=x",
    "cuda>=12,arch==6 cuda>=12",
]


@pytest.mark.parametrize("text", NONE)
def test_what_cant_be_read_is_refused(gpu, text) -> None:
    """If it is come to, and always when it is told what is unmet."""
    with pytest.raises(InvalidInput):
        Condition(text).holds(DRIVER, gpu)
    with pytest.raises(InvalidInput):
        Condition(text).terms()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cuda==12", "requirement 'cuda==12' is not understood: cuda, driver, arch or brand, then"),
        ("cuda>=\x1b[31m", r"requirement 'cuda>=\x1b[31m': '\x1b[31m' is no version"),
        ("brand<tesla", "requirement 'brand<tesla': brands can be compared by = and != only"),
    ],
)
def test_the_sentence_names_it(text, sentence) -> None:
    """Nothing of an image reaches a terminal as it is."""
    with pytest.raises(InvalidInput) as caught:
        Condition(text).terms()
    assert str(caught.value).startswith(sentence)


UNKNOWN = [
    ("arch>=9", True),
    ("arch<1", True),
    ("brand=geforce", True),
    ("brand!=tesla", True),
    ("cuda>=1", False),
    ("cuda!=1", False),
    ("driver<999", False),
]


@pytest.mark.parametrize(("text", "holds"), UNKNOWN)
def test_what_is_not_known(gpu, text, holds) -> None:
    """No GPU, or one that does not tell: not held against it. No driver: it serves nothing."""
    silent = dataclasses.replace(gpu, compute_capability=None, brand=None)
    for one in (None, silent):
        assert Condition(text).holds(Driver(None, None, None, None), one) is holds


WORDS = st.sampled_from(
    [*("cuda", "driver", "arch", "brand", "Cuda", "x"), *("=", "!=", "!", "<", "<=", ">", ">=")]
    + [*("==", ",", " ", ".", "12", "0", "tesla", "-1", "\x00", "\n", "\u0661", "\u2028")]
)


@given(st.lists(WORDS, max_size=30).map("".join) | st.text())
def test_any_text_is_answered(text) -> None:
    """True, False or InvalidInput; if all terms can be read, one of them decides."""
    driver = Driver("535.54.03", "12.2", None, None)
    try:
        holds = Condition(text).holds(driver, None)
        terms = Condition(text).terms()
    except InvalidInput:
        return
    each = [all(factor.holds(driver, None) for factor in term) for term in terms]
    assert holds is (any(each) or not terms)


@pytest.mark.parametrize(
    "text",
    [
        "cuda>=" + "9" * 1_000_000,
        "cuda>=" + "." * 1_000_000 + "1",
        "cuda>=" + "0." * 500_000 + "1",
        "cuda" * 250_000,
        "a" * 1_000_000,
        "=" * 1_000_000,
        "brand=" + "x" * 1_000_000,
        "," * 1_000_000 + "cuda>=99",
        "cuda>=99 " * 100_000,
        " " * 1_000_000 + "cuda>=99",
    ],
    ids=lambda text: f"{text[:4]}...{text[-4:]}",
)
def test_a_long_one_is_read_once(gpu, text) -> None:
    """Reading a part of it again for each character would take minutes."""
    try:
        assert isinstance(Condition(text).holds(DRIVER, gpu), bool)
    except InvalidInput as error:
        assert len(str(error)) < 400
