# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which word is the command, which the image: tables, and a property over generated arguments."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli import (
    docker_command,
    docker_options,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "before",
    [
        "",
        "-it",
        "-i -t",
        "-e A=B",
        "-eA=B",
        "-eA",
        "-p80:80",
        "-p 80:80",
        "-p=80:80",
        "-v/a:/b",
        "-w/d",
        "-m512m",
        "-itv=/a:/b",
        "-itv/a:/b",
        "-itv /a:/b",
        "-itp 80:80",
        "-itdv/a:/b -eA",
        "-h name",
        "-hname",
        "--name x",
        "--name=x",
        "--name run",
        "--label a=b --env-file f",
        "--rm --privileged --read-only -P",
        "--rm=true -d=false",
        "-dit=false",
        "--no-healthcheck --init",
        "--sig-proxy=false",
        "--gpus all",
        "--gpus=all",
        "-q",
        "--quiet",
        "--use-api-socket",
        "--pull=always",
        "--pull always",
        "--volume-driver local -v data:/d",
        "--entrypoint --help",
        "--help=false",
        "--net host --dns-opt x",
        "--annotation a=b --health-start-interval 5s",
        "--unknown=value",
        "-z=value",
        "-v=",
    ],
)
@pytest.mark.parametrize("command", ["run", "create", "container run", "container create"])
def test_options_before_the_image(command: str, before: str) -> None:
    """Every shape of an option leaves the image where it is; words after it are the container's."""
    words = [*command.split(), *before.split(), "IMAGE", "cmd", "-x", "--rm", "IMAGE2"]
    found = docker_command.find(words)
    assert found.name == command.split()[-1]
    assert found.start == 0
    assert found.image == found.insert == words.index("IMAGE")


@pytest.mark.parametrize(
    "before",
    [
        "-D",
        "--debug=true",
        "-H=tcp://1.2.3.4:2375",
        "-H tcp://1.2.3.4:2375",
        "-Htcp://1.2.3.4:2375",
        "--host unix:///x -D",
        "--config /c --tls",
        "--context lab",
        "-c lab",
        "--tlsverify --tlscacert ca --tlscert cert --tlskey key",
        "-l debug",
        "-Dl debug",
        "-Dldebug",
        "--",
        "-D --",
        "--new=x",
        "--help",
        "-h",
        "-Dv",
        "--version",
        "-- -D",
        "-- -l info",
        "-- -linfo --tls",
        "-- --log-level info",
        "-- -- x",
    ],
)
def test_global_options(before: str) -> None:
    """Options of docker itself stand before the command; ours repeat them."""
    words = [*before.split(), "run", "--rm", "IMAGE"]
    found = docker_command.find(words)
    assert (found.name, found.start, found.image) == ("run", len(words) - 3, len(words) - 1)


@pytest.mark.parametrize("between", ["", "-h", "--help", "--help=x", "-h=x", "-- x", "--new x -h"])
def test_options_of_container(between: str) -> None:
    """docker looks past the options of its command container, and past a value of what it does not
    know; its help is not shown then."""
    words = ["container", *between.split(), "run", "--rm", "IMAGE", "cmd"]
    found = docker_command.find(words)
    assert (found.name, found.start, found.image) == ("run", 0, len(words) - 2)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ps -a",
        "exec -it c run nvidia/cuda",
        "service create nvidia/cuda",
        "volume create nvidia/cuda",
        "compose run web",
        "buildx create x",
        "network create n",
        "container",
        "container --help",
        "container ls run x",
        "help run IMAGE",
        "container run",
        "container -- run IMAGE",
        "container --help x run IMAGE",
        "container -D run IMAGE",
        "-- -l run IMAGE",
        "run",
        "run -it",
        "run --help",
        "run --help IMAGE",
        "run --rm --help IMAGE",
        "run --name",
        "run --unknown",
        "run --rm --",
        "--unknown ps",
        "-z images",
    ],
)
def test_no_image(line: str) -> None:
    """docker gets these as they are: no container is made, or docker says what is wrong."""
    assert docker_command.find(line.split()).image is None


@pytest.mark.parametrize(
    "words", [["run", ""], ["run", "-it", "", "IMAGE"], [""], ["", "run", "IMAGE"]]
)
def test_empty_words(words: list[str]) -> None:
    """An empty word is no option and no image; docker says so."""
    assert docker_command.find(words).image is None


def test_an_empty_value_is_a_value() -> None:
    """--entrypoint "" has a value."""
    assert docker_command.find(["run", "--entrypoint", "", "IMAGE"]).image == 3


@pytest.mark.parametrize(("word", "image"), [("-", 1), ("false", 2)])
def test_words_that_docker_takes_for_the_image(word: str, image: int) -> None:
    """A single dash, and a word after a boolean, are images for docker too."""
    words = ["run", *(["--rm"] if word == "false" else []), word, "IMAGE"]
    assert docker_command.find(words).image == image


def test_double_dash() -> None:
    """-- ends the options: ours must stand before it, or docker would take them for the image."""
    found = docker_command.find(["run", "--rm", "--", "IMAGE", "cmd"])
    assert (found.insert, found.image) == (2, 3)


