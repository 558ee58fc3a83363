# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a host does not meet the conditions of an image, and what would help, in words."""

from __future__ import annotations

from .cuda_releases import driver_branch
from .version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from .condition import Condition, Factor
    from .model import Device, Host

_MOST_ALTERNATIVES = 20
_OF_DRIVER = {"cuda": "CUDA", "driver": "driver"}
_OF_GPU = {"arch": "compute capability", "brand": "brand"}


def describe(unmet: Iterable[Condition], host: Host, gpus: Sequence[Device]) -> str:
    """Return what is unmet and what the host has, then what would help: ``cuda>=12.4 is not met
    (this host has CUDA 12.2): install ...``.

    ``gpus`` are those that the container was to get. Raises InvalidInput for a condition that can't
    be read.
    """
    told: set[str] = set()
    clauses, helps = [], []
    for condition in unmet:
        failing = [gpu for gpu in gpus if not condition.holds(host.driver, gpu)]
        terms = [_Unmet(term, host, failing) for term in condition.terms()]
        facts = dict.fromkeys(fact for term in terms for fact in term.facts())
        new = [fact for fact in facts if fact not in told]
        told.update(new)
        has = f" ({'; '.join(new)})" if new else ""
        clauses.append(_not_met(terms) + has)
        helps.append(min(terms, key=_Unmet.effort).help())
    return f"{', '.join(clauses)}: {'; '.join(dict.fromkeys(helps))}"


class _Unmet:
    """The factors of a term that do not hold, each with the GPUs for which it does not."""

    def __init__(self, term: Iterable[Factor], host: Host, gpus: Sequence[Device]) -> None:
        self._host = host
        self.factors: list[tuple[Factor, list[Device]]] = []
        for factor in term:
            failing = [gpu for gpu in gpus if not factor.holds(host.driver, gpu)]
            if failing or not factor.holds(host.driver, None):
                self.factors.append((factor, failing))

    def effort(self) -> int:
        """0 if a newer driver is enough: a driver can be replaced, a GPU hardly."""
        return 0 if all(self._wants_newer(factor) for factor, _dummy in self.factors) else 1

    def facts(self) -> list[str]:
        """What the host has of what is compared."""
        return [self._fact(factor, failing) for factor, failing in self.factors]

    def help(self) -> str:
        """What would make the term hold."""
        return " and ".join(dict.fromkeys(self._help(factor) for factor, _dummy in self.factors))

    def _fact(self, factor: Factor, failing: list[Device]) -> str:
        if factor.key in _OF_GPU:
            return "; ".join(
                f"{_name(gpu)} has {_OF_GPU[factor.key]} {factor.of_gpu(gpu)}" for gpu in failing
            )
        has = factor.of_driver(self._host.driver)
        if has is not None:
            return f"this host has {_OF_DRIVER[factor.key]} {has}"
        driver = self._host.driver.version
        return (
            f"this host has driver {driver} without CUDA" if driver else "this host has no driver"
        )

    def _wants_newer(self, factor: Factor) -> bool:
        if factor.key in _OF_GPU or factor.operator not in (">=", ">", "="):
            return False
        has = factor.of_driver(self._host.driver)
        return has is None or Version(has) <= factor.version

    def _help(self, factor: Factor) -> str:
        if factor.key in _OF_GPU:
            return self._other_gpu(factor)
        if self._host.driver.version is None:
            return "install the NVIDIA driver and load its kernel module"
        has = factor.of_driver(self._host.driver)
        if has is None:
            return "install the driver's CUDA library, libcuda.so.1"
        if not self._wants_newer(factor):
            return f"use an image that is made for {_OF_DRIVER[factor.key]} {has}"
        if factor.key == "driver":
            return f"install NVIDIA driver {factor.shown} or newer"
        return f"{self._newer_driver(factor)}, or use an image that is made for CUDA {has} or older"

    def _newer_driver(self, factor: Factor) -> str:
        branch = driver_branch(factor.version)
        # A driver that serves less than the table says has another problem than its age.
        if branch is None or Version(branch) <= Version(self._host.driver.version or "0"):
            return "install a newer NVIDIA driver"
        return f"install NVIDIA driver {branch} or newer"

    def _other_gpu(self, factor: Factor) -> str:
        for gpu in self._host.devices:
            if factor.of_gpu(gpu) and factor.holds(self._host.driver, gpu):
                return f"select another GPU, such as {_name(gpu)}"
        wanted = f"{_OF_GPU[factor.key]} {factor.operator} {factor.shown}"
        return f"run it on a host that has a GPU of {wanted}"


def _name(gpu: Device) -> str:
    return f"GPU {gpu.index} {gpu.uuid}"


def _not_met(terms: Iterable[_Unmet]) -> str:
    """Return each term's unmet factors; terms that differ by brand only are told together."""
    together: dict[str, dict[str, None]] = {}
    for term in terms:
        brands = [str(factor) for factor, _dummy in term.factors if factor.key == "brand"]
        others = [str(factor) for factor, _dummy in term.factors if factor.key != "brand"]
        together.setdefault(" and ".join(others), {})[" and ".join(brands)] = None
    told = [
        " and ".join(part for part in (others, brands) if part)
        for others, of_brands in together.items()
        for brands in _joined(of_brands)
    ]
    if len(told) == 1:
        return f"{told[0]} is not met"
    if len(told) > _MOST_ALTERNATIVES:
        told[_MOST_ALTERNATIVES:] = [f"{len(told) - _MOST_ALTERNATIVES} more"]
    return f"none of {', '.join(told)} is met"


def _joined(brands: Collection[str]) -> list[str]:
    """Return all as one text, ``brand=quadro/grid``, and first, if it is among them, none."""
    named = [one for one in brands if one][:_MOST_ALTERNATIVES]
    text = "/".join([*named[:1], *(one.removeprefix("brand=") for one in named[1:])])
    return [*([""] if "" in brands else []), *([text] if named else [])]
