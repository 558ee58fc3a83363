# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""host/gather.py and render/facts.py: the real pynvml on the simulated driver, well and sick.

REWRITE_GOLDEN=1 in the environment writes down the facts as they are now; look at every changed
line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.subsets import SUBSETS
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_facts

REPOSITORY = Path(__file__).resolve().parents[6]
MACHINES = REPOSITORY / "roles" / "simulated_gpu" / "files" / "machines"
GOLDEN = REPOSITORY / "tests" / "golden" / "facts"
NAMES = sorted(path.stem for path in MACHINES.glob("*.json"))
CONTAINER = "5d1c33dd7e9c0b1fca0a90e5a49ba3c5b2d1a0cbb8eb57e4c6f7f0ef3c2b1a09"

GATHER = """
import json, os, sys
from pathlib import Path
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import gather
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import facts
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.subsets import chosen
asked = json.load(sys.stdin)
told = []
for number, subsets in enumerate(asked["subsets"]):
    os.environ["SIMULATED_GPU_CALLS"] = f"{asked['calls']}.{number}"
    root = Path(asked["root"])
    told.append(facts.render(gather.gather(chosen(subsets), asked["patience_s"], root)))
print(json.dumps(told))
"""


class Gathering:
    """Gathers on a simulated machine; keeps which NVML functions were called."""

    def __init__(self, on_machine, kernel_of, machine_file, directory: Path) -> None:
        self._on_machine = on_machine
        self._kernel_of = kernel_of
        self._machine_file = machine_file
        self._calls = directory / "calls"
        self.root = directory / "root"

    def facts(
        self, machine: str | dict, *subsets: list[str], patience_s: float = 20
    ) -> list[dict[str, Any]]:
        """The facts of each of the lists of subsets."""
        shown = self._machine_file(machine) if isinstance(machine, str) else machine
        if not (self.root / "dev").exists():
            self._kernel_of(self.root, shown)
        asked = {
            "root": str(self.root),
            "calls": str(self._calls),
            "subsets": subsets,
            "patience_s": patience_s,
        }
        told: list[dict[str, Any]] = json.loads(
            self._on_machine(shown, GATHER, stdin=json.dumps(asked))
        )
        return told

    def calls(self, number: int = 0) -> Counter[str]:
        """The NVML functions that were called for one of the lists of subsets."""
        return Counter(Path(f"{self._calls}.{number}").read_text().split())


@pytest.fixture
def gathering(on_machine, kernel_of, machine_file, tmp_path) -> Gathering:
    return Gathering(on_machine, kernel_of, machine_file, tmp_path)


def documented(subset: str) -> tuple[set[str], set[str]]:
    """Keys of the host and of a GPU that the documentation says are returned with a subset."""
    root = yaml.safe_load(nvidia_facts.RETURN)["ansible_facts"]["contains"]["ansible_nvidia"]
    words = {"always", f"with subset C({subset})"}

    def keys(contains: dict[str, Any]) -> set[str]:
        return {name for name, spec in contains.items() if spec["returned"] in words}

    return keys(root["contains"]), keys(root["contains"]["devices"]["contains"])


def part(everything: dict[str, Any], subset: str) -> dict[str, Any]:
    """Of all facts, those that are documented for one subset."""
    host, gpu = documented(subset)
    facts = {name: value for name, value in everything.items() if name in host}
    facts["devices"] = [
        {name: value for name, value in device.items() if name in gpu}
        for device in everything["devices"]
    ]
    facts["gathered"] = [name for name in SUBSETS if name in ("min", subset)]
    return facts


@pytest.mark.parametrize("name", NAMES)
def test_golden(name, gathering: Gathering) -> None:
    """All facts are as agreed; a subset alone has exactly its part of them."""
    if name == "zoo5":
        group = gathering.root / "proc/4242/cgroup"
        group.parent.mkdir(parents=True)
        group.write_text(f"0::/system.slice/docker-{CONTAINER}.scope\n")
    all_facts, *each = gathering.facts(name, ["all"], *(["!all", subset] for subset in SUBSETS))
    golden = GOLDEN / f"{name}.json"
    if "REWRITE_GOLDEN" in os.environ:
        golden.write_text(json.dumps(all_facts, indent=1) + "\n")
    assert all_facts == json.loads(golden.read_text())
    assert dict(zip(SUBSETS, each)) == {subset: part(all_facts, subset) for subset in SUBSETS}


def check(value: Any, spec: dict[str, Any], path: str) -> None:
    """Raise where a value is not of the documented type, or has a key that is not documented."""
    if value is None:
        return
    types = {"int": int, "str": str, "bool": bool, "float": float, "list": list, "dict": dict}
    assert isinstance(value, types[spec["type"]]), path
    assert spec["type"] != "int" or not isinstance(value, bool), path
    for one in value if isinstance(value, list) and "contains" in spec else [value]:
        if "contains" in spec:
            assert set(one) <= set(spec["contains"]), path
            for name, inner in one.items():
                check(inner, spec["contains"][name], f"{path}.{name}")


