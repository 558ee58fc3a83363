# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The docker that the command nvidia-docker finds in the root of a recording.

It logs how it is called. The docker that nvidia-docker has become prints ``(docker output)``;
a docker that nvidia-docker started is asked something, and answers from the docker_conf of the
recording (README there). It is asked in other words than v1 asked: what is recognised is the
question. A question that docker_conf has no answer to is logged as such, and fails.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Answer = tuple[int, str, str]
    """Exit status, output and errors."""
    Options = dict[str, str]

FOLDER = "DOCKER_STAND_IN"
"""Variable with the folder of a case, which has:"""
CONF, CALLS, PULLED = "conf.json", "calls", "pulled"
VARIABLES = (
    "CUDA_DISABLE_UNIFIED_MEMORY",
    "CUDA_CACHE_DISABLE",
    "CUDA_VISIBLE_DEVICES",
    "NV_GPU",
    "NV_HOST",
    "DOCKER_HOST",
)
"""Those that the recorded stand-in logged."""
BECOME, QUESTION, UNKNOWN = "become", "question", "unknown question"

_FORMS = ("version", "image inspect", "inspect", "image pull", "pull", "volume inspect")
_UNKNOWN_STATUS = 99
_SEPARATE_VALUES = ("--format", "-f", "--type", "--platform")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main(argv: Sequence[str]) -> int:
    """Log a call and answer it; the exit status."""
    folder = os.environ[FOLDER]
    with open(f"{folder}/{CONF}", encoding="utf-8") as file:
        conf = json.load(file)
    words = argv[1 + int(conf.get("skip_words", 0)) :]
    if os.getppid() == conf["parent"]:
        _log(folder, BECOME, argv)
        return _say((int(conf.get("exec_rc", 0)), "(docker output)\n", ""))
    engine = Engine(conf, _pulled(folder))
    answer = engine.answer(words)
    _log(folder, QUESTION if answer else UNKNOWN, argv)
    if answer is None:
        return _say((_UNKNOWN_STATUS, "", f"the stand-in does not know what is asked: {words}\n"))
    with open(f"{folder}/{PULLED}", "w", encoding="utf-8") as file:
        json.dump(engine.pulled, file)
    return _say(answer)


def _say(answer: Answer) -> int:
    status, output, errors = answer
    sys.stdout.write(output)
    sys.stderr.write(errors)
    return status


def _log(folder: str, kind: str, argv: Sequence[str]) -> None:
    variables = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    call = {"kind": kind, "argv": [os.path.basename(argv[0]), *argv[1:]], "env": variables}
    with open(f"{folder}/{CALLS}", "a", encoding="utf-8") as file:
        file.write(json.dumps(call) + "\n")


def _pulled(folder: str) -> list[str]:
    try:
        with open(f"{folder}/{PULLED}", encoding="utf-8") as file:
            return list(json.load(file))
    except FileNotFoundError:
        return []


class Engine:
    """A client with the engine that docker_conf tells of; ``pulled``: images that came later."""

    def __init__(self, conf: Mapping[str, str], pulled: Sequence[str] = ()) -> None:
        self._conf = conf
        self.pulled = list(pulled)

    def answer(self, words: Sequence[str]) -> Answer | None:
        """Answer a question, global options before it; ``None``: docker_conf does not tell."""
        if words[-1:] == ["--help"]:
            # Knows no option that nvidia-docker does not know.
            return 0, "\nUsage:  docker COMMAND\n\nOptions:\n      --help   Print usage\n", ""
        for position in _after_global_options(words):
            for form in _FORMS:
                end = position + len(form.split())
                if list(words[position:end]) == form.split():
                    return self._answer(form, *_read(words[end:]))
        return None

    def _answer(self, form: str, options: Options, operands: list[str]) -> Answer | None:
        if form == "version":
            return self._version(options.get("--format", ""))
        if len(operands) != 1:
            return None
        if form == "volume inspect":
            return self._volume(operands[0])
        if form in ("image pull", "pull"):
            return self._pull(operands[0])
        if form == "inspect" and options.get("--type") != "image":
            return None
        return self._image(operands[0], options.get("--format", "[{{json .}}]"))

    def _version(self, template: str) -> Answer | None:
        if "version_err" in self._conf:
            return 1, "", f"{self._conf['version_err']}\n"
        if template != "{{.Client.Version}}":
            return None
        return 0, f"{self._conf.get('client_version', '17.03.1-ce')}\n", ""

    def _image(self, name: str, template: str) -> Answer | None:
        if f"image.{name}" not in self._conf and name not in self.pulled:
            return 1, "", f"Error: No such image: {name}\n"
        start = f"label.{name}."
        labels = {key[len(start) :]: self._conf[key] for key in self._conf if key.startswith(start)}
        for value in labels.values():
            if value.startswith("err:"):
                return 1, "", f"{value[len('err:') :]}\n"
        image = {"RepoTags": [name], "Config": {"Labels": labels or None, "Env": [_PATH]}}
        text = _filled(template, image)
        return None if text is None else (0, f"{text}\n", "")

    def _pull(self, name: str) -> Answer:
        result = self._conf.get(f"pull.{name}", "Error response from daemon: pull access denied")
        if result != "ok":
            return 1, "", f"{result}\n" if result else ""
        self.pulled.append(name)
        return 0, f"Using default tag: latest\nlatest: Pulling from {name}\nStatus: done\n", ""

    def _volume(self, name: str) -> Answer:
        if f"volume.{name}" not in self._conf:
            return 1, "[]\n", f"Error: No such volume: {name}\n"
        return 0, json.dumps([{"Name": name, "Driver": self._conf[f"volume.{name}"]}]) + "\n", ""


def _after_global_options(words: Sequence[str]) -> Iterator[int]:
    """Yield where the command may be: a word after an option may be its value."""
    is_value = False
    for position, word in enumerate(words):
        is_option = word.startswith("-")
        if not is_option:
            yield position
            if not is_value:
                return
        is_value = is_option and "=" not in word


def _read(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Return the options of a question, and what it is about."""
    options: Options = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        name, equals, value = rest.pop(0).partition("=")
        if not equals and name in _SEPARATE_VALUES and rest:
            value = rest.pop(0)
        options["--format" if name == "-f" else name] = value
    return options, rest[1:] if rest[:1] == ["--"] else rest


def _filled(template: str, value: Mapping[str, object]) -> str | None:
    """Return a template of ``{{json .A.B}}`` filled in; ``None``: it has more than that."""
    parts = template.split("{{json .")
    text = parts[0]
    for part in parts[1:]:
        path, end, after = part.partition("}}")
        found: object = value
        for key in filter(None, path.split(".")):
            if not isinstance(found, dict) or key not in found:
                return None
            found = found[key]
        text += json.dumps(found) + after if end else "{{"
    return None if "{{" in text else text


if __name__ == "__main__":
    sys.exit(main(sys.argv))
