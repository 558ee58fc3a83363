# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the programs and units without Ansible, as role nvidia_docker does; for programs.sh.

render FOLDER: write the units, rendered with the role's defaults; needs Jinja.
install FOLDER, uninstall: with the Python that the programs will run with, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".dev"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (  # noqa: E402
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (  # noqa: E402
    cdi_store,
    cdi_units,
    device_links,
    installation,
    programs,
    programs_state,
    release,
    service,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.layout import (  # noqa: E402
    CDI_UNITS,
    UNITS,
    Layout,
)
from ansible_collections.gpufleet.nvidia.plugins.plugin_utils import (  # noqa: E402
    programs as packed,
)

ROLE, CDI_ROLE = ROOT / "roles" / "nvidia_docker", ROOT / "roles" / "nvidia_cdi"
TEMPLATES = Path("templates", "etc", "systemd", "system")
PREFIX, DESTDIR, PYTHON = (os.environ[name] for name in ("PREFIX", "DESTDIR", "PYTHON"))


def layout() -> Layout:
    """Where the programs go.

    Raises NvidiaDockerError for a PREFIX or DESTDIR that no installation can have.
    """
    for name, value in (("PREFIX", PREFIX), ("DESTDIR", DESTDIR or "/")):
        if not value.startswith("/") or ".." in Path(value).parts or not value.isprintable():
            raise NvidiaDockerError(f"{name}={value!r} is no absolute path")
    return Layout(Path(DESTDIR or "/"), PREFIX.strip("/"), staged=bool(DESTDIR))


def render(folder: Path) -> None:
    """Write the units as the roles would with their defaults."""
    import jinja2
    import yaml

    # As Ansible's template has it.
    environment = jinja2.Environment(
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["to_json"] = json.dumps
    prefix = "/" + PREFIX.strip("/")
    variables = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    variables |= {
        "__nvidia_docker_prefix": prefix,
        "__nvidia_docker_volumes": variables["nvidia_docker_volumes_path"],
        "__nvidia_docker_listen_stream": variables["nvidia_docker_listen"],
        "__nvidia_docker_allowed_hosts": "",
    }
    cdi = yaml.safe_load((CDI_ROLE / "defaults" / "main.yml").read_text())
    arguments = yaml.safe_load((CDI_ROLE / "vars" / "main.yml").read_text())[
        "__nvidia_cdi_arguments"
    ]
    cdi |= {
        "__nvidia_cdi_prefix": prefix,
        "__nvidia_cdi_arguments": environment.from_string(arguments).render(cdi),
    }
    for role, names, given in (
        (ROLE, UNITS, variables),
        (CDI_ROLE, CDI_UNITS, cdi),
    ):
        for name in names:
            template = (role / TEMPLATES / f"{name}.j2").read_text()
            (folder / name).write_text(environment.from_string(template).render(given))


def install(units: Path) -> None:
    """Install the programs and the rendered units; make the plugin's user on this machine."""
    where = layout()
    files = packed.read_files()
    texts = {name: (units / name).read_text() for name in UNITS}
    target = programs_state.wanted(
        where, release.digest(files), release.version(files), PYTHON, texts
    )
    cdi = {name: (units / name).read_text() for name in CDI_UNITS}
    wanted = cdi_units.wanted(where, cdi)
    programs.install(where, target, files)
    cdi_units.write(wanted)
    if not where.staged:
        service.make_user()
    for made in (*target.files, *target.links, *wanted):
        print(made.path)


def uninstall() -> None:
    """Remove what ``install`` has made, the plugin's user too, and nothing else."""
    where = layout()
    units = cdi_units.ours(where)
    for path in (*programs.ours(where), *(unit.path for unit in units)):
        print(path)
    if installation.read(where).user:
        service.remove_user()
    cdi_units.remove(units)
    if units and not where.staged:
        _remove_specification()
    programs.remove(where)
    if not where.staged:
        device_links.remove()


def _remove_specification() -> None:
    """Nobody keeps it true any more."""
    path = Path(cdi_store.DEFAULT_PATH)
    with contextlib.suppress(NvidiaDockerError):
        if cdi_store.ours(path) is not None:
            cdi_store.remove(path)
            print(path)


def main(arguments: list[str]) -> int:
    actions = {"render": render, "install": install, "uninstall": uninstall}
    try:
        actions[arguments[0]](*map(Path, arguments[1:]))
    except NvidiaDockerError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