def test_each_fact_is_documented_with_a_sample_of_its_type() -> None:
    """And each fact that is documented is told somewhere."""
    root = yaml.safe_load(nvidia_facts.RETURN)["ansible_facts"]["contains"]["ansible_nvidia"]
    told = set()

    def names(value: Any, path: str) -> None:
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                for name, more in inner.items():
                    told.add(f"{path}.{name}")
                    names(more, f"{path}.{name}")

    def wanted(spec: dict[str, Any], path: str) -> None:
        if "contains" not in spec:
            assert "sample" in spec, path
            check(spec["sample"], spec, path)
        for name, inner in spec.get("contains", {}).items():
            assert f"{path}.{name}" in told, f"{path}.{name} is documented but never told"
            wanted(inner, f"{path}.{name}")

    for golden in GOLDEN.glob("*.json"):
        facts = json.loads(golden.read_text())
        check(facts, root, golden.stem)
        names(facts, "")
    wanted(
        {
            "contains": {
                name: spec
                for name, spec in root["contains"].items()
                if name not in ("container_toolkit", "docker", "fabric_manager")
            }
        },
        "",
    )


COSTS = [
    # subset, calls per GPU beyond those of min, for a GPU without MIG
    ("min", 8),
    ("devices", 4),
    ("status", 20),
    ("health", 7),
]


def test_what_subsets_cost(gathering: Gathering, machine_file) -> None:
    """NVML calls per GPU, counted by the driver; 12 for the default subset."""
    gpus = len(machine_file("h100x8")["gpus"])
    gathering.facts("h100x8", *(["!all", subset] for subset, _cost in COSTS))
    counted = {}
    for number, (subset, _cost) in enumerate(COSTS):
        calls = gathering.calls(number)
        assert calls.pop("nvmlDeviceGetCount_v2") == 1
        of_gpus = sum(count for name, count in calls.items() if name.startswith("nvmlDevice"))
        counted[subset] = of_gpus / gpus
    told = {subset: cost - counted["min"] for subset, cost in counted.items() if subset != "min"}
    assert {"min": counted["min"], **told} == dict(COSTS)
    assert counted["devices"] <= 12


def test_what_mig_devices_cost(gathering: Gathering, machine_file) -> None:
    """Beyond what a GPU costs: a question for each place where there can be one, five for each."""
    machine = machine_file("a100_mig")
    gathering.facts(machine, ["min"])
    calls = gathering.calls()
    gpus, migs = len(machine["gpus"]), len(machine["gpus"][1]["migs"])
    places = calls.pop("nvmlDeviceGetMigDeviceHandleByIndex")
    assert places == 7
    of_gpus = sum(count for name, count in calls.items() if name.startswith("nvmlDevice"))
    assert of_gpus == 1 + 8 * gpus + 1 + 5 * migs


def test_costs_are_documented() -> None:
    """In the words of gather_subset."""
    words = " ".join(
        yaml.safe_load(nvidia_facts.DOCUMENTATION)["options"]["gather_subset"]["description"]
    )
    for subset, cost in COSTS:
        said = words.rpartition(f"V({subset}) is ")[2].split("V(")[0]
        assert f"{cost} NVML calls for each GPU" in said


def test_topology_asks_about_each_pair_once(gathering: Gathering, machine_file) -> None:
    gathering.facts("h100x8", ["!all", "topology"])
    calls = gathering.calls()
    assert calls["nvmlDeviceGetTopologyCommonAncestor"] == calls["nvmlDeviceGetP2PStatus"] == 28
    links = machine_file("h100x8")["gpus"][0]["nvlinks"]
    assert calls["nvmlDeviceGetNvLinkState"] == 8 * (links + 1)


def test_volatile_facts_are_not_in_the_default_subset(gathering: Gathering, machine_file) -> None:
    """A fact cache must not show a temperature of last week."""
    machine = machine_file("zoo5")
    before = gathering.facts(machine, ["devices"])
    for gpu in machine["gpus"]:
        for field in ("temp", "power_mw", "util_gpu", "mem_used", "sm_clock", "ecc_mem"):
            if isinstance(gpu[field], int):
                gpu[field] += 1
        gpu["procs"] = ""
    assert gathering.facts(machine, ["devices"]) == before


def many_gpus(machine_file) -> dict:
    """Twelve GPUs in two PCI domains, whose minor numbers run the other way."""
    machine = machine_file("single")
    machine.update(topo={}, p2p={}, numa={})
    machine["gpus"] = [
        {
            **machine["gpus"][0],
            "uuid": f"GPU-00000000-0000-0000-0000-0000000000{number:02}",
            "minor": 11 - number,
            "busid": f"{'0000' if number < 6 else '0001A2B3'}:{16 + number:02X}:00.0",
        }
        for number in range(12)
    ]
    return machine


