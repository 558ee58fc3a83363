# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a CDI specification strictly: what makes engines ignore one, or crash on it, is an error.

Source: the specification and JSON schema of the Container Device Interface, 0.3.0 to 1.1.0
(github.com/cncf-tags/container-device-interface).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .cdi_spec import BindMount, Edits, Node, Spec, SpecDevice, SpecHook
from .errors import CdiError

_VENDOR = re.compile(r"[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_CLASS = re.compile(r"[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_DEVICE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"v?([0-9]+\.[0-9]+\.[0-9]+)")
_HOOK_NAMES = (
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
)


def check_kind(kind: str) -> None:
    """Raise CdiError unless ``kind`` is ``vendor/class``."""
    vendor, _slash, one = kind.partition("/")
    if not (_VENDOR.fullmatch(vendor) and _CLASS.fullmatch(one)):
        raise CdiError(
            f"{kind!r} is no kind of CDI devices: it must be a vendor and a class, such as "
            "nvidia.com/gpu, each of letters, digits and _ . - with a letter first"
        )


def is_device_name(name: str) -> bool:
    """Whether engines take this for the name of a device."""
    return _DEVICE_NAME.fullmatch(name) is not None


def read(value: Any) -> Spec:
    """Return the specification that a JSON or YAML document holds.

    Raises CdiError with where it is not one: an unknown field, a wrong type, an empty item (which
    kills dockerd 26), a name that engines refuse. Any of it makes engines ignore the whole file.
    """
    fields = _object(value, "the specification", _SPEC_FIELDS)
    version = _VERSION.fullmatch(_string(fields.get("cdiVersion"), "cdiVersion"))
    if version is None:
        raise CdiError(f"cdiVersion {fields.get('cdiVersion')!r} is no version such as 0.5.0")
    kind = _string(fields.get("kind"), "kind")
    check_kind(kind)
    devices = _items(fields.get("devices"), "devices", _device)
    if not devices:
        raise CdiError("devices is empty: a specification must have at least one device")
    names = [device.name for device in devices]
    for name in names:
        if names.count(name) > 1:
            raise CdiError(f"device {name!r} is there twice")
    return Spec(
        version=version[1],
        kind=kind,
        common=_edits(fields.get("containerEdits", {}), "containerEdits"),
        devices=devices,
        annotated=_annotated(fields, "annotations"),
    )


def read_text(text: str) -> Spec:
    """Return the specification of a JSON text. Raises CdiError if it is none."""
    try:
        return read(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise CdiError(f"it is no JSON: {error}") from None


_SPEC_FIELDS = {"cdiVersion", "kind", "annotations", "devices", "containerEdits"}
_DEVICE_FIELDS = {"name", "annotations", "containerEdits"}
_EDIT_FIELDS = {
    "env",
    "deviceNodes",
    "mounts",
    "hooks",
    "additionalGids",
    "intelRdt",
    "netDevices",
}
_NODE_FIELDS = {
    "path",
    "hostPath",
    "type",
    "major",
    "minor",
    "fileMode",
    "permissions",
    "uid",
    "gid",
}
_MOUNT_FIELDS = {"hostPath", "containerPath", "options", "type"}
_HOOK_FIELDS = {"hookName", "path", "args", "env", "timeout"}


def _device(value: Any, where: str) -> SpecDevice:
    fields = _object(value, where, _DEVICE_FIELDS)
    name = _string(fields.get("name"), f"{where}.name")
    if not is_device_name(name):
        raise CdiError(
            f"{where}.name {name!r} is no device name: it must be of letters, digits and _ . : - "
            "with a letter or digit at both ends"
        )
    edits = _edits(fields.get("containerEdits"), f"{where}.containerEdits")
    if not edits.fields:
        raise CdiError(f"{where} ({name}) changes nothing: engines refuse a device without edits")
    return SpecDevice(name, edits, _annotated(fields, f"{where}.annotations"))


def _edits(value: Any, where: str) -> Edits:
    fields = _object(value, where, _EDIT_FIELDS)
    environment = _strings(fields, "env", where)
    for entry in environment:
        if entry.find("=") < 1:
            raise CdiError(f"{where}.env: {entry!r} is no NAME=value")
    return Edits(
        environment=environment,
        nodes=_items(fields.get("deviceNodes", []), f"{where}.deviceNodes", _node),
        mounts=_items(fields.get("mounts", []), f"{where}.mounts", _mount),
        hooks=_items(fields.get("hooks", []), f"{where}.hooks", _hook),
        groups=_items(fields.get("additionalGids", []), f"{where}.additionalGids", _number),
        fields=frozenset(name for name, content in fields.items() if content not in ([], {})),
    )


def _node(value: Any, where: str) -> Node:
    fields = _object(value, where, _NODE_FIELDS)
    kind = _optional(fields, "type", where, _string)
    if kind not in (None, "b", "c", "u", "p"):
        raise CdiError(f"{where}.type {kind!r} must be b, c, u or p")
    permissions = _optional(fields, "permissions", where, _string)
    if permissions is not None and not set(permissions) <= set("rwm"):
        raise CdiError(f"{where}.permissions {permissions!r} must be of r, w and m")
    return Node(
        path=_path(fields, "path", where),
        host_path=_optional(fields, "hostPath", where, _string),
        type=kind,
        major=_optional(fields, "major", where, _number),
        minor=_optional(fields, "minor", where, _number),
        file_mode=_optional(fields, "fileMode", where, _number),
        permissions=permissions,
        uid=_optional(fields, "uid", where, _number),
        gid=_optional(fields, "gid", where, _number),
    )


def _mount(value: Any, where: str) -> BindMount:
    fields = _object(value, where, _MOUNT_FIELDS)
    return BindMount(
        host_path=_path(fields, "hostPath", where),
        container_path=_path(fields, "containerPath", where),
        options=_strings(fields, "options", where),
        type=_optional(fields, "type", where, _string),
    )


def _hook(value: Any, where: str) -> SpecHook:
    fields = _object(value, where, _HOOK_FIELDS)
    name = _string(fields.get("hookName"), f"{where}.hookName")
    if name not in _HOOK_NAMES:
        raise CdiError(f"{where}.hookName {name!r} must be one of {', '.join(_HOOK_NAMES)}")
    _optional(fields, "timeout", where, _number)
    return SpecHook(
        name=name,
        path=_path(fields, "path", where),
        arguments=_strings(fields, "args", where),
        environment=_strings(fields, "env", where),
    )


def _annotated(fields: Mapping[str, Any], where: str) -> bool:
    annotations = fields.get("annotations", {})
    if not isinstance(annotations, Mapping):
        raise CdiError(f"{where} must be an object")
    return bool(annotations)


def _object(value: Any, where: str, known: set[str]) -> Mapping[str, Any]:
    if value is None:
        raise CdiError(f"{where} is missing or null: dockerd 26 crashes on an empty item")
    if not isinstance(value, Mapping):
        raise CdiError(f"{where} must be an object, not {value!r}")
    unknown = sorted(str(name) for name in value if name not in known)
    if unknown:
        raise CdiError(f"{where} has the unknown field {unknown[0]!r}")
    return value


def _items(value: Any, where: str, one: Callable[[Any, str], Any]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise CdiError(f"{where} must be a list, not {value!r}")
    return tuple(one(item, f"{where}[{number}]") for number, item in enumerate(value))


def _strings(fields: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    return _items(fields.get(name, []), f"{where}.{name}", _string)


def _optional(
    fields: Mapping[str, Any], name: str, where: str, one: Callable[[Any, str], Any]
) -> Any:
    return one(fields[name], f"{where}.{name}") if name in fields else None


def _path(fields: Mapping[str, Any], name: str, where: str) -> str:
    path = _string(fields.get(name), f"{where}.{name}")
    if not path:
        raise CdiError(f"{where}.{name} is empty")
    return path


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise CdiError(f"{where} must be a string, not {value!r}")
    return value


def _number(value: Any, where: str) -> int:
    # True is an int for isinstance, but not for JSON.
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CdiError(f"{where} must be a number of at least 0, not {value!r}")
    return value
