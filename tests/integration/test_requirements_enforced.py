# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""No container comes onto a host that can't run it, by any kind of injection; the old one stays.

The images come from a registry on the host, which writes down what it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from toolkit_hosts import ROOT, Host

pytestmark = pytest.mark.suites("toolkit")

OLD = "gpufleet/cuda:8.0"
"""On the hosts, and served by their driver."""
REGISTRY = "127.0.0.1:5000"
APP = f"{REGISTRY}/gpu/app"
KINDS = {
    "bookworm": ("driver_volume", "device_request", "runtime"),
    "trixie": ("driver_volume", "cdi", "device_request", "runtime"),
}
CELLS = [(suite, kind) for suite, kinds in KINDS.items() for kind in kinds]
FOLDER = "/root/registry"

SERVE = f"""
set -e
docker ps --all --quiet --filter name=^demands- | xargs -r docker rm --force
docker image ls --quiet '{APP}' | xargs -r docker image rm --force
rm -rf {FOLDER}
systemd-run --quiet --collect --unit=registry python3 /root/registry.py serve {FOLDER} 5000
put() {{ # TAG LINE...: an image with these lines after FROM
  tag=$1; shift
  {{ echo FROM {OLD}; printf '%s\\n' "$@"; }} | docker build --quiet --tag demands:$tag - >/dev/null
  docker save demands:$tag | python3 /root/registry.py add {FOLDER} gpu/app $tag
  docker image rm demands:$tag >/dev/null
}}
put fits 'LABEL fits=1'
put newer 'LABEL com.nvidia.cuda.version=99.0'
put demands 'ENV NVIDIA_REQUIRE_DRIVER="driver>=999"'
put moving 'LABEL moved=no'
until curl --silent --fail {REGISTRY}/v2/ >/dev/null; do sleep 0.1; done
"""
MOVE = f"""
printf 'FROM {OLD}\\nLABEL com.nvidia.cuda.version=99.0\\n' |
  docker build --quiet --tag demands:moved -
docker save demands:moved | python3 /root/registry.py add {FOLDER} gpu/app moving
docker image rm demands:moved
"""
PULLS = f"grep --count '^HEAD .*/manifests/' {FOLDER}/asked || true"
"""How often images were pulled."""


def identity(name: str) -> str:
    what = "{{.Id}} {{.State.StartedAt}} {{.Config.Image}}"
    # The braces of this are Docker's, not Ansible's.
    return f"{{% raw %}}docker inspect --format '{what}' {name}{{% endraw %}}"


def tasks_of(suite: str) -> list[dict[str, Any]]:
    """One play: what is asked of the module, with what there is on the host before and after."""
    tasks: list[dict[str, Any]] = []

    def look(register: str, line: str) -> None:
        tasks.append({"ansible.builtin.shell": line, "register": register})

    def module(register: str, name: str, check: bool = False, **options: Any) -> None:
        given = {
            "name": f"demands-{name}",
            "gpus": [0],
            "stop_timeout": 0,
            "command": "sleep infinity",
        }
        task = {"gpufleet.nvidia.nvidia_container": {**given, **options}, "register": register}
        tasks.append({**task, "check_mode": True} if check else task)

    # For each kind: an image that is here, one that is not; in check mode, for real.
    for kind in KINDS[suite]:
        module(f"{kind}_made", kind, injection=kind, image=OLD)
    for kind in KINDS[suite]:
        look(f"{kind}_before", identity(f"demands-{kind}"))
    look("pulls_at_first", PULLS)
    for kind in KINDS[suite]:
        module(f"{kind}_absent_checked", kind, check=True, injection=kind, image=f"{APP}:newer")
    look("pulls_of_checks", PULLS)
    for kind in KINDS[suite]:
        module(f"{kind}_refused", kind, injection=kind, image=f"{APP}:newer")
    look("pulls_of_kinds", PULLS)
    for kind in KINDS[suite]:
        module(f"{kind}_refused_checked", kind, check=True, injection=kind, image=f"{APP}:newer")
        look(f"{kind}_after", identity(f"demands-{kind}"))
    # A tag that moves.
    module("moving_made", "moving", image=f"{APP}:moving", pull="always")
    module("moving_again", "moving", image=f"{APP}:moving", pull="always")
    look("moving_before", identity("demands-moving"))
    look("moved", MOVE)
    look("pulls_before_check", PULLS)
    module("moving_checked", "moving", check=True, image=f"{APP}:moving", pull="always")
    look("pulls_after_check", PULLS)
    module("moving_missing", "moving", image=f"{APP}:moving", pull="missing")
    look("pulls_after_missing", PULLS)
    module("moving_refused", "moving", image=f"{APP}:moving", pull="always")
    look("pulls_after_always", PULLS)
    module("moving_refused_again", "moving", image=f"{APP}:moving", pull="missing")
    look("moving_after", identity("demands-moving"))
    # Policies.
    module("never", "policy", image=f"{APP}:fits", pull="never")
    look("pulls_before_missing", PULLS)
    module("missing", "policy", image=f"{APP}:fits")
    look("pulls_after_fits", PULLS)
    module("warn", "policy", image=f"{APP}:newer", requirements="warn")
    module("ignore", "policy", image=f"{APP}:newer", requirements="ignore")
    module("driver", "policy", image=f"{APP}:demands")
    module("disabled", "policy", image=f"{APP}:demands", env={"NVIDIA_DISABLE_REQUIRE": "1"})
    module("own", "policy", image=f"{APP}:fits", env={"NVIDIA_REQUIRE_MINE": "driver>=999"})
    return tasks


