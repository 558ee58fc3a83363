# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""libcuda: what it says about the devices of every machine file."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

ATTRIBUTES = {
    "cc_major": 75,
    "cc_minor": 76,
    "sm_count": 16,
    "shmem_sm": 81,
    "const_mem": 9,
    "l2": 38,
    "mem_clock_khz": 36,
    "bus_width": 37,
    "ecc": 32,
}
NO_DEVICE, INVALID_DEVICE, NOT_SUPPORTED = 100, 101, 801


def test_devices(driver: Any, cuda: ctypes.CDLL, machine: dict[str, Any]) -> None:
    driver.show(machine)
    gpus = machine["gpus"]
    version, number, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    if not isinstance(machine["cuda"], int):
        code = int(machine["cuda"][4:])
        assert (cuda.cuDriverGetVersion(ctypes.byref(version)), cuda.cuInit(0)) == (code, code)
        return
    assert cuda.cuDriverGetVersion(ctypes.byref(version)) == 0
    assert version.value == machine["cuda"]
    assert cuda.cuInit(0) == (0 if gpus else NO_DEVICE)
    if not gpus:
        return
    assert cuda.cuDeviceGetCount(ctypes.byref(number)) == 0 and number.value == len(gpus)
    for ordinal, gpu in enumerate(gpus):
        device, text = ctypes.c_int(), ctypes.create_string_buffer(64)
        found = cuda.cuDeviceGetByPCIBusId(ctypes.byref(device), gpu["busid"].encode())
        assert found == gpu.get("cuda_err", 0)
        if found:
            assert cuda.cuDeviceGet(ctypes.byref(device), ordinal) == found
            continue
        told = {}
        for field, attribute in ATTRIBUTES.items():
            assert cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device) == 0
            told[field] = number.value
        assert cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device) == 0
        told["cuda_mem"] = size.value
        assert told == {field: gpu[field] for field in told}
        if gpu["name"]:
            assert cuda.cuDeviceGetName(text, len(text), device) == 0
            assert text.value.decode() == gpu["name"]
        assert cuda.cuDeviceGetPCIBusId(text, len(text), device) == 0
        assert text.value.decode() == gpu["busid"]
        uuid = gpu["uuid"]
        if uuid and not uuid.startswith("err:"):
            assert cuda.cuDeviceGetUuid_v2(text, device) == 0
            assert text.raw[:16].hex() == uuid[4:].replace("-", "")
    if not any("cuda_err" in gpu for gpu in gpus):
        for pair, access in machine["p2p"].items():
            one, other = map(int, pair.split("."))
            assert cuda.cuDeviceCanAccessPeer(ctypes.byref(number), other, one) == 0
            assert number.value == access
    assert cuda.cuDeviceGet(ctypes.byref(number), len(gpus)) == INVALID_DEVICE


def test_property_that_is_not_told(driver: Any, cuda: ctypes.CDLL, read: Any) -> None:
    machine = read("zoo5")
    machine["gpus"][0]["l2"] = None
    driver.show(machine)
    number = ctypes.c_int()
    assert cuda.cuInit(0) == 0
    assert cuda.cuDeviceGetAttribute(ctypes.byref(number), ATTRIBUTES["l2"], 0) == NOT_SUPPORTED


@pytest.mark.parametrize(("code", "text"), [(0, b"no error"), (101, b"invalid device ordinal")])
def test_error_texts(cuda: ctypes.CDLL, code: int, text: bytes) -> None:
    answer = ctypes.c_char_p()
    assert cuda.cuGetErrorString(code, ctypes.byref(answer)) == 0
    assert answer.value == text
