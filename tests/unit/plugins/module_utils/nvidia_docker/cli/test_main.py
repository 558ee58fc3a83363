# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program from its arguments to the docker that it becomes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess

import pytest

INFO = '{"Version":{"Driver":"375.26","CUDA":"8.0"},"Devices":[]}\n'
ADDED = (
    "--volume-driver=nvidia-docker --volume=nvidia_driver_375.26:/usr/local/nvidia:ro "
    "--device=/dev/nvidiactl --device=/dev/nvidia0"
)
MOUNT = (
    "--mount=type=volume,source=nvidia_driver_375.26,target=/usr/local/nvidia,readonly,"
    "volume-driver=nvidia-docker"
)
OURS = ["--device=/dev/nvidiactl", "--device=/dev/nvidia0", MOUNT]
PATHS = [
    "--env=PATH=/usr/local/nvidia/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "--env=LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
]
"""What an image without labels needs to find the volume."""
LABELLED = {"Labels": {"com.nvidia.volumes.needed": "nvidia_driver"}, "Env": ["PATH=/bin"]}
CUDA_LABELLED = {"Labels": {**LABELLED["Labels"], "com.nvidia.cuda.version": "8.0.61"}}
MODERN = {"Labels": None, "Env": ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_REQUIRE_CUDA=cuda>=7.0"]}
PLAIN = {"Labels": None, "Env": ["PATH=/bin"]}
MESSAGE = r"\S*nvidia-docker \| \d{4}/\d\d/\d\d \d\d:\d\d:\d\d "


def inherited() -> int:
    """The signals that every child of these tests ignores: make leaves 32 and 33 so."""
    done = subprocess.run(
        ["grep", "SigIgn", "/proc/self/status"], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[1], 16)


@pytest.mark.parametrize(
    "words",
    [
        ["ps", "-a"],
        ["compose", "run", "x"],
        ["buildx", "create"],
        ["service", "create", "cuda"],
        ["exec", "-it", "c", ""],
        ["--odd", "ps", "--odder"],
        ["--help"],
        ["-v"],
        ["run", "--help", "cuda"],
        ["run", "-it"],
        [],
    ],
)
def test_everything_else_is_docker(program, words) -> None:
    """No question to docker, the same words, exit status and environment, no signal ignored."""
    program.answers(status=42)
    done = program.run(*words, CUDA_VISIBLE_DEVICES="3", NV_GPU="9")
    assert (done.returncode, done.stdout, done.stderr) == (42, "(docker output)\n", "")
    [call] = program.calls
    assert call["argv"][1:] == words
    path = f"PATH={program.folder}:/usr/bin:/bin"
    assert sorted(call["env"]) == ["CUDA_VISIBLE_DEVICES=3", "NV_GPU=9", path]
    # The stand-in is Python, which ignores SIGPIPE (13) and SIGXFSZ (25) by itself.
    assert int(call["ignored"], 16) & ~(1 << 12 | 1 << 24 | inherited()) == 0


def test_docker_inherits_no_ignored_signal(program) -> None:
    """Python ignores SIGPIPE; what it starts must not."""
    program.stand_in("docker", "#!/bin/sh\ngrep SigIgn /proc/self/status\n")
    assert program.run("ps").stdout == f"SigIgn:\t{inherited():016x}\n"


def test_bytes_that_are_no_text(program) -> None:
    """Arguments arrive as they were given, whatever the locale."""
    program.stand_in("docker", '#!/bin/sh\nprintf %s "$2" | od -An -tx1\n')
    done = subprocess.run(
        [program.folder / "nvidia-docker", "ps", b"\xff\xc3("],
        env={"PATH": f"{program.folder}:/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.split() == [b"ff", b"c3", b"28"]


def test_no_gpu_image(program) -> None:
    """An image that asks for no GPU is run as it is, on any machine."""
    program.answers(images={"ubuntu": PLAIN})
    words = ["-D", "--context", "lab", "run", "-p80:80", "--", "ubuntu", "ls", "-l"]
    program.answers(images={"ubuntu": PLAIN}, **{"global options": words[:3]})
    done = program.run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(docker output)\n", "")
    question = ["image", "inspect", "--format", "{{json .Config}}", "--", "ubuntu"]
    assert program.commands == [[*words[:3], *question], words]


@pytest.mark.parametrize("image", [LABELLED, MODERN], ids=["labels", "environment"])
def test_gpu_image_without_driver(program, image) -> None:
    """No GPU can be added here (PATH has no nvidia-modprobe): one sentence, docker not started."""
    program.answers(images={"cuda": image})
    done = program.run("run", "cuda")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(MESSAGE + r"Error: .*(nvidia|NVML).*\n", done.stderr)
    assert len(program.commands) == 1


@pytest.mark.parametrize("image", [LABELLED, MODERN], ids=["labels", "environment"])
@pytest.mark.parametrize("command", [["run"], ["container", "create"]])
def test_options_go_right_before_the_image(program, plugin, image, command) -> None:
    """Exactly ours more than the user typed, also before a double dash."""
    program.answers(images={"cuda": image})
    plugin.answers = {"/gpu/info/json": (200, INFO), "/docker/cli": (200, ADDED)}
    environ = {"DOCKER_HOST": "tcp://127.0.0.1:1", "NV_HOST": f"http://127.0.0.1:{plugin.port}"}
    for end in ([], ["--"]):
        done = program.run(*command, "-itv/a:/b", *end, "cuda", "-x", NV_GPU="0, 1", **environ)
        assert done.returncode == 0, done.stderr
        paths = PATHS if image is MODERN else []
        expected = [*command, "-itv/a:/b", *OURS, *paths, *end, "cuda", "-x"]
        assert program.commands[-1] == expected
    assert plugin.requests[1][0] == "GET /docker/cli?vol=nvidia_driver&dev=0+1 HTTP/1.1"


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"/docker/cli": (400, "invalid device: 9\n")}, r"invalid device: 9 \(.*status 400\)"),
        ({"/docker/cli": (500, "")}, r"Internal Server Error \(.*status 500\)"),
        ({"/docker/cli": (200, "")}, "no GPUs and no driver volume: there is no device node"),
        (
            {"/docker/cli": (200, "--privileged")},
            "no driver volume: unexpected option '--privileged'",
        ),
        ({"/docker/cli": (400, "\x1b[2J\n")}, r"Error: \?\[2J \("),
        ({"/gpu/info/json": (404, "404 page not found\n")}, "404 page not found"),
        ({"/gpu/info/json": (200, "")}, "nvidia-docker-plugin that listens there"),
        ({"/gpu/info/json": (200, "[]")}, "nvidia-docker-plugin that listens there"),
        (
            {"/gpu/info/json": (200, INFO.replace("8.0", "6.5"))},
            "unsupported CUDA version: driver 6.5 < image 8.0.61",
        ),
    ],
)
def test_what_a_plugin_refuses(program, plugin, answers, sentence) -> None:
    """A status and a body are never taken for docker's arguments."""
    program.answers(images={"nvidia/cuda": CUDA_LABELLED})
    plugin.answers = {"/gpu/info/json": (200, INFO), "/docker/cli": (200, ADDED), **answers}
    host = f"127.0.0.1:{plugin.port}"
    done = program.run("run", "nvidia/cuda", NV_HOST=host, DOCKER_HOST="tcp://h:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(MESSAGE + "Error: ", done.stderr)
    assert re.search(sentence, done.stderr)
    assert len(program.commands) == 1


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"NV_HOST": "http://127.0.0.1:1"},
            "can't ask the plugin at http://127.0.0.1:1: Connection",
        ),
        ({"DOCKER_HOST": "ssh://me@gpu1"}, "the plugin at ssh://gpu1:3476: no route to gpu1; "),
    ],
)
def test_no_plugin(program, environ, sentence) -> None:
    """Said when a GPU image needs it; other commands go on."""
    program.answers(images={"cuda": LABELLED})
    program.stand_in("ssh", "#!/bin/sh\necho no route to gpu1 >&2\nexit 255\n")
    done = program.run("run", "cuda", **environ)
    assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
    assert program.run("ps", **environ).returncode == 0


