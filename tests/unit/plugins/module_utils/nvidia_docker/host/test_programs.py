# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installing, switching and removing the programs, below a root of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    formats,
    owned_file,
    programs,
    programs_state,
    release,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.layout import (
    SHARED,
    SOCKETS,
    UNITS,
    Layout,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.release import (
    ProgramsError,
)

FORMATS = dict(formats.FORMATS)
PYTHON = os.path.realpath(sys.executable)
UNIT_TEXTS = dict.fromkeys(UNITS, "[Service]\n")


def files_of(version: str) -> dict[str, bytes]:
    """A release whose programs tell version and arguments; a late import tells its release."""
    package = "nvidia_docker"
    main = b"import sys\nfrom .. import __version__\n\ndef main(argv):\n"
    return {
        f"{package}/__init__.py": f'__version__ = "{version}"\n'.encode(),
        f"{package}/cli/main.py": main
        + b"    if '--wait' in argv:\n"
        + b"        print('waiting', flush=True)\n"
        + b"        sys.stdin.read()\n"
        + b"    from . import late\n"
        + b"    print('cli', late.VERSION, *argv[1:])\n    return 3\n",
        f"{package}/cli/late.py": f'VERSION = "{version}"\n'.encode(),
        f"{package}/plugin/main.py": main
        + b"    import vendored\n    print('plugin', __version__, *argv)\n    return 0\n",
        f"{package}/plugin/helpers.py": main.replace(b"main", b"make_volume")
        + b"    print('maker', __version__, *argv)\n    return 0\n\n"
        + b"def read_image(argv):\n    print('reader', *argv)\n    return 0\n",
        f"{package}/cdi/main.py": main + b"    print('cdi', __version__, *argv)\n",
        f"{package}/plugin/device_links.py": main + b"    print('links', *argv)\n",
        f"{package}/_vendor/vendored.py": b"",
        **{f"{package}/share/{name}": f"{name} {version}\n".encode() for name in SHARED},
    }


def target_of(layout: Layout, version: str) -> programs_state.State:
    return programs_state.wanted(
        layout, release.digest(files_of(version)), version, PYTHON, UNIT_TEXTS
    )


def install(layout: Layout, version: str, in_use: str | None = None) -> programs_state.State:
    target = target_of(layout, version)
    programs.install(layout, target, files_of(version), in_use)
    return target


def run(layout: Layout, program: str, *arguments: str) -> str:
    """Output of an installed program."""
    path = layout.root / "usr/local/bin" / program
    return subprocess.run([path, *arguments], stdout=subprocess.PIPE, text=True, check=False).stdout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def tree(root: Path) -> dict[str, str]:
    """Every file below root with its content, every link with its target."""
    return {
        str(path.relative_to(root)): os.readlink(path)
        if path.is_symlink()
        else path.read_text("latin-1")
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_a_bare_host_gets_the_programs_the_units_and_the_user(layout: Layout) -> None:
    """They run, with the arguments as given, and return their exit status."""
    target = target_of(layout, "1")
    assert programs_state.look(layout, target) == programs_state.State("", "", "", None, (), ())
    install(layout, "1")
    assert programs_state.look(layout, target) == target
    assert run(layout, "nvidia-docker", "run", "-it") == "cli 1 run -it\n"
    assert run(layout, "nvidia-docker-plugin", "-l", ":1") == "plugin 1 -l :1\n"
    assert run(layout, "nvidia-docker-volume-maker", "-d", "/v") == "maker 1 -d /v\n"
    assert run(layout, "nvidia-docker-image-reader", "x") == "reader x\n"
    assert run(layout, "nvidia-docker-device-links", "x") == "links x\n"
    assert run(layout, "nvidia-docker-cdi", "--path=/p") == "cdi 1 --path=/p\n"
    assert (
        subprocess.run(layout.launchers[0], stdout=subprocess.DEVNULL, check=False).returncode == 3
    )
    for unit in layout.units:
        assert unit.read_text() == f"{owned_file.MARK}\n[Service]\n"
    assert layout.user.read_text().splitlines()[1].startswith("u nvidia-docker ")
    pages = {link.path: link.path.read_text() for link in layout.links}
    assert sorted(pages.values()) == sorted(f"{name} 1\n" for name in SHARED)
    assert layout.root / "usr/local/share/man/man1/nvidia-docker.1" in pages
    assert layout.root / "etc/fish/completions/nvidia-docker.fish" in pages


def test_programs_ignore_the_environment_of_the_user(layout: Layout, tmp_path: Path) -> None:
    """A file named like one of ours, or PYTHONPATH, must not get in."""
    install(layout, "1")
    evil = tmp_path / "evil"
    (evil / "nvidia_docker").mkdir(parents=True)
    (evil / "nvidia_docker/__init__.py").write_text("raise SystemExit('evil')")
    (evil / "re.py").write_text("raise SystemExit('evil')")
    output = subprocess.run(
        [layout.launchers[0]],
        env={"PYTHONPATH": str(evil), "PYTHONSTARTUP": "x", "PYTHONHOME": "/nowhere"},
        cwd=evil,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    assert output == "cli 1\n"


def test_installing_again_changes_nothing(layout: Layout) -> None:
    """Not even a date."""
    target = install(layout, "1")
    dates = {path: path.lstat().st_mtime_ns for path in layout.root.rglob("*") if path.is_file()}
    programs.install(layout, target, None)
    assert dates == {p: p.lstat().st_mtime_ns for p in layout.root.rglob("*") if p.is_file()}


def test_one_older_release_is_kept(layout: Layout) -> None:
    """So that programs that still run find their files, and to go back."""
    digests = {version: install(layout, version).release for version in "123"}
    assert {path.name for path in layout.releases.iterdir()} == {digests["2"], digests["3"]}


def around_releases(layout: Layout) -> dict[str, str]:
    """Launchers, links and units."""
    return {name: text for name, text in tree(layout.root).items() if "/lib/nvidia" not in name}


def test_going_back_brings_all_that_the_older_release_had(layout: Layout) -> None:
    """Launchers and units byte for byte, the CDI specification's too, and no page or program that
    it does not have; a second time changes nothing."""
    files = {name: text for name, text in files_of("1").items() if not name.endswith(SHARED[0])}
    old = programs_state.wanted(layout, release.digest(files), "1", PYTHON, UNIT_TEXTS)
    programs.install(layout, old, files)
    layout.links[0].path.unlink()
    layout.launchers[4].unlink()
    cdi = layout.cdi_units[0]
    cdi.write_text(f"{owned_file.MARK}\n[Unit]\n")
    before = around_releases(layout)

    texts = dict.fromkeys(UNITS, "[Unit]\n")
    new = programs_state.wanted(layout, release.digest(files_of("2")), "2", PYTHON, texts)
    programs.install(layout, new, files_of("2"))
    cdi.write_text(f"{owned_file.MARK}\n[Service]\n")
    assert around_releases(layout).keys() > before.keys()

    target = programs_state.previous(layout)
    assert programs_state.look_at(layout, target) != target
    programs.go_back(layout, target)
    assert around_releases(layout) == before
    assert run(layout, "nvidia-docker") == "cli 1\n"
    assert (target.release, target.version) == (old.release, "1")
    assert programs_state.previous(layout) == programs_state.look_at(layout, target) == target
    assert {path.name for path in layout.releases.iterdir()} == {old.release, new.release}


def test_there_may_be_nothing_to_go_back_to(layout: Layout) -> None:
    """On a bare host, and after the first installation."""
    for _dummy in range(2):
        with pytest.raises(ProgramsError, match="has no release of the programs to go back to"):
            programs_state.previous(layout)
        install(layout, "1")


def edit(path: Path, **changes: object) -> None:
    """Change members of a JSON object in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_release_that_can_not_read_what_is_there_is_not_gone_back_to(
    layout: Layout,
) -> None:
    """Nothing is changed."""
    install(layout, "1")
    newer = install(layout, "2")
    edit(layout.releases / newer.release / release.MANIFEST, formats={**FORMATS, "lease": 9})
    before = tree(layout.root)
    with pytest.raises(ProgramsError) as error:
        programs_state.previous(layout)
    assert str(error.value) == (
        "release 1 can't read what 2 keeps on this host (lease: format 9, not 1): "
        "stay with 2, or uninstall, then install 1"
    )
    assert tree(layout.root) == before


@pytest.mark.parametrize("written", [FORMATS, {**FORMATS, "driver volume": 99}])
def test_a_downgrade_is_refused_and_changes_nothing(
    layout: Layout, written: dict[str, int]
) -> None:
    """By the version, and by the formats even if the version is not newer."""
    version = "1.10" if written == FORMATS else "1.9"
    newer = install(layout, version)
    edit(layout.releases / newer.release / release.MANIFEST, formats=written)
    before = tree(layout.root)
    files = {**files_of("1.9"), "nvidia_docker/more.py": b""}
    target = programs_state.wanted(layout, release.digest(files), "1.9", PYTHON, UNIT_TEXTS)
    for attempt in (
        lambda: programs_state.look(layout, target),
        lambda: programs.install(layout, target, files),
    ):
        with pytest.raises(ProgramsError, match=rf"^this host has nvidia-docker {version}, which"):
            attempt()
    assert tree(layout.root) == before


def test_a_record_of_a_newer_format_is_refused(layout: Layout) -> None:
    """It may say what has to be removed, in words that this version does not know."""
    target = install(layout, "1")
    edit(layout.installation, format=2)
    before = tree(layout.root)
    for attempt in (
        lambda: programs_state.previous(layout),
        lambda: programs.install(layout, target, None),
        lambda: programs.remove(layout),
    ):
        with pytest.raises(ProgramsError, match=r"installation\.json has format 2, this version"):
            attempt()
    assert tree(layout.root) == before


def test_installing_after_going_back_is_an_upgrade_again(layout: Layout) -> None:
    install(layout, "1")
    install(layout, "2")
    programs.go_back(layout, programs_state.previous(layout))
    install(layout, "2")
    assert run(layout, "nvidia-docker") == "cli 2\n"
    programs.go_back(layout, programs_state.previous(layout))
    assert run(layout, "nvidia-docker") == "cli 1\n"


def test_the_release_that_runs_is_kept(layout: Layout) -> None:
    """A plugin that was not restarted goes on importing from it."""
    digests = {version: install(layout, version).release for version in "12"}
    install(layout, "3", in_use=digests["1"])
    assert digests["1"] in {path.name for path in layout.releases.iterdir()}


def test_a_switch_brings_its_manual_pages(layout: Layout) -> None:
    """At once with the programs."""
    install(layout, "1")
    install(layout, "2")
    assert {link.path.read_text()[-3:] for link in layout.links} == {" 2\n"}


def test_a_package_s_links_lead_to_where_it_is_unpacked(tmp_path: Path) -> None:
    """And not to where it is built."""
    staged = Layout(tmp_path, "usr", staged=True)
    install(staged, "1")
    page = tmp_path / "usr/share/man/man1/nvidia-docker.1"
    assert os.readlink(page) == (
        "/usr/lib/nvidia-docker/current/nvidia_docker/share/man/man1/nvidia-docker.1"
    )
    programs.remove(staged)
    assert tree(tmp_path) == {}


def test_a_running_program_goes_on_with_its_release(layout: Layout) -> None:
    """What it imports after the switch is of the release it started with."""
    install(layout, "1")
    with subprocess.Popen(
        [layout.launchers[0], "--wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        install(layout, "2")
        assert process.communicate("")[0].startswith("cli 1")
    assert run(layout, "nvidia-docker").startswith("cli 2")


def test_a_missing_release_is_not_switched_to(layout: Layout) -> None:
    """Without its files there is nothing to install."""
    install(layout, "1")
    before = tree(layout.root)
    with pytest.raises(ProgramsError, match="is not on this host"):
        programs.install(layout, target_of(layout, "2"), None)
    assert tree(layout.root) == before


def test_a_release_of_other_content_is_not_installed(layout: Layout) -> None:
    """The files must be what the digest names; the old release stays."""
    install(layout, "1")
    before = tree(layout.root)
    with pytest.raises(ProgramsError, match="can't be installed"):
        programs.install(layout, target_of(layout, "2"), files_of("3"))
    assert tree(layout.root) == before


def test_a_source_that_does_not_compile_is_not_installed(layout: Layout) -> None:
    """For example one written for a newer Python than the host's."""
    install(layout, "1")
    before = tree(layout.root)
    files = {**files_of("2"), "nvidia_docker/new.py": b"match x:\n  what\n"}
    target = programs_state.wanted(layout, release.digest(files), "2", PYTHON, UNIT_TEXTS)
    with pytest.raises(ProgramsError, match=r"nvidia_docker/new\.py"):
        programs.install(layout, target, files)
    assert tree(layout.root) == before


DAMAGE = {
    "source": lambda layout: next(layout.releases.glob("*/nvidia_docker/cli/main.py")).write_text(
        "x"
    ),
    "launcher": lambda layout: layout.launchers[0].write_text(f"#!/bin/sh\n{owned_file.MARK}\n"),
    "launcher's mode": lambda layout: layout.launchers[0].chmod(0o644),
    "no launcher": lambda layout: layout.launchers[1].unlink(),
    "unit": lambda layout: layout.units[0].write_text(f"{owned_file.MARK}\n[Unit]\n"),
    "no unit": lambda layout: layout.units[-1].unlink(),
    "no user": lambda layout: layout.user.unlink(),
    "no manual page": lambda layout: layout.links[0].path.unlink(),
    "link": lambda layout: layout.current.unlink(),
    "dangling link": lambda layout: (
        layout.current.unlink(),
        layout.current.symlink_to("releases/" + "0" * 64),
    ),
    "strange link": lambda layout: (layout.current.unlink(), layout.current.symlink_to("/etc")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_seen_and_repaired(layout: Layout, damage: str) -> None:
    """What was changed by hand is neither trusted nor kept."""
    target = install(layout, "1")
    whole = tree(layout.root)
    DAMAGE[damage](layout)
    assert programs_state.look(layout, target) != target
    install(layout, "1")
    assert programs_state.look(layout, target) == target
    assert tree(layout.root) == whole


FOREIGN = {
    "program": lambda path: path.write_bytes(b"\x7fELF\2\1\1"),
    "script": lambda path: path.write_text("#!/bin/sh\nexec docker\n"),
    "link": lambda path: path.symlink_to("/etc/alternatives/nvidia-docker"),
    "link to ours": lambda path: (
        path.with_name("mine").write_text(f"{owned_file.MARK}\n"),
        path.symlink_to("mine"),
    ),
    "folder": lambda path: path.mkdir(),
}


OURS = {
    "nvidia-docker": lambda layout: layout.launchers[0],
    "nvidia-docker-plugin": lambda layout: layout.launchers[1],
    "unit": lambda layout: layout.units[2],
    "user": lambda layout: layout.user,
    "manual page": lambda layout: layout.links[0].path,
    "current": lambda layout: layout.current,
}


@pytest.mark.parametrize(
    ("which", "kind"),
    # A link at the place of our own link is ours.
    [(w, k) for w in OURS for k in FOREIGN if not (w == "current" and k.startswith("link"))],
)
def test_what_others_made_is_named_and_not_touched(layout: Layout, which: str, kind: str) -> None:
    """Before anything else is changed; nor does removing touch it."""
    path = OURS[which](layout)
    path.parent.mkdir(parents=True)
    FOREIGN[kind](path)
    before = tree(layout.root)
    target = target_of(layout, "1")
    for attempt in (
        lambda: programs_state.look(layout, target),
        lambda: programs.install(layout, target, files_of("1")),
    ):
        with pytest.raises(ProgramsError, match=f"^{path} exists and was not made by this"):
            attempt()
    assert {
        name: text for name, text in tree(layout.root).items() if "releases" not in name
    } == before
    if which != "current":
        programs.remove(layout)
        assert tree(layout.root) == before


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_library_that_is_no_folder_is_refused(layout: Layout, tmp_path: Path, kind: str) -> None:
    """Nothing is written to where a link leads."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    layout.library.parent.mkdir(parents=True)
    layout.library.write_text("") if kind == "file" else layout.library.symlink_to(elsewhere)
    with pytest.raises(ProgramsError, match="is not a folder"):
        install(layout, "1")
    assert list(elsewhere.iterdir()) == []


def test_removing_leaves_nothing_of_ours_and_all_of_others(layout: Layout) -> None:
    """And is done once."""
    install(layout, "1")
    install(layout, "2")
    others = [layout.root / "usr/local/bin/other", layout.units[0].with_name("other.service")]
    for path in others:
        path.write_text("not ours\n")
    programs.remove(layout)
    assert sorted(tree(layout.root)) == sorted(
        str(path.relative_to(layout.root)) for path in others
    )
    assert not layout.library.exists()
    assert programs.ours(layout) == ()
    programs.remove(layout)


def test_folders_that_were_not_there_go_too(layout: Layout) -> None:
    """Those that were stay, even empty ones; so does one that others use by now."""
    for name in ("usr/local/share/man", "etc/systemd/system", "usr/local/bin"):
        (layout.root / name).mkdir(parents=True)
    before = sorted(layout.root.rglob("*"))
    install(layout, "1")
    install(layout, "2")
    (layout.root / "etc/fish/other").write_text("")
    programs.remove(layout)
    others = [layout.root / "etc/fish", layout.root / "etc/fish/other"]
    assert sorted(layout.root.rglob("*")) == sorted(before + others)


def test_removing_keeps_a_library_with_files_of_others(layout: Layout) -> None:
    """The folder stays, and does not count as ours any more."""
    install(layout, "1")
    (layout.library / "notes").write_text("not ours\n")
    programs.remove(layout)
    assert sorted(path.name for path in layout.library.iterdir()) == ["notes"]
    assert programs.ours(layout) == ()


@pytest.mark.parametrize(
    ("digest", "interpreter"),
    [
        ("0" * 63, PYTHON),
        ("../" + "0" * 61, PYTHON),
        ("0" * 64, "python3"),
        ("0" * 64, "/usr/bin/py thon"),
        ("0" * 64, "/usr/bin/python3\n"),
        ("0" * 64, "/" + "x" * 130),
    ],
)
def test_values_that_can_not_work_are_refused(
    layout: Layout, digest: str, interpreter: str
) -> None:
    """A first line that the kernel cuts, a digest that is a path."""
    with pytest.raises(ProgramsError):
        programs_state.wanted(layout, digest, "1", interpreter, None)


KILLS = """
import importlib.util, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
spec = importlib.util.spec_from_file_location("tests_of_programs", sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.kill_everywhere(Path(sys.argv[3]), sys.argv[4] == "older"))
"""


def kill_everywhere(base: Path, older: bool) -> int:
    """Install below base/0, base/1 ..., each in a child that is killed at one fsync later; return
    how many were. For a process without threads: fork copies locks that others hold."""
    for syncs in range(1000):
        layout = Layout(base / str(syncs))
        if older:
            install(layout, "1")
        child = os.fork()
        if child == 0:
            install_until(syncs, layout)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            return syncs
    raise AssertionError("no installation came to its end")


def install_until(syncs: int, layout: Layout) -> None:
    fsync, left = os.fsync, [syncs]

    def counted(descriptor: int) -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        fsync(descriptor)

    os.fsync = counted
    install(layout, "2")
    os._exit(0)


@pytest.mark.parametrize("start", ["bare", "older"])
def test_a_killed_run_leaves_old_or_new_and_the_next_one_heals(tmp_path: Path, start: str) -> None:
    """Wherever the kill strikes: no program of half a release."""
    arguments = [str(Path(__file__).resolve().parents[6] / ".dev"), __file__, str(tmp_path), start]
    done = subprocess.run(
        [sys.executable, "-c", KILLS, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    killed = int(done.stdout)
    seen = set()
    for number in range(killed + 1):
        layout = Layout(tmp_path / str(number))
        if layout.launchers[0].exists():
            output = run(layout, "nvidia-docker")
            assert output in ("cli 1\n", "cli 2\n")
            seen.add(output)
        target = install(layout, "2")
        assert programs_state.look(layout, target) == target
        assert list(layout.root.rglob(".*")) == []
    assert killed > 20
    assert seen == {"cli 2\n"} | ({"cli 1\n"} if start == "older" else set())


def test_two_runs_at_once_wait_for_each_other(layout: Layout) -> None:
    """Installing two releases and removing, again and again: the last word is a whole state."""

    def work(step: int) -> None:
        for turn in range(step, step + 6):
            if turn % 3 == 2:
                programs.remove(layout)
            else:
                install(layout, ("1", "1.0")[turn % 3])

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [None] * 3
    target = install(layout, "1.0")
    assert programs_state.look(layout, target) == target


@pytest.mark.parametrize(
    "units", [{}, {**UNIT_TEXTS, "../x.service": ""}, dict.fromkeys(SOCKETS, "")]
)
def test_units_are_ours_all_of_them_and_no_other(layout: Layout, units: dict[str, str]) -> None:
    """A name is a path in /etc/systemd/system."""
    with pytest.raises(ProgramsError, match=r"nvidia-docker-plugin\.service"):
        programs_state.wanted(layout, "0" * 64, "1", PYTHON, units)