def test_more_than_ten_gpus_in_several_domains(gathering: Gathering, machine_file) -> None:
    """Minor numbers are not indices; domains can have more than four digits."""
    (facts,) = gathering.facts(many_gpus(machine_file), ["devices"])
    assert [gpu["minor_number"] for gpu in facts["devices"]] == list(range(11, -1, -1))
    assert [gpu["node"] for gpu in facts["devices"]] == [f"/dev/nvidia{11 - n}" for n in range(12)]
    assert facts["devices"][0]["pci_bus_id"] == "0000:10:00.0"
    assert facts["devices"][11]["pci_bus_id"] == "1a2b3:1b:00.0"
    assert facts["devices"][11]["pcie_max_width"] == 16
    assert (facts["count"], facts["missing_nodes"], facts["unreadable"]) == (12, [], [])


def test_hundreds_of_processes(gathering: Gathering, machine_file) -> None:
    """By PID; the container is the host's word, not NVML's."""
    machine = machine_file("zoo5")
    pids = range(20000, 20400)
    machine["gpus"][0]["procs"] = ",".join(f"{pid}:1048576" for pid in reversed(pids))
    (facts,) = gathering.facts(machine, ["processes"])
    told = facts["devices"][0]["processes"]
    assert [one["pid"] for one in told] == list(pids)
    assert {one["memory_mib"] for one in told} == {1}


def test_mig_processes_say_which_mig_device(gathering: Gathering, machine_file) -> None:
    machine = machine_file("a100_mig")
    (facts,) = gathering.facts(machine, ["processes"])
    (told,) = facts["devices"][1]["processes"]
    assert (told["pid"], told["mig_uuid"]) == (31044, machine["gpus"][1]["migs"][1]["uuid"])
    assert facts["devices"][0]["processes"][0]["mig_uuid"] is None


def test_a_gpu_that_hangs_costs_itself(gathering: Gathering, machine_file) -> None:
    """The others are told, those behind it too."""
    machine = machine_file("h100x8")
    machine["gpus"][2]["hang"] = 1
    (facts,) = gathering.facts(machine, ["status", "health"], patience_s=3)
    assert [gpu["index"] for gpu in facts["devices"]] == [0, 1, 3, 4, 5, 6, 7]
    (hung,) = facts["unreadable"]
    assert (hung["index"], hung["pci_bus_id"]) == (2, machine["gpus"][2]["busid"].lower())
    assert "NVML has not answered for 3 s" in hung["reason"]
    assert facts["devices"][6]["status"]["temperature_celsius"] == machine["gpus"][7]["temp"]
    assert facts["findings"][0]["id"] == "gpu_unreadable"
    assert facts["reason"] is None


def test_after_two_gpus_that_hang_no_more_are_asked(gathering: Gathering, machine_file) -> None:
    """The time that facts take is bounded, however many GPUs are sick."""
    machine = machine_file("h100x8")
    for index in (1, 2, 3, 5):
        machine["gpus"][index]["hang"] = 1
    (facts,) = gathering.facts(machine, ["devices"], patience_s=0.7)
    assert [gpu["index"] for gpu in facts["devices"]] == [0]
    assert [one["index"] for one in facts["unreadable"]] == [1, 2, 3, 4, 5, 6, 7]
    assert "not asked" in facts["unreadable"][3]["reason"]
    assert facts["driver"]["version"] == machine["driver"]


def test_nvml_that_never_starts(gathering: Gathering, machine_file) -> None:
    """What the kernel says is there."""
    (facts,) = gathering.facts({**machine_file("zoo5"), "hang": 1}, ["all"], patience_s=0.5)
    assert facts["reason"].startswith("NVML has not answered for 0.5 s")
    assert (facts["count"], facts["devices"]) == (0, [])
    assert facts["driver"]["module_version"] == "375.26"
    assert facts["findings"][0]["id"] == "driver_unusable"


def test_topology_is_told_in_the_words_of_v1(gathering: Gathering) -> None:
    (facts,) = gathering.facts("zoo5", ["topology"])
    assert facts["devices"][0]["topology"]["peers"][0] == {
        "index": 1,
        "pci_bus_id": "0000:07:00.0",
        "link": 3,
        "link_name": "Host PCI bridge",
        "p2p": True,
    }


def test_a_driver_of_another_version_than_its_module(gathering: Gathering, machine_file) -> None:
    machine = {**machine_file("zoo5"), "module_version": "375.39"}
    (facts,) = gathering.facts(machine, ["health"])
    assert "different versions" in facts["reason"]
    assert facts["driver"]["module_version"] == "375.39"
    assert facts["driver"]["libraries_match"] is False
    assert [one["id"] for one in facts["findings"]] == ["driver_mismatch"]