def docker_folder(program, host: str) -> str:
    """A folder with the context lab, in use."""
    folder = program.folder / "config"
    name = hashlib.sha256(b"lab").hexdigest()
    path = folder / "contexts" / "meta" / name / "meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Name": "lab", "Endpoints": {"docker": {"Host": host}}}))
    (folder / "config.json").write_text('{"currentContext":"lab"}')
    return str(folder)


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["--context", "lab"], {"DOCKER_CONFIG": "{folder}"}),
        (["--config={folder}"], {}),
        ([], {"DOCKER_CONFIG": "{folder}"}),
        ([], {"DOCKER_CONFIG": "{folder}", "NV_DOCKER": "docker --context=lab"}),
        (["-H", "ssh://gpu1"], {}),
        ([], {"NV_DOCKER": "env docker -H ssh://gpu1"}),
    ],
)
def test_the_engines_machine_has_the_gpus(program, words, environ) -> None:
    """However docker is told where its engine is; an image without GPU needs nobody."""
    folder = docker_folder(program, "ssh://gpu1")
    words = [word.format(folder=folder) for word in words]
    environ = {name: text.format(folder=folder) for name, text in environ.items()}
    ours = [*words, *environ.get("NV_DOCKER", "").split()[1:]]
    program.answers(images={"cuda": LABELLED, "ubuntu": PLAIN}, **{"global options": ours})
    program.stand_in("ssh", "#!/bin/sh\necho no route to gpu1 >&2\nexit 255\n")
    done = program.run(*words, "run", "cuda", **environ)
    assert done.returncode == 1
    assert "the plugin at ssh://gpu1:3476: no route to gpu1; " in done.stderr
    assert program.run(*words, "run", "ubuntu", **environ).returncode == 0


