# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Galaxy, ansible-doc and ansible-builder say of the tarball."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def judges(run) -> Path:
    """Programs of galaxy-importer and ansible-builder, in an environment of their own."""
    run(ROOT / "tests" / "tools" / "venv.sh", "importer")
    return ROOT / ".build" / "venv-importer" / "bin"


def test_galaxy_would_import_it(artifact, judges, run, tmp_path: Path) -> None:
    """Without a warning. ansible-lint is run by tests/tools/lint.sh, with stricter rules."""
    shutil.copy(artifact, tmp_path)
    done = run(
        judges / "python",
        "-m",
        "galaxy_importer.main",
        artifact.name,
        cwd=tmp_path,
        PATH=f"{judges}:{os.environ['PATH']}",
        GALAXY_IMPORTER_CHECK_REQUIRED_TAGS="true",
        GALAXY_IMPORTER_REQUIRE_V1_OR_GREATER="true",
        GALAXY_IMPORTER_RUN_ANSIBLE_LINT="false",
    )
    told = done.stdout + done.stderr
    assert "Importer processing completed successfully" in told
    assert "WARNING" not in told and "ERROR" not in told, told
    result = json.loads((tmp_path / "importer_result.json").read_text())
    names = {entry["name"] for entry in result["contents"] if entry["content_type"] == "module"}
    assert names == modules()
    assert all(
        entry["doc_strings"] for entry in result["docs_blob"]["contents"] if is_module(entry)
    )


def is_module(entry: dict) -> bool:
    return entry["content_type"] == "module"


def modules() -> set[str]:
    return {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}


def roles() -> set[str]:
    return {path.name for path in (ROOT / "roles").iterdir()}


def documented(run, installed: Path, kind: str, names: set[str]) -> dict[str, dict]:
    """What ansible-doc tells, with a user's settings; a word on stderr is a failure."""
    full = [f"gpufleet.nvidia.{name}" for name in sorted(names)]
    path = f"{installed.parents[2]}:{ROOT}/.build/collections"
    done = run("ansible-doc", "-t", kind, "--json", *full, ANSIBLE_COLLECTIONS_PATH=path)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_ansible_doc_shows_every_module(installed, run) -> None:
    """With examples and since when it is there."""
    told = documented(run, installed, "module", modules())
    assert {name.rsplit(".", 1)[1] for name in told} == modules()
    for found in told.values():
        assert found["doc"]["short_description"] and found["doc"]["version_added"]
        assert found["examples"].strip()


def test_ansible_doc_shows_every_role(installed, run) -> None:
    """With each of its options."""
    told = documented(run, installed, "role", roles())
    assert {name.rsplit(".", 1)[1] for name in told} == roles()
    for found in told.values():
        assert found["entry_points"]["main"]["options"]


def test_release_notes_name_every_module_and_role() -> None:
    """Under the release that brought it."""
    releases = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())["releases"]
    told = [entry["name"] for found in releases.values() for entry in found.get("modules", ())]
    assert sorted(told) == sorted(modules())
    told = [
        entry["name"]
        for found in releases.values()
        for entry in found.get("objects", {}).get("role", ())
    ]
    assert sorted(told) == sorted(roles())
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert galaxy["version"] in releases


def test_an_execution_environment_needs_nothing_more(install, judges, run, tmp_path) -> None:
    """Nothing from us; what community.docker wants is its own matter."""
    install(tmp_path)
    shutil.copytree(ROOT / ".build" / "collections", tmp_path, dirs_exist_ok=True)
    done = run(judges / "ansible-builder", "introspect", tmp_path)
    wanted = yaml.safe_load(done.stdout)
    assert "community.docker" in done.stdout
    assert "gpufleet.nvidia" not in wanted["python"] and "gpufleet.nvidia" not in wanted["system"]
