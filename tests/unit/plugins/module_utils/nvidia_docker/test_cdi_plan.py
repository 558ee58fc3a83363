# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cdi_plan.py and driver_mounts.py"""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cdi_plan import (
    Surroundings,
    limited,
    plan_devices,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_files import (
    ALL_CAPABILITIES,
    DriverCapability,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.driver_mounts import (
    VolumeFile,
    few_mounts,
    library_links,
    link_directories,
    links_name,
    mounts,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverUnavailable,
    MissingDeviceNode,
    UnknownDevice,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    FileMount,
    Injection,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    DeviceNode,
    UnreadableDevice,
)

CONTROL = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
MODESET = "/dev/nvidia-modeset"
DRM = {"0000:04:00.0": ("/dev/dri/card1", "/dev/dri/renderD128")}
MIG_NODES = {
    "MIG-aa": ("/dev/nvidia3", "/dev/nvidia-caps/nvidia-cap01", "/dev/nvidia-caps/nvidia-cap02"),
    "MIG-ab": ("/dev/nvidia3", "/dev/nvidia-caps/nvidia-cap11", "/dev/nvidia-caps/nvidia-cap12"),
}
FILES = (FileMount("/volume/lib64/libcuda.so.1", "/usr/lib64/libcuda.so.1"),)


def node(path: str, mode: int = 0o666, gid: int = 0) -> DeviceNode:
    return DeviceNode(path, 195, 7, mode, 0, gid)


@pytest.fixture
def around(host) -> Surroundings:
    paths = [*CONTROL, MODESET, *(d.node for d in host.devices)]
    paths += [path for nodes in MIG_NODES.values() for path in nodes]
    nodes = [node(path) for path in dict.fromkeys(paths)]
    nodes += [node(DRM["0000:04:00.0"][0], 0o660, 44), node(DRM["0000:04:00.0"][1], 0o660, 105)]
    return Surroundings("375.26", tuple(nodes), DRM, FILES)


def planned(host, around, identifiers=("all",), capabilities=ALL_CAPABILITIES):
    return plan_devices(host, identifiers, "nvidia.com/gpu", capabilities, around)


def test_devices_are_called_by_index_uuid_and_place(host, around) -> None:
    """In NVML order, ``all`` last; a GPU with MIG devices stands for all of them."""
    plan = planned(host, around)
    given = {name: injection.device_nodes for name, injection in plan.devices}
    drm = DRM["0000:04:00.0"]
    whole = (*MIG_NODES["MIG-aa"], *MIG_NODES["MIG-ab"][1:])
    assert list(given.items()) == [
        ("0", ("/dev/nvidia2", *drm)),
        ("GPU-836c", ("/dev/nvidia2", *drm)),
        ("1", ("/dev/nvidia0",)),
        ("GPU-b78a-1", ("/dev/nvidia0",)),
        ("2", ("/dev/nvidia1",)),
        ("GPU-b78a-2", ("/dev/nvidia1",)),
        ("3:0", MIG_NODES["MIG-aa"]),
        ("MIG-aa", MIG_NODES["MIG-aa"]),
        ("3:1", MIG_NODES["MIG-ab"]),
        ("MIG-ab", MIG_NODES["MIG-ab"]),
        ("3", whole),
        ("GPU-dd", whole),
        ("all", ("/dev/nvidia2", *drm, "/dev/nvidia0", "/dev/nvidia1", *whole)),
    ]
    assert plan.common.device_nodes == (*CONTROL, MODESET)
    assert plan.common.files == FILES
    assert plan.common.environment == (
        ("NVIDIA_VISIBLE_DEVICES", "void"),
        ("GPUFLEET_DRIVER_VERSION", "375.26"),
    )
    assert {one.path for one in plan.nodes} == {*CONTROL, MODESET, *given["all"]}
    assert plan.left_out == ()


SELECTED = [
    (["1"], ["1", "GPU-b78a-1", "all"]),
    (["0000:07:00.0", "1"], ["1", "GPU-b78a-1", "all"]),
    (["MIG-ab"], ["3:1", "MIG-ab", "all"]),
    (["3:0", "3:1"], ["3:0", "MIG-aa", "3:1", "MIG-ab", "3", "GPU-dd", "all"]),
]


@pytest.mark.parametrize(("identifiers", "names"), SELECTED)
def test_only_what_is_selected_is_there(host, around, identifiers, names) -> None:
    """``all`` is all of it; a GPU of which one MIG device is missing is no device."""
    plan = planned(host, around, identifiers)
    assert [name for name, _injection in plan.devices] == names


GRAPHICS, DISPLAY = DriverCapability.GRAPHICS, DriverCapability.DISPLAY
OF_CAPABILITIES = [
    ({DriverCapability.COMPUTE, DriverCapability.UTILITY}, False, False),
    ({DriverCapability.VIDEO}, False, False),
    ({GRAPHICS}, True, False),
    ({DISPLAY}, True, True),
]


@pytest.mark.parametrize(("capabilities", "drm", "modeset"), OF_CAPABILITIES)
def test_capabilities_decide_on_nodes(host, around, capabilities, drm, modeset) -> None:
    """DRM nodes are for drawing, nvidia-modeset is for showing it."""
    plan = planned(host, around, ["0"], capabilities)
    assert (len(plan.devices[0][1].device_nodes) == 3) is drm
    assert (MODESET in plan.common.device_nodes) is modeset
    assert plan.groups == ((44, 105) if drm else ())
    assert plan.devices[0][1].groups == plan.groups


def test_a_mig_device_draws_only_with_a_graphics_profile(host, around) -> None:
    """``1g.5gb+gfx``; others have no graphics engine."""
    drm = {"0000:af:00.0": DRM["0000:04:00.0"]}
    around = dataclasses.replace(around, drm_nodes=drm)
    device = host.devices[3]
    migs = (dataclasses.replace(device.mig_devices[0], profile="1g.5gb+gfx"), device.mig_devices[1])
    gpus = (*host.devices[:3], dataclasses.replace(device, mig_devices=migs))
    devices = dict(planned(dataclasses.replace(host, devices=gpus), around).devices)
    assert devices["3:0"].device_nodes == (*MIG_NODES["MIG-aa"], *DRM["0000:04:00.0"])
    assert devices["3:1"].device_nodes == MIG_NODES["MIG-ab"]


GROUPS = [
    (0o660, 44, 44),
    (0o666, 44, None),
    (0o640, 44, 44),
    (0o644, 44, None),
    (0o600, 44, None),
    (0o660, 0, None),
    (0o664, 44, 44),
]


@pytest.mark.parametrize(("mode", "gid", "group"), GROUPS)
def test_a_group_is_needed_where_it_may_more_than_all(mode, gid, group) -> None:
    """Root's group is no help to a user."""
    assert node("/dev/x", mode, gid).needed_group == group


def without(host, around, *paths):
    """The host and its surroundings without these nodes."""
    nodes = tuple(one for one in around.nodes if one.path not in paths)
    control = tuple(path for path in host.control_nodes if path not in paths)
    return (
        dataclasses.replace(host, missing_nodes=paths, control_nodes=control),
        dataclasses.replace(around, nodes=nodes),
    )


def test_a_gpu_without_node_is_left_out_and_named(host, around) -> None:
    """The others are there; nothing is silent."""
    plan = planned(*without(host, around, "/dev/nvidia0"))
    names = [name for name, _injection in plan.devices]
    assert "1" not in names
    assert {"0", "2", "3", "all"} <= set(names)
    assert "/dev/nvidia0" not in plan.devices[-1][1].device_nodes
    (left_out,) = plan.left_out
    assert str(left_out).startswith("GPU 1 (GPU-b78a-1) is left out: missing device node /dev/nvid")


def test_a_mig_device_without_capability_node_is_left_out(host, around) -> None:
    """Then its GPU as a whole is no device either."""
    plan = planned(*without(host, around, "/dev/nvidia-caps/nvidia-cap12"))
    names = [name for name, _injection in plan.devices]
    assert {"3:1", "MIG-ab", "3", "GPU-dd"}.isdisjoint(names)
    assert "3:0" in names
    assert [one.device for one in plan.left_out] == ["MIG device 3:1 (MIG-ab)"]


def test_a_drm_node_that_is_not_there_is_left_out(host, around) -> None:
    """nvidia-ctk writes it down, and no container starts."""
    plan = planned(*without(host, around, "/dev/dri/renderD128"))
    assert dict(plan.devices)["0"].device_nodes == ("/dev/nvidia2", "/dev/dri/card1")
    assert plan.groups == (44,)
    assert [str(one).partition(":")[0] for one in plan.left_out] == [
        "DRM node /dev/dri/renderD128 is left out"
    ]


def test_a_gpu_in_mig_mode_without_mig_device_is_left_out(host, around) -> None:
    """Its node alone lets a container compute nothing."""
    gpus = (dataclasses.replace(host.devices[0], mig_enabled=True), *host.devices[1:])
    plan = planned(dataclasses.replace(host, devices=gpus), around)
    assert "0" not in dict(plan.devices)
    assert "/dev/nvidia2" not in plan.devices[-1][1].device_nodes
    assert "GPU 0 (GPU-836c) is left out: it is in MIG mode" in str(plan.left_out[0])


def test_a_gpu_that_nvml_can_not_read_is_left_out(host, around) -> None:
    lost = UnreadableDevice(4, "0000:b0:00.0", "GPU is lost")
    plan = planned(dataclasses.replace(host, unreadable=(lost,)), around)
    assert [str(one) for one in plan.left_out] == ["GPU 0000:b0:00.0 is left out: GPU is lost"]


@pytest.mark.parametrize("path", CONTROL[:2])
def test_without_a_control_node_there_is_no_plan(host, around, path) -> None:
    """nvidia-ctk writes a specification without nvidia-uvm; CUDA fails then."""
    with pytest.raises(MissingDeviceNode, match=path):
        planned(*without(host, around, path))


def test_a_node_that_goes_away_meanwhile_is_missing(host, around) -> None:
    """NVML's look at the machine is older than ours."""
    nodes = tuple(one for one in around.nodes if one.path != "/dev/nvidia1")
    with pytest.raises(MissingDeviceNode, match="/dev/nvidia1"):
        planned(host, dataclasses.replace(around, nodes=nodes))


def test_without_any_gpu_the_reasons_are_told(host, around) -> None:
    """Never an empty specification."""
    with pytest.raises(DriverUnavailable, match=r"GPU 0 .* is left out: missing device node"):
        planned(*without(host, around, *(device.node for device in host.devices)))
    none = dataclasses.replace(host, devices=(), reason="the kernel module is not loaded")
    with pytest.raises(DriverUnavailable, match="the kernel module is not loaded"):
        planned(none, around)
    with pytest.raises(DriverUnavailable, match="none was asked for"):
        planned(host, around, ["none"])
    with pytest.raises(UnknownDevice):
        planned(host, around, ["9"])


def test_nodes_of_a_group_need_it_wherever_they_are(host, around) -> None:
    """Drivers can be told to make their nodes for a group."""
    nodes = tuple(
        dataclasses.replace(one, mode=0o660, gid=gid)
        for one in around.nodes
        for gid in (50 if one.path in CONTROL else 60,)
    )
    plan = planned(host, dataclasses.replace(around, nodes=nodes), ["1"])
    assert (plan.common.groups, dict(plan.devices)["1"].groups) == ((50, 60), (60,))
    assert plan.groups == (50, 60)
    less, dropped = limited(plan, "0.6.0")
    assert less.common.groups == dict(less.devices)["1"].groups == ()
    assert "groups 50, 60" in dropped[0]


@pytest.mark.parametrize("uuid", ["GPU x", "GPU-b78a-1", "../GPU", "GPU-é"])
def test_a_name_that_can_not_be_given_spoils_no_other(host, around, uuid) -> None:
    """The GPU has its other name."""
    gpus = (host.devices[0], host.devices[1], dataclasses.replace(host.devices[2], uuid=uuid))
    plan = planned(dataclasses.replace(host, devices=gpus), around)
    names = [name for name, _injection in plan.devices]
    assert names[:4] == ["0", "GPU-836c", "1", "GPU-b78a-1"]
    assert names[-2:] == ["2", "all"]
    (left_out,) = plan.left_out
    assert str(left_out).startswith(f"the name {uuid!r} is left out: ")


def test_a_low_version_drops_names_and_groups_and_says_so(host, around) -> None:
    """CDI 0.3.0 has neither names like 0 nor groups."""
    plan = planned(host, around, ["0", "3"])
    same, nothing = limited(plan, "0.7.0")
    assert (same, nothing) == (plan, ())
    middle, dropped = limited(plan, "0.6.0")
    assert [name for name, _one in middle.devices] == [name for name, _one in plan.devices]
    assert {group for _name, one in middle.devices for group in one.groups} == set()
    assert middle.groups == (44, 105)
    assert len(dropped) == 1
    assert "groups 44, 105, which need CDI 0.7.0" in dropped[0]
    lowest, dropped = limited(plan, "0.4.0")
    assert [name for name, _one in lowest.devices] == [
        "GPU-836c",
        "MIG-aa",
        "MIG-ab",
        "GPU-dd",
        "all",
    ]
    assert "the devices 0, 3:0, 3:1, 3, as names" in dropped[0]


LIBRARY = VolumeFile("lib64/libcuda.so.550.1", "libcuda", ("libcuda.so.1", "libcuda.so"))
TWIN = VolumeFile("lib/libcuda.so.550.1", "libcuda", ("libcuda.so.1",))
PROGRAM = VolumeFile("bin/nvidia-smi", "nvidia-smi")
GBM = VolumeFile("lib64/libnvidia-allocator.so.1", "libnvidia-allocator")
ICD = VolumeFile("share/OpenCL/vendors/nvidia.icd", "OpenCL/vendors/nvidia.icd")
VULKAN = VolumeFile("share/vulkan/icd.d/nvidia_icd.json", "vulkan/icd.d/nvidia_icd.json")
EGL = VolumeFile("share/glvnd/egl_vendor.d/10_nvidia.json", "glvnd/egl_vendor.d/10_nvidia.json")
COMPUTE, COMPAT32 = DriverCapability.COMPUTE, DriverCapability.COMPAT32

MOUNTED = [
    (
        LIBRARY,
        {COMPUTE},
        "x86_64",
        [
            "/usr/lib/x86_64-linux-gnu/libcuda.so.550.1",
            "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
            "/usr/lib/x86_64-linux-gnu/libcuda.so",
            "/usr/lib64/libcuda.so.550.1",
            "/usr/lib64/libcuda.so.1",
            "/usr/lib64/libcuda.so",
        ],
    ),
    (LIBRARY, {DriverCapability.UTILITY}, "x86_64", []),
    (
        GBM,
        {GRAPHICS},
        "aarch64",
        [
            "/usr/lib/aarch64-linux-gnu/libnvidia-allocator.so.1",
            "/usr/lib/aarch64-linux-gnu/gbm/nvidia-drm_gbm.so",
            "/usr/lib64/libnvidia-allocator.so.1",
            "/usr/lib64/gbm/nvidia-drm_gbm.so",
        ],
    ),
    (TWIN, {COMPUTE}, "x86_64", []),
    (
        TWIN,
        {COMPUTE, COMPAT32},
        "x86_64",
        [
            "/usr/lib/i386-linux-gnu/libcuda.so.550.1",
            "/usr/lib/i386-linux-gnu/libcuda.so.1",
            "/usr/lib/libcuda.so.550.1",
            "/usr/lib/libcuda.so.1",
        ],
    ),
    # GLVND's is the image's, the driver's own of old is not.
    (VolumeFile("lib64/libGL.so.1.7.0", "libGL", ("libGL.so.1",)), {GRAPHICS}, "x86_64", []),
    (VolumeFile("lib64/libGLX.so.0", "libGLX"), {GRAPHICS}, "x86_64", []),
    (
        VolumeFile("lib64/libGL.so.340.108", "libGL", ("libGL.so.1",)),
        {GRAPHICS},
        "x86_64",
        [
            "/usr/lib/x86_64-linux-gnu/libGL.so.340.108",
            "/usr/lib/x86_64-linux-gnu/libGL.so.1",
            "/usr/lib64/libGL.so.340.108",
            "/usr/lib64/libGL.so.1",
        ],
    ),
    (PROGRAM, {DriverCapability.UTILITY}, "x86_64", ["/usr/bin/nvidia-smi"]),
    (PROGRAM, {COMPUTE}, "x86_64", []),
    (ICD, {COMPUTE}, "x86_64", ["/etc/OpenCL/vendors/nvidia.icd"]),
    (VULKAN, {DISPLAY}, "x86_64", ["/etc/vulkan/icd.d/nvidia_icd.json"]),
    (EGL, {DISPLAY}, "x86_64", ["/usr/share/glvnd/egl_vendor.d/10_nvidia.json"]),
]


@pytest.mark.parametrize(("file", "capabilities", "machine", "targets"), MOUNTED)
def test_a_driver_file_is_where_programs_look_for_it(file, capabilities, machine, targets) -> None:
    """Under every name, in the directories of Debian's and of RPM distributions' loaders."""
    found = mounts("/volume", [file], capabilities, machine)
    assert [mount.target for mount in found] == targets
    assert {mount.source for mount in found} <= {f"/volume/{file.path}"}
    assert not any(mount.writable for mount in found)


VOLUME = tuple(dict.fromkeys(row[0] for row in MOUNTED)) + (
    VolumeFile("lib64/libnvidia-ml.so.550.1", "libnvidia-ml", ("libnvidia-ml.so.1",)),
)


@pytest.mark.parametrize("capabilities", [ALL_CAPABILITIES, {COMPUTE}, {GRAPHICS}])
def test_few_mounts_give_what_many_do(capabilities) -> None:
    """Each file under each name: there, or where the loader looks before it looks there."""
    many = mounts("/volume", VOLUME, capabilities, "x86_64")
    links = library_links(VOLUME, capabilities)
    few = few_mounts("/volume", VOLUME, capabilities, "x86_64", "/links")
    (place,) = [one.target for one in few if one.source == "/volume"]
    linked = {name: target.replace(place, "/volume", 1) for name, target in links.items()}
    seen = {one.target: one.source for one in few}
    for one in many:
        directory, _slash, name = one.target.rpartition("/")
        places = [sub for sub in link_directories("x86_64") if sub.startswith(f"{directory}/")]
        if one.target not in seen:
            assert linked[name] == one.source
            assert [seen[sub] for sub in places] == ["/links", "/links"]
    assert {one.target for one in many} >= set(seen) - {place, *link_directories("x86_64")}
    assert set(linked.values()) <= {one.source for one in many}


def test_linkers_find_cuda_in_the_directory_itself() -> None:
    """And so do programs that look whether a path is there."""
    targets = [one.target for one in few_mounts("/v", VOLUME, {COMPUTE}, "x86_64", "/links")]
    for directory in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64"):
        assert f"{directory}/libcuda.so" in targets
        assert f"{directory}/libcuda.so.1" in targets
        assert f"{directory}/libcuda.so.550.1" not in targets


def test_other_links_have_another_name() -> None:
    """Containers that have the old ones keep them."""
    links = {"libcuda.so.1": "/v/lib64/libcuda.so.550.1", "libcuda.so": "/v/lib64/libcuda.so.550.1"}
    name = links_name("550.1", links)
    assert name.startswith("550.1-")
    assert links_name("550.1", dict(reversed(links.items()))) == name
    assert links_name("550.1", {**links, "libcuda.so": "/v/lib64/libcuda.so.1"}) != name


def test_injections_with_files_and_groups_add_up() -> None:
    """Nothing is there twice."""
    one = Injection(files=FILES, groups=(44,))
    other = Injection(files=FILES, groups=(44, 105))
    assert one + other == Injection(files=FILES, groups=(44, 105))