def test_an_engine_that_is_not_known(program) -> None:
    """No GPU is guessed. What is wrong for docker is said in docker's words."""
    images = {"cuda": LABELLED, "ubuntu": PLAIN}
    program.answers(images=images, **{"global options": ["--context=gone"]})
    done = program.run("--context=gone", "run", "cuda", HOME="/nowhere")
    assert done.returncode == 1
    assert re.fullmatch(MESSAGE + "Error: docker context 'gone' can't be read, .*\n", done.stderr)
    assert program.run("--context=gone", "run", "ubuntu", HOME="/nowhere").returncode == 0
    assert program.run("--context=gone", "ps", HOME="/nowhere").stderr == ""
    program.answers(engine="context not found", status=1, **{"global options": ["--context=gone"]})
    done = program.run("--context=gone", "run", "cuda", HOME="/nowhere")
    assert re.fullmatch(MESSAGE + "Error: context not found\n", done.stderr)
    assert (done.returncode, done.stdout) == (1, "")


def test_warning_of_nv_host_alone(program) -> None:
    """v1's; the container would be on another machine than the GPUs are from."""
    warning = MESSAGE + "Warning: NV_HOST is set but DOCKER_HOST is not\n"
    assert re.fullmatch(warning, program.run("ps", NV_HOST="h:", HOME="/nowhere").stderr)
    assert program.run("-H", "tcp://h", "ps", NV_HOST="h:", HOME="/nowhere").stderr == ""


def test_pull(program) -> None:
    """A missing image is pulled; standard output stays docker's own."""
    program.answers(registry={"new": PLAIN})
    done = program.run("run", "-dq", "--platform", "linux/amd64", "new")
    assert (done.stdout, done.stderr) == ("(docker output)\n", "Pulling new\n")
    pull = ["pull", "--platform=linux/amd64", "--quiet=true", "--", "new"]
    assert program.commands[1] == pull
    assert [command[0] for command in program.commands] == ["image", "pull", "image", "run"]


def test_pull_always(program) -> None:
    """What is here may not be what will run."""
    program.answers(images={"new": LABELLED}, registry={"new": PLAIN})
    assert program.run("run", "--pull=always", "new").returncode == 0


def test_pull_never(program) -> None:
    """docker says itself that the image is not there."""
    assert program.run("run", "--pull", "never", "new").stdout == "(docker output)\n"
    assert [command[0] for command in program.commands] == ["image", "run"]


def test_pull_fails(program) -> None:
    """docker's sentence, exit status 1."""
    done = program.run("create", "missing")
    assert (done.returncode, done.stdout) == (1, "")
    sentence = r"Error: Error response from daemon: pull access denied for missing\n"
    assert re.fullmatch(MESSAGE + sentence, done.stderr)


def test_engine_down(program) -> None:
    """As in v1 docker's sentence, and status 1: a container is never started without its GPU."""
    program.answers(engine="Cannot connect to the Docker daemon at unix:///x.", status=125)
    done = program.run("run", "cuda")
    assert (done.returncode, done.stdout) == (1, "")
    sentence = "Error: Cannot connect to the Docker daemon at unix:///x[.]\n"
    assert re.fullmatch(MESSAGE + sentence, done.stderr)
    assert len(program.commands) == 1


