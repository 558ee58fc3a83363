# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks NVML through pynvml. "This GPU or this driver does not tell" becomes ``None`` here."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..errors import NvidiaDockerError

_MIB = 1024 * 1024


class NvmlError(NvidiaDockerError):
    """NVML answered with an error other than "not supported"."""

    def __init__(self, question: str, text: str) -> None:
        super().__init__(f"NVML can't tell the {question}: {text}")


class Asker:
    """Calls pynvml and gives plain values.

    A lenient one answers ``None`` to every refusal, not only to "not supported", and keeps it.
    """

    def __init__(self, binding: ModuleType, lenient: bool = False) -> None:
        self.nvml = binding
        self._lenient = lenient
        self.refused: list[str] = []
        """By a lenient one: questions that NVML refused with an error, and what it said."""
        self._absent = (
            binding.NVML_ERROR_NOT_SUPPORTED,
            binding.NVML_ERROR_FUNCTION_NOT_FOUND,
            binding.NVML_ERROR_NO_DATA,
            binding.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
            binding.NVML_ERROR_DEPRECATED,
        )

    def lenient(self) -> Asker:
        """Return one to which a refusal is no error."""
        return Asker(self.nvml, lenient=True)

    def value(self, question: str, name: str, *arguments: Any, absent: tuple[int, ...] = ()) -> Any:
        """Return what the function ``name`` of pynvml returns; ``absent`` are more refusals that
        are answered with ``None``."""
        try:
            return getattr(self.nvml, name)(*arguments)
        except self.nvml.NVMLError as error:
            if error.value in self._absent or error.value in absent:
                return None
            if self._lenient:
                self.refused.append(f"{question}: {error}")
                return None
            raise NvmlError(question, str(error)) from None
        except UnicodeDecodeError as error:
            # pynvml decodes strictly, but a process may call itself whatever it likes.
            return error.object.decode(errors="replace")

    def text(self, question: str, name: str, *arguments: Any) -> str | None:
        """Return a text."""
        value = self.value(question, name, *arguments)
        return None if value is None else str(value)

    def number(self, question: str, name: str, *arguments: Any) -> int | None:
        """Return a whole number."""
        value = self.value(question, name, *arguments)
        return None if value is None else int(value)

    def mib(self, question: str, name: str, field: str, *arguments: Any) -> int | None:
        """Return a byte count out of a struct, in MiB."""
        value = self.value(question, name, *arguments)
        return None if value is None else int(getattr(value, field)) // _MIB
