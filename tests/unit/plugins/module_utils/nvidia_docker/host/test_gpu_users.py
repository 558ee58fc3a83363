# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers, leases and processes as uses of GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.allocation import (
    PROCESS,
    Use,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import gpu_users
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.engine import (
    ListedContainer,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.gpu_users import (
    GpuUsers,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.leases import Lease
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    ComputeProcess,
)

ID = "ab" * 32


def container(name: str, status: str = "running", identifier: str = ID, **labels: str):
    made = {"injection": "0123", **labels} if labels else {}
    named = {f"io.gpufleet.nvidia.{key}": value for key, value in made.items()}
    return ListedContainer(identifier, name, status, named)


def users(leases=(), containers=(), processes=None) -> GpuUsers:
    return GpuUsers(tuple(leases), tuple(containers), processes or {})


CONTAINERS = [
    (
        container("a", gpus="GPU-a,MIG-b", sharing="exclusive"),
        [
            ("GPU-a", "used by container a", "exclusive"),
            ("MIG-b", "used by container a", "exclusive"),
        ],
    ),
    (
        container("b", status="exited", gpus="GPU-a", sharing="shared"),
        [("GPU-a", "used by container b (exited)", "shared")],
    ),
    (container("c", gpus="GPU-a"), [("GPU-a", "used by container c", "named")]),
    (container("d", gpus=""), []),
    (container("e"), []),
]


@pytest.mark.parametrize(("one", "found"), CONTAINERS, ids=lambda value: getattr(value, "name", ""))
def test_a_managed_container_uses_its_gpus_whether_it_runs_or_not(one, found) -> None:
    assert users(containers=[one]).uses() == tuple(Use(*each, one.name) for each in found)


def test_containers_of_others_are_not_managed() -> None:
    mine, other = container("a", gpus=""), container("b")
    assert users(containers=[mine, other]).managed == (mine,)


def test_a_lease_is_an_exclusive_use() -> None:
    found = users(leases=[Lease("a", ("GPU-a",), 42)]).uses()
    assert found == (Use("GPU-a", "leased to container a for 42 s more", "exclusive", "a"),)


PROCESSES = [
    (ComputeProcess(7, "python3", 1), "used by process 7 (python3)"),
    (ComputeProcess(7, None, None), "used by process 7"),
    (ComputeProcess(7, "a\nb\x1b[m", None), "used by process 7 (a?b?[m)"),
    (ComputeProcess(7, "x" * 100, None), f"used by process 7 ({'x' * 60})"),
]


@pytest.mark.parametrize(("process", "told"), PROCESSES)
def test_a_process_is_told_on_one_line(monkeypatch, tmp_path, process, told) -> None:
    monkeypatch.setattr(gpu_users, "_PROC", tmp_path)
    found = users(processes={"GPU-a": (process,)}).uses()
    assert found == (Use("GPU-a", told, PROCESS, None),)


GROUPS = [
    f"0::/system.slice/docker-{ID}.scope\n",
    f"0::/docker/{ID}\n",
    f"12:devices:/docker/{ID}\n11:cpu:/docker/{ID}\n0::/docker/{ID}/init.scope\n",
    f"0::/../docker-{'cd' * 32}.scope/docker/{ID}\n",
]


@pytest.mark.parametrize("groups", GROUPS)
def test_a_process_in_a_container_is_the_containers(monkeypatch, tmp_path, groups) -> None:
    """Also in one that nvidia_container has not made, and in a host that is a container itself."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(groups)
    monkeypatch.setattr(gpu_users, "_PROC", tmp_path)
    processes: dict[str, tuple[ComputeProcess, ...]] = {"GPU-a": (ComputeProcess(7, "x", 1),)}
    known = [container("other", identifier="ef" * 32), container("job")]
    found = users(containers=known, processes=processes).uses()
    assert found == (Use("GPU-a", "used by container job", PROCESS, "job"),)


def test_a_process_of_no_container(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text("0::/user.slice/user-1000.slice\n")
    monkeypatch.setattr(gpu_users, "_PROC", tmp_path)
    assert users(containers=[container("job")]).container_of(7) is None
    assert users(containers=[container("job")]).container_of(8) is None


def test_a_gpu_that_does_not_tell_is_not_free() -> None:
    found = users(processes={"GPU-a": None, "GPU-b": ()}).uses()
    assert found == (Use("GPU-a", "does not tell its compute processes", PROCESS, None),)