@pytest.mark.parametrize("words", [["ps"], ["run", "cuda"]])
def test_no_docker(program, words) -> None:
    """One sentence that says what to do."""
    done = program.run(*words, NV_DOCKER="nosuchdocker -D")
    assert done.returncode == 1
    sentence = (
        "Error: can't start the docker client 'nosuchdocker': No such file or directory; .*\n"
    )
    assert re.fullmatch(MESSAGE + sentence, done.stderr)


def is_added(words: list[str], before: list[str], after: list[str]) -> bool:
    """Whether docker got GPUs between what was typed, and nothing else."""
    start, end = len(before), len(words) - len(after)
    added = words[start:end]
    typed = words[:start] == before and words[end:] == after
    return typed and added in (OURS, [*OURS, *PATHS])


HELP = """\
      --name string   Name
      --rm            Remove
      --shiny         New
  -z, --new list      New
"""


@pytest.mark.parametrize(
    ("before", "image"),
    [("--shiny", "cuda"), ("-itz x", "cuda"), ("--new x --rm --shiny -z y", "cuda")],
)
def test_an_option_that_only_docker_knows(program, plugin, tmp_path, before, image) -> None:
    """The installed client is asked once, and the GPUs are added in the right place."""
    program.answers(images={"cuda": LABELLED}, help=HELP)
    plugin.answers = {"/gpu/info/json": (200, INFO), "/docker/cli": (200, ADDED)}
    host = f"http://127.0.0.1:{plugin.port}"
    environ = {"DOCKER_HOST": "tcp://h:1", "NV_HOST": host, "HOME": str(tmp_path)}
    for _again in range(2):
        done = program.run("run", *before.split(), image, "cmd", **environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert is_added(program.commands[-1], ["run", *before.split()], [image, "cmd"])
    asked = [command for command in program.commands if command[-1] == "--help"]
    assert asked == [["-H", "unix:///dev/null", "run", "--help"]]


@pytest.mark.parametrize("words", [["run", "--odd", "cuda"], ["--odd", "run", "cuda"]])
def test_an_option_that_docker_does_not_know_either(program, words) -> None:
    """docker gets what was typed, and will refuse it; should it not, a warning was given."""
    host = "  -H, --host list   Socket\n  -D, --debug   Debug\n"
    program.answers(images={"cuda": LABELLED}, help=HELP + host, status=125)
    done = program.run(*words)
    assert (done.returncode, done.stdout) == (125, "(docker output)\n")
    assert re.fullmatch(MESSAGE + "Warning: no GPU is added: .* option --odd\n", done.stderr)
    assert program.commands[-1] == words


def test_an_option_when_docker_can_not_be_asked(program) -> None:
    """The image is not guessed: docker is not started."""
    program.answers(images={"cuda": LABELLED})
    done = program.run("run", "--odd", "cuda")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        MESSAGE + "Error: option --odd is not known .*--odd=VALUE .*\n", done.stderr
    )
    assert {command[-1] for command in program.commands} == {"--help"}