def test_half_a_gpu(gathering: Gathering, machine_file) -> None:
    """A field that fails with whatever error costs itself."""
    machine = machine_file("h100x8")
    machine["gpus"][0].update(temp="err:999", serial="err:2", mem_used="err:10", procs="err:4")
    (facts,) = gathering.facts(machine, ["all"])
    assert facts["unreadable"][0]["index"] == 0  # without its memory it can't be identified
    machine["gpus"][0]["mem_used"] = 0
    (facts,) = gathering.facts(machine, ["all"])
    gpu = facts["devices"][0]
    assert (gpu["serial"], gpu["status"]["temperature_celsius"]) == (None, None)
    assert gpu["status"]["power_milliwatts"] == machine["gpus"][0]["power_mw"]
    assert gpu["processes"] == []


def test_a_gpu_that_fell_off_the_bus_is_not_well(gathering: Gathering, machine_file) -> None:
    """It still has a UUID; its silence must not read as health."""
    machine = machine_file("zoo5")
    machine["gpus"][1].update(temp="err:15", ecc_mem="err:15")
    (facts,) = gathering.facts(machine, ["health"])
    health = facts["devices"][1]["health"]
    assert health["state"] == "critical"
    assert health["errors"] == ["temperature: GPU is lost"]
    machine["gpus"][1]["lost"] = 1
    (facts,) = gathering.facts(machine, ["health"])
    assert [one["index"] for one in facts["unreadable"]] == [1]
    assert "GPU is lost" in facts["unreadable"][0]["reason"]


NEWER = (
    *("nvmlDeviceGetFieldValues", "nvmlDeviceGetNumGpuCores", "nvmlDeviceGetGpuFabricInfo"),
    *("nvmlDeviceGetP2PStatus", "nvmlDeviceGetComputeRunningProcesses_v3"),
    *("nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetNvLinkState"),
)


def test_a_driver_without_newer_functions_costs_their_fields_only(
    machine_file, kernel_of, tmp_path
) -> None:
    """Their names are edited out of its library."""
    machine = machine_file("hgx_sick")
    kernel_of(tmp_path / "root", machine)
    command = [sys.executable, str(MACHINES.parent / "simulated_gpu.py"), "build", "--no-nodes"]
    place = ["--machine", str(MACHINES / "hgx_sick.json"), "--prefix", str(tmp_path)]
    built = subprocess.run([*command, *place], check=True, capture_output=True, text=True)
    library = Path(built.stdout.strip())
    content = library.read_bytes()
    for name in NEWER:
        assert name.encode() + b"\0" in content
        content = content.replace(name.encode() + b"\0", name[:-1].encode() + b"?\0")
    library.write_bytes(content)
    asked = {"root": str(tmp_path / "root"), "subsets": [["all"]], "patience_s": 20}
    done = subprocess.run(
        [sys.executable, "-c", GATHER],
        check=True,
        input=json.dumps({**asked, "calls": str(tmp_path / "calls")}).encode(),
        capture_output=True,
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(tmp_path / "lib"),
            "PYTHONPATH": str(REPOSITORY / ".dev"),
        },
    )
    (facts,) = json.loads(done.stdout)
    golden = json.loads((GOLDEN / "hgx_sick.json").read_text())
    gpu, before = facts["devices"][3], golden["devices"][3]
    assert (facts["count"], facts["unreadable"]) == (8, [])
    unknown = {name for name in before if gpu[name] is None and before[name] is not None}
    assert unknown == {
        *("cuda_cores", "ecc_enabled", "ecc_pending", "power_limit_default_milliwatts"),
        *("power_limit_min_milliwatts", "power_limit_max_milliwatts"),
    }
    assert gpu["processes"] == before["processes"]
    assert gpu["topology"]["nvlink"] is None
    assert gpu["topology"]["peers"][0] == {**before["topology"]["peers"][0], "p2p": None}
    assert gpu["status"]["temperature_celsius"] == before["status"]["temperature_celsius"]
    assert (gpu["status"]["throttle_reasons"], gpu["health"]["fabric_state"]) == (None, None)
    assert gpu["health"]["errors"] == []


def test_mig_that_is_being_reconfigured(gathering: Gathering, machine_file) -> None:
    machine = machine_file("a100_mig")
    machine["gpus"][1]["migs"] = []
    machine["gpus"][0]["mig_mode_pending"] = 1
    (facts,) = gathering.facts(machine, ["health"])
    found = {(one["id"], one["gpu"]) for one in facts["findings"]}
    assert {("mig_mode_pending", "0000:07:00.0"), ("mig_without_devices", "0000:0f:00.0")} <= found
    assert facts["devices"][1]["health"]["state"] == "warning"