def play(host: Host) -> dict[str, Any]:
    host.run("systemctl stop registry 2>/dev/null || true")
    host.put("/root/registry.py", (ROOT / "tests" / "hosts" / "registry.py").read_text())
    host.run(SERVE)
    return host.play("requirements", tasks_of(host.suite))


@pytest.fixture(scope="module")
def results(hosts: tuple[Host, ...]) -> Iterator[dict[str, dict[str, Any]]]:
    """Of each host, what its tasks have returned."""
    with ThreadPoolExecutor() as pool:
        found = dict(zip(KINDS, pool.map(play, hosts)))
    yield found
    for host in hosts:
        host.run("systemctl stop registry || true")
        host.run("docker ps --all --quiet --filter name=^demands- | xargs -r docker rm --force")
        host.run(f"docker image ls --quiet '{APP}' | sort -u | xargs -r docker image rm --force")


@pytest.fixture(params=KINDS)
def of(request: pytest.FixtureRequest, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return results[request.param]


UNSUPPORTED = "unsupported CUDA version"


@pytest.mark.parametrize(("suite", "kind"), CELLS)
def test_every_kind_refuses_and_the_old_container_stays(
    suite: str, kind: str, results: dict[str, dict[str, Any]]
) -> None:
    of = results[suite]
    assert of[f"{kind}_made"]["changed"], of[f"{kind}_made"]
    refused, checked = of[f"{kind}_refused"], of[f"{kind}_refused_checked"]
    assert refused["failed"]
    assert refused["msg"].startswith(UNSUPPORTED)
    assert (checked["failed"], checked["msg"]) == (True, refused["msg"])
    assert of[f"{kind}_after"]["stdout"] == of[f"{kind}_before"]["stdout"] != ""


@pytest.mark.parametrize(("suite", "kind"), CELLS)
def test_check_mode_says_what_it_has_not_checked(
    suite: str, kind: str, results: dict[str, dict[str, Any]]
) -> None:
    checked = results[suite][f"{kind}_absent_checked"]
    assert not checked.get("failed"), checked["msg"]
    assert checked["changed"]
    assert checked["nvidia"]["plan"]["requirements"]["result"] == "not checked: image not present"


def pulls(of: dict[str, Any], *when: str) -> list[int]:
    counts = [int(of[f"pulls_{one}"]["stdout"]) for one in when]
    return [after - before for before, after in zip(counts, counts[1:])]


def test_check_mode_pulls_nothing(of: dict[str, Any]) -> None:
    assert pulls(of, "at_first", "of_checks") == [0]
    assert pulls(of, "before_check", "after_check") == [0]


def test_images_are_pulled_once_by_the_user_s_policy(of: dict[str, Any]) -> None:
    """What is refused was pulled by the first kind, and docker_container pulls nothing."""
    assert pulls(of, "of_checks", "of_kinds") == [1]
    assert pulls(of, "after_check", "after_missing", "after_always") == [0, 1]
    assert pulls(of, "before_missing", "after_fits") == [1]
    assert of["missing"]["changed"]
    assert f"image {APP}:fits is not on this host, and 'pull' is never" in of["never"]["msg"]


def test_a_tag_that_moves_to_what_can_t_run_leaves_the_container(of: dict[str, Any]) -> None:
    """It is refused each time, not only when it is pulled."""
    assert of["moving_made"]["changed"], of["moving_made"]
    assert not of["moving_again"]["changed"]
    assert not of["moving_checked"].get("failed")
    assert (of["moving_missing"]["changed"], of["moving_missing"].get("failed", False)) == (
        False,
        False,
    )
    for refused in (of["moving_refused"], of["moving_refused_again"]):
        assert refused["msg"].startswith(UNSUPPORTED)
    assert of["moving_after"]["stdout"] == of["moving_before"]["stdout"] != ""


def test_a_user_may_go_on(of: dict[str, Any]) -> None:
    """With one warning, or without a look."""
    warned, ignored = of["warn"], of["ignore"]
    assert not warned.get("failed"), warned["msg"]
    (warning,) = warned["warnings"]
    assert UNSUPPORTED in warning
    plan = warned["nvidia"]["plan"]["requirements"]
    assert plan["result"] == "unmet"
    assert [one["outcome"] for one in plan["conditions"]] == ["unmet"]
    assert ignored["nvidia"]["plan"]["requirements"] == {"result": "ignored", "conditions": []}
    assert not ignored.get("warnings")


def test_the_task_s_own_variables_count(of: dict[str, Any]) -> None:
    """As the container's do for NVIDIA's hook."""
    assert "driver>=999" in of["driver"]["msg"]
    assert not of["disabled"].get("failed"), of["disabled"]["msg"]
    assert "driver>=999" in of["own"]["msg"]