@pytest.mark.parametrize(
    ("environment", "options", "nv_gpu", "asked"),
    [
        ("all", "", "", ""),
        ("0,1", "", "", "0+1"),
        ("0,1", "-e NVIDIA_VISIBLE_DEVICES=2", "", "2"),
        ("0,1", "-e NVIDIA_VISIBLE_DEVICES=2 -eNVIDIA_VISIBLE_DEVICES=3", "", "3"),
        ("0,1", "--env NVIDIA_VISIBLE_DEVICES", "", "7"),
        ("0,1", "-e NVIDIA_VISIBLE_DEVICES=2", "4, 5", "4+5"),
        ("void", "-e NVIDIA_VISIBLE_DEVICES=2", "", "2"),
        (None, "-e NVIDIA_VISIBLE_DEVICES=2", "", "2"),
        (None, "-e NVIDIA_VISIBLE_DEVICES=all", "", ""),
        ("all", "-e NVIDIA_VISIBLE_DEVICES=void", "", None),
        ("all", "-e NVIDIA_VISIBLE_DEVICES=", "", None),
        (None, "-e OTHER=all", "", None),
        (None, "", "0", None),
    ],
)
def test_which_gpus(program, plugin, environment, options, nv_gpu, asked) -> None:
    """NV_GPU, else the container's NVIDIA_VISIBLE_DEVICES: of the command line, or the image's."""
    variables = [] if environment is None else [f"NVIDIA_VISIBLE_DEVICES={environment}"]
    program.answers(images={"cuda": {"Labels": None, "Env": variables}})
    plugin.answers = {"/gpu/info/json": (200, INFO), "/docker/cli": (200, ADDED)}
    environ = {"DOCKER_HOST": "tcp://h:1", "NV_HOST": f"http://127.0.0.1:{plugin.port}"}
    words = ["run", *options.split(), "cuda"]
    done = program.run(*words, NV_GPU=nv_gpu, NVIDIA_VISIBLE_DEVICES="7", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_added(program.commands[-1], words[:-1], ["cuda"]) == (asked is not None)
    assert asked is not None or program.commands[-1] == words
    requests = [line.split()[1] for line, _dummy in plugin.requests]
    path = f"/docker/cli?vol=nvidia_driver&dev={asked}"
    assert requests == ([] if asked is None else ["/gpu/info/json", path])


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("", 1),
        ("-e NVIDIA_DISABLE_REQUIRE=1", 0),
        ("-e NVIDIA_DISABLE_REQUIRE", 0),
        ("-e NVIDIA_DISABLE_REQUIRE=0", 1),
        ("-e NVIDIA_REQUIRE_CUDA=cuda>=7.0", 0),
        ("-e NVIDIA_REQUIRE_CUDA", 0),
        ("-e NVIDIA_REQUIRE_OTHER=cuda>=7.0", 1),
    ],
)
def test_requirements_of_the_container(program, plugin, options, status) -> None:
    """What the user sets is over what the image sets; a NAME that the caller lacks unsets it."""
    variables = ["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_REQUIRE_CUDA=cuda>=99.0"]
    program.answers(images={"cuda": {"Labels": None, "Env": variables}})
    plugin.answers = {"/gpu/info/json": (200, INFO), "/docker/cli": (200, ADDED)}
    environ = {"DOCKER_HOST": "tcp://h:1", "NV_HOST": f"http://127.0.0.1:{plugin.port}"}
    done = program.run("run", *options.split(), "cuda", NVIDIA_DISABLE_REQUIRE="true", **environ)
    assert done.returncode == status, done.stderr


@pytest.mark.parametrize(
    "options",
    [
        "--gpus all",
        "--runtime nvidia",
        "--device nvidia.com/gpu=all",
        "--device /dev/nvidia0",
    ],
)
def test_gpus_asked_of_docker(program, options) -> None:
    """Two injections would be in each other's way: docker's is left alone, and one line says so."""
    program.answers(images={"cuda": LABELLED})
    words = ["run", *options.split(), "cuda"]
    done = program.run(*words, NV_GPU="0")
    assert (done.returncode, done.stdout) == (0, "(docker output)\n")
    sentence = f"Warning: no GPU is added: {options} asks docker itself for GPUs\n"
    assert re.fullmatch(MESSAGE + sentence, done.stderr)
    assert program.commands == [words]


def test_nv_docker(program) -> None:
    """Its words go before every argument, in questions too."""
    program.answers(images={"ubuntu": PLAIN}, **{"global options": ["-D", "-l", "info"]})
    program.run("-l", "info", "run", "ubuntu", NV_DOCKER="docker -D")
    assert [command[:4] for command in program.commands] == [
        ["-D", "-l", "info", "image"],
        ["-D", "-l", "info", "run"],
    ]


def test_debug(program) -> None:
    """NV_DEBUG: where it happened, after what happened."""
    done = program.run("ps", NV_HOST="fd://", NV_DEBUG="1")
    assert re.search("Error: invalid remote host URI .*\nTraceback", done.stderr)
    assert "Traceback" not in program.run("ps", NV_HOST="fd://").stderr


def test_version_without_reader(program) -> None:
    """A closed pipe is no traceback; the status is that of a program ended by SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [program.folder / "nvidia-docker", "version"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_imports_of_a_plain_command(program) -> None:
    """What docker ps pays for: these of ours, and none of the modules that cost 4 ms and more."""
    text = (program.folder / "nvidia-docker").read_text()
    program.stand_in("nvidia-docker", text.replace(" -IS\n", " -ISXimporttime\n", 1))
    imported = set(re.findall(r"\| +(\S+)$", program.run("ps").stderr, re.MULTILINE))
    ours = {name for name in imported if name.startswith("nvidia_docker.")}
    names = "errors host host.docker host.process cli cli.main cli.environment cli.docker_command"
    assert ours == {f"nvidia_docker.{name}" for name in names.split()}
    assert not imported & {"dataclasses", "enum", "json", "re", "subprocess", "threading", "typing"}