def test_option_values() -> None:
    """All of them by the long name, in the user's order; booleans as Go reads them."""
    line = "run --pull never -e A=1 -qit=false -eB --pull=always --env C= --platform p -ie D I -e E"
    found = docker_command.find(line.split())
    given = {
        "pull": ("never", "always"),
        "env": ("A=1", "B", "C=", "D"),
        "quiet": ("true",),
        "interactive": ("true", "true"),
        "tty": ("false",),
        "platform": ("p",),
        "gpus": (),
    }
    assert {name: found.values(name) for name in given} == given
    assert (found.value("pull"), found.value("env"), found.value("gpus")) == ("always", "D", None)


def test_global_option_values() -> None:
    """By the long name, the last one counts."""
    found = docker_command.find(
        ["-Hx", "-c", "lab", "-D", "--host=y", "--config", "/c", "ps", "-Hz"]
    )
    given = {"host": "y", "context": "lab", "debug": "true", "config": "/c"}
    assert found.global_options == given


@pytest.mark.parametrize(
    ("before", "questions"),
    [
        ("", ""),
        ("-D -H x -- --tls", "-D -H x -- --tls"),
        ("--help -Dc lab -v", "--debug=true --context=lab"),
    ],
)
def test_questions(before: str, questions: str) -> None:
    """Our questions go to the same engine; docker answers them with its help if that is among
    their options, though it runs a container with the same ones."""
    words = [*before.split(), "run", "IMAGE"]
    assert docker_command.find(words).questions(words) == tuple(questions.split())


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("run --shiny IMAGE cmd", "--shiny"),
        ("run --rm --shiny IMAGE", "--shiny"),
        ("run -itz IMAGE", "-z"),
        ("create -z IMAGE", "-z"),
        ("--shiny run IMAGE", "--shiny"),
        ("-Z create IMAGE", "-Z"),
    ],
)
def test_unknown_options_are_not_guessed(line: str, option: str) -> None:
    """Whether the next word is a value can't be known; the sentence says how to write it."""
    with pytest.raises(InvalidInput, match=f"option {option} is not known .*{option}=VALUE"):
        docker_command.find(line.split())


def kinds(command: str, kind: bool) -> list[str]:
    """How the options of this kind are written."""
    table = docker_options.table(command)
    return sorted(word for word, (_dummy, value) in table.items() if value == kind)


BOOLEANS = kinds("run", docker_options.BOOLEAN)
VALUES = kinds("run", docker_options.VALUE)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


def _long(words: list[str]) -> list[str]:
    return [word for word in words if word.startswith("--")]


def _letters(words: list[str]) -> list[str]:
    return [word[1] for word in words if not word.startswith("--")]


def _options(booleans: list[str], values: list[str]) -> st.SearchStrategy[list[str]]:
    """Options as docker takes them, each a list of words."""
    cluster = st.text(st.sampled_from(_letters(booleans)), min_size=1, max_size=3)
    letter = st.sampled_from(_letters(values))
    plain = [word for word in booleans if word not in ("--help", "-h", "-v", "--version")]
    return st.one_of(
        st.sampled_from(plain).map(lambda word: [word]),
        st.sampled_from(_long(plain)).map(lambda word: [f"{word}=true"]),
        st.builds(lambda word, value: [word, value], st.sampled_from(values), TEXT),
        st.builds(lambda word, value: [f"{word}={value}"], st.sampled_from(_long(values)), TEXT),
        st.builds(lambda c, v, text: [f"-{c}{v}", text], cluster, letter, TEXT),
        st.builds(lambda c, v, text: [f"-{c}{v}{text}"], cluster, letter, TEXT.filter(bool)),
        cluster.map(lambda letters: [f"-{letters}"]),
    )


GLOBALS = _options(
    ["--debug", "-D", "--tls", "--tlsverify"],
    kinds("", docker_options.VALUE),
)
PLACES = st.tuples(
    st.lists(GLOBALS, max_size=3),
    st.sampled_from([["run"], ["create"], ["container", "run"], ["container", "create"]]),
    st.lists(_options(BOOLEANS, VALUES), max_size=6),
    st.sampled_from([[], ["--"]]),
    TEXT.filter(lambda text: text and not text.startswith("-")),
    st.lists(TEXT, max_size=3),
)


@given(PLACES)
def test_the_image_is_found_among_any_options(
    places: tuple[list[list[str]], list[str], list[list[str]], list[str], str, list[str]],
) -> None:
    """Whatever options docker knows stand before it, in whatever shape."""
    globals_, command, options, end, image, rest = places
    before = [word for words in globals_ for word in words]
    middle = [word for words in options for word in words]
    words = [*before, *command, *middle, *end, image, *rest]
    found = docker_command.find(words)
    assert found.start == len(before)
    assert found.insert == len(before) + len(command) + len(middle)
    assert found.image == found.insert + len(end)
    assert words[found.image] == image


@given(st.lists(TEXT | st.sampled_from(["run", "create", "container", "--", "-it", "-e", "--rm"])))
def test_any_words_can_be_read(words: list[str]) -> None:
    """Nothing that can be typed ends in anything but a place or a sentence."""
    try:
        found = docker_command.find(words)
    except InvalidInput:
        return
    if found.image is not None:
        assert found.start < found.insert <= found.image < len(words)
        assert words[found.insert : found.image] in ([], ["--"])
