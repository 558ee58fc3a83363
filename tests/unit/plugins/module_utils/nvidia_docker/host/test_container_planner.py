# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planned for which image, pull policy and container. The docker client is a script, the
GPUs are those of a host as a value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_changes import (  # noqa: E501
    Given,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_plan import (
    ContainerPlan,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_requirements import (  # noqa: E501
    Requirements,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DockerError,
    InjectionUnavailable,
    InvalidInput,
    UnmetRequirement,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    container_planner,
    injector,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.container_planner import (  # noqa: E501
    Asked,
    ContainerPlanner,
    Planned,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.engine import (
    Container,
    Engine,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import Host

PREFIX = "io.gpufleet.nvidia."
CLIENT = """#!/bin/sh
cd {state} || exit
shift 2
echo "$1 $2" >>calls
case "$1 $2" in
  "container inspect") kind=container ;;
  "image inspect") kind=image ;;
  info*)
    cat info
    exit
    ;;
  pull*)
    cp newest image
    exit
    ;;
esac
[ -e $kind ] || {{ echo "Error: No such $kind: x" >&2; exit 1; }}
case "$*" in
  *json*) cat $kind ;;
  *) cksum <$kind ;;
esac
"""


class Machine:
    """A host with a docker client: files named container, image and newest (in the registry)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, name: str, content: str) -> None:
        (self._directory / name).write_text(content)

    @property
    def calls(self) -> list[str]:
        return (self._directory / "calls").read_text().splitlines()

    @property
    def asked(self) -> bool:
        return (self._directory / "calls").exists()

    @property
    def pulled(self) -> bool:
        return self.asked and any(call.startswith("pull") for call in self.calls)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    state = tmp_path / "state"
    state.mkdir()
    program = tmp_path / "docker"
    program.write_text(CLIENT.format(state=state))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    host = Machine(state)
    host.has("newest", '{"Labels":{"com.nvidia.cuda.version":"99.0"}}')
    return host


DEMANDING = '{"Labels":{"com.nvidia.cuda.version":"99.0"}}'
OLD = Container("c", "sha256:ab", {PREFIX + "gpus": "GPU-a"}, 0)


def plan(container: Container | None = None, check_mode: bool = False, **more: Any) -> Planned:
    asked = replace(Asked("c", "i", gpus=["none"]), **more)
    return ContainerPlanner(Engine("unix:///x"), asked, check_mode).plan(container)


@pytest.fixture
def with_gpus(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The machine has these GPUs, and a volume driver."""
    monkeypatch.setattr(container_planner.discovery, "discover", lambda: host)
    monkeypatch.setattr(injector, "require_volume_driver", lambda name: None)
    return host


def test_without_gpus_no_driver_is_needed(machine: Machine) -> None:
    machine.has("image", DEMANDING)
    found = plan(gpus=[])
    assert found == plan(gpus=["none"]) == plan(gpus="none", injection="cdi")
    assert (found.plan, found.requirements) == (ContainerPlan(), Requirements("met"))
    assert (found.differences, found.warnings) == ((), ())


@pytest.mark.usefixtures("with_gpus")
def test_programs_in_the_container_find_the_driver_volume(machine: Machine) -> None:
    """Beside what the image has in its variables; without the volume there is nothing to find."""
    machine.has("image", '{"Env":["PATH=/opt/bin","LD_LIBRARY_PATH=/usr/local/nvidia/lib64"]}')
    assert plan().plan.injection.environment == ()
    completed = (("PATH", "/usr/local/nvidia/bin:/opt/bin"),)
    assert plan(gpus=["0"]).plan.injection.environment == completed
    # docker_container takes ours for the container's, before those of a file.
    in_file = {"env": {"PATH": "/bin"}, "in_file": frozenset(("PATH",))}
    assert plan(gpus=["0"], **in_file).plan.injection.environment == ()


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize("gpus", [["0"], ["none"]])
@pytest.mark.parametrize("where", ["env", "in_file"])
def test_a_variable_of_the_task_may_make_it_give_gpus_too(
    machine: Machine, gpus: list[str], where: str
) -> None:
    """The action refuses one in 'env'; ours goes before that of a file."""
    machine.has("image", "{}")
    machine.has("info", '{"Runtimes":{"nvidia":{}},"DefaultRuntime":"nvidia"}')
    name = "NVIDIA_VISIBLE_DEVICES"
    more: dict[str, Any] = {"in_file": frozenset((name,))} if where == "in_file" else {}
    found = plan(gpus=gpus, env={name: "all"}, **more)
    assert (name, "void") in found.plan.injection.environment


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize(
    ("kind", "told"), [("cdi", True), ("device_request", False), ("runtime", False)]
)
def test_a_specification_need_not_tell_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, kind: str, told: bool
) -> None:
    """NVIDIA's own programs are told which GPUs."""
    machine.has("image", '{"Env":["NVIDIA_VISIBLE_DEVICES=all"]}')
    machine.has("info", '{"Runtimes":{"nvidia":{}},"DefaultRuntime":"nvidia"}')
    monkeypatch.setattr(container_planner, "Injector", Kinds)
    monkeypatch.setattr(Kinds, "has", (kind,))
    void = ("NVIDIA_VISIBLE_DEVICES", "void")
    assert (void in plan(gpus=["0"], injection=kind).plan.injection.environment) is told


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize("gpus", [["0"], ["none"]])
@pytest.mark.parametrize(("default", "told"), [("nvidia", True), ("runc", False)])
def test_a_default_runtime_that_would_give_all_gpus_is_told_to_give_none(
    machine: Machine, gpus: list[str], default: str, told: bool
) -> None:
    machine.has("image", '{"Env":["NVIDIA_VISIBLE_DEVICES=all"]}')
    machine.has("info", f'{{"Runtimes":{{"nvidia":{{}}}},"DefaultRuntime":"{default}"}}')
    void = ("NVIDIA_VISIBLE_DEVICES", "void")
    assert (void in plan(gpus=gpus).plan.injection.environment) is told


SHARINGS = [
    (["0"], False, "named"),
    (["0"], True, "shared"),
    (["none"], True, "named"),
]


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize(("gpus", "shared", "expected"), SHARINGS)
def test_how_gpus_are_asked_for_says_how_they_are_shared(
    machine: Machine, gpus: list[str], shared: bool, expected: str
) -> None:
    machine.has("image", "{}")
    assert plan(gpus=gpus, shared=shared).plan.sharing == expected


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize(("gpus", "indices"), [(["0", "GPU-dd"], ("0",)), (["all"], ())])
def test_indices_are_remembered(machine: Machine, gpus: list[str], indices: tuple) -> None:
    machine.has("image", "{}")
    assert plan(gpus=gpus).plan.asked_indices == indices


def test_a_container_that_differs_is_recreated(machine: Machine) -> None:
    machine.has("image", "{}")
    found = plan(OLD)
    assert (found.recreate, found.restart) == (True, False)
    assert found.differences == ("not made by nvidia_container",)


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize("gpus", [["none"], ["0"]])
def test_a_container_that_does_not_differ_is_kept(machine: Machine, gpus: list[str]) -> None:
    machine.has("image", "{}")
    old = replace(OLD, labels=plan(gpus=gpus).labels)
    found = plan(old, gpus=gpus, image=None)
    assert (found.recreate, found.restart, found.differences) == (False, False, ())
    assert not machine.pulled


@pytest.mark.usefixtures("with_gpus")
def test_what_a_container_is_given_tells_in_what_it_differs(machine: Machine) -> None:
    machine.has("image", '{"Env":["PATH=/bin"]}')
    labels = {**plan(gpus=["0"]).labels, PREFIX + "injection": "0"}
    nodes = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia7")
    variables = {
        "PATH": "/usr/local/nvidia/bin:/bin",
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
    }
    given = Given(nodes, {"/usr/local/nvidia": "nvidia_driver"}, variables)
    found = plan(replace(OLD, labels=labels, given=given), gpus=["0"])
    assert found.differences == ("GPU-836c is /dev/nvidia2 now, was /dev/nvidia7",)
    assert found.recreate


@pytest.mark.usefixtures("with_gpus")
def test_in_check_mode_nothing_is_known_of_an_absent_image(machine: Machine) -> None:
    labels = {PREFIX + "gpus": "GPU-836c", PREFIX + "injection": "0"}
    given = Given(environment={"PATH": "/bin"})
    found = plan(replace(OLD, labels=labels, given=given), True, gpus=["0"])
    assert found.differences == ("device nodes, mounts or environment changed",)


@pytest.mark.usefixtures("with_gpus")
def test_a_container_of_before_there_were_indices_is_kept(machine: Machine) -> None:
    """With its labels, as docker_container takes another one for a difference."""
    machine.has("image", "{}")
    labels = {key: value for key, value in plan(gpus=["0"]).labels.items() if "indices" not in key}
    found = plan(replace(OLD, labels=labels), gpus=["0"])
    assert (found.recreate, found.labels) == (False, labels)


OUTDATED = [
    (7, "370.1", ("driver 370.1 -> 375.26",), True),
    (7, "375.26", (), False),
    (7, None, (), False),
    (0, "370.1", (), False),
]


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize(("pid", "mounted", "differences", "restart"), OUTDATED)
def test_a_container_that_runs_on_an_older_drivers_files_is_restarted(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    pid: int,
    mounted: str | None,
    differences: tuple[str, ...],
    restart: bool,
) -> None:
    """One that does not run gets the right files when it starts."""
    machine.has("image", "{}")
    monkeypatch.setattr(container_planner.volume_users, "mounted_version", lambda pid: mounted)
    old = replace(OLD, labels=plan(gpus=["0"]).labels, pid=pid)
    found = plan(old, gpus=["0"])
    assert (found.differences, found.restart, found.recreate) == (differences, restart, False)


@pytest.mark.usefixtures("with_gpus")
def test_a_container_that_is_recreated_is_told_of_its_old_driver_too(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has("image", "{}")
    monkeypatch.setattr(container_planner.volume_users, "mounted_version", lambda pid: "370.1")
    old = replace(OLD, labels=plan(gpus=["0"]).labels, pid=7)
    found = plan(old, gpus=["0", "1"])
    assert found.differences == ("GPU-b78a-1 added", "driver 370.1 -> 375.26")
    assert (found.restart, found.recreate) == (False, True)


@pytest.mark.usefixtures("machine")
def test_no_container_and_no_image_is_one_sentence() -> None:
    with pytest.raises(InvalidInput, match="no container 'c' yet: give its 'image'"):
        plan(image=None)


PULLS = [
    ("missing", True, False, False),
    ("missing", False, True, True),
    ("always", False, True, True),
    ("never", True, False, False),
]


@pytest.mark.parametrize(("policy", "present", "pulled", "changed"), PULLS)
def test_pull(machine: Machine, policy: str, present: bool, pulled: bool, changed: bool) -> None:
    if present:
        machine.has("image", "{}")
    found = plan(pull=policy)
    assert (machine.pulled, found.pulled) == (pulled, changed)


@pytest.mark.parametrize(("newest", "changed"), [("{}", False), ('{"Env":["A=b"]}', True)])
def test_always_pulled_is_a_change_only_if_the_image_is_another(
    machine: Machine, newest: str, changed: bool
) -> None:
    machine.has("image", "{}")
    machine.has("newest", newest)
    assert plan(pull="always").pulled is changed
    assert machine.pulled


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize("gpus", [["none"], ["0"]])
@pytest.mark.parametrize("policy", ["missing", "always"])
def test_check_mode_pulls_nothing_and_says_what_it_did_not_check(
    machine: Machine, policy: str, gpus: list[str]
) -> None:
    found = plan(check_mode=True, pull=policy, gpus=gpus)
    assert not machine.pulled
    assert found.requirements == Requirements("not checked: image not present")


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.usefixtures("machine")
def test_never_pulled_and_absent_is_one_sentence(check_mode: bool) -> None:
    with pytest.raises(DockerError, match=r"image i is not on this host, and 'pull' is never"):
        plan(check_mode=check_mode, pull="never")


@pytest.mark.usefixtures("with_gpus")
def test_what_was_pulled_is_what_is_checked(machine: Machine) -> None:
    """Not the image that was there before."""
    machine.has("image", "{}")
    machine.has("newest", DEMANDING)
    with pytest.raises(UnmetRequirement, match=r"unsupported CUDA version: driver 8.0 < image 99"):
        plan(gpus=["0"], pull="always")
    assert plan(gpus=["0"], pull="always", requirements="ignore").requirements.result == "ignored"


@pytest.mark.usefixtures("with_gpus")
def test_variables_of_the_task_count_as_the_images(machine: Machine) -> None:
    machine.has("image", '{"Env":["NVIDIA_REQUIRE_CUDA=cuda>=99.0"]}')
    with pytest.raises(UnmetRequirement, match=r"cuda>=99.0 is not met"):
        plan(gpus=["0"])
    skipped = plan(gpus=["0"], env={"NVIDIA_DISABLE_REQUIRE": "1"}).requirements
    assert skipped.conditions == (("cuda>=99.0", "skipped"),)
    assert plan(gpus=["0"], env={"NVIDIA_REQUIRE_CUDA": "cuda>=7"}).requirements.result == "met"
    with pytest.raises(UnmetRequirement, match=r"driver>=400"):
        plan(gpus=["0"], env={"NVIDIA_REQUIRE_CUDA": "", "NVIDIA_REQUIRE_DRIVER": "driver>=400"})


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize(
    ("env", "expected"),
    [({}, "graphics"), ({"NVIDIA_DRIVER_CAPABILITIES": "video"}, "video")],
)
def test_capabilities_are_the_tasks_else_the_images(
    machine: Machine, env: dict, expected: str
) -> None:
    machine.has("image", '{"Env":["NVIDIA_DRIVER_CAPABILITIES=graphics"]}')
    found = plan(gpus=["0"], env=env).plan.capabilities
    assert [one.value for one in found] == [expected]


CONTRADICTIONS = [
    ({"capabilities": ("magic",)}, "'magic' is no driver capability"),
    ({"capabilities": ("all",), "env": {"NVIDIA_DRIVER_CAPABILITIES": "all"}}, "say the same"),
]


@pytest.mark.parametrize(("options", "sentence"), CONTRADICTIONS)
def test_what_can_be_told_at_once_is_told_first(
    machine: Machine, options: dict, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        plan(**options)
    assert not machine.asked


class Kinds:
    """An injector of a host that has some kinds."""

    has: tuple[str, ...] = ()

    def __init__(self, host: Host, engine: Engine, check: bool) -> None:
        self.check = check

    def plan(self, kind: str, devices: tuple, wanted: object) -> ContainerPlan:
        if kind not in self.has:
            raise InjectionUnavailable(f"no {kind}")
        return ContainerPlan(kind=kind, devices=devices)

    def best(self, devices: tuple, wanted: object) -> ContainerPlan:
        return ContainerPlan(kind=self.has[0], devices=devices)


@pytest.mark.usefixtures("with_gpus")
def test_auto_keeps_what_the_container_has(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that is down for a moment is no reason to recreate containers."""
    machine.has("image", "{}")
    monkeypatch.setattr(container_planner, "Injector", Kinds)
    monkeypatch.setattr(Kinds, "has", ("cdi", "runtime"))
    new = plan(gpus=["0"], injection="auto")
    assert new.plan.kind == "cdi"
    old = replace(OLD, labels=new.labels)
    monkeypatch.setattr(Kinds, "has", ("driver_volume", "cdi"))
    assert plan(old, gpus=["0"], injection="auto").plan.kind == "cdi"
    monkeypatch.setattr(Kinds, "has", ("driver_volume",))
    with pytest.raises(InjectionUnavailable, match="auto keeps what container c has: no cdi"):
        plan(old, gpus=["0"], injection="auto")
    without = replace(OLD, labels=plan().labels)
    assert plan(without, gpus=["0"], injection="auto").plan.kind == "driver_volume"
