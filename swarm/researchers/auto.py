"""The best researcher that this machine has: the first of the registry that offers itself and can work here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from swarm.researchers.llm.money import MAX_USD
from swarm.researchers.protocol import Profile, Researcher
from swarm.researchers.registry import REGISTRY, create, profile_of


@dataclass(frozen=True, slots=True)
class Choice:
    """A researcher by name, and in one line why it is this one and what it may spend."""

    name: str
    reason: str


def choose(options: Mapping[str, str] | None = None) -> Choice:
    """What `auto` means here: the first whose check is met. The last that offers itself needs nothing."""
    options = options or {}
    missing: list[str] = []
    for name in REGISTRY:
        profile = profile_of(name)
        if not profile.offers:
            continue
        check = profile.check(options) if profile.check else None
        if check and not check.met:
            missing.append(check.found)
            continue
        why = " and ".join([*([check.found] if check else ()), *missing])
        return Choice(name, f"{profile.title or name}, as {why}; {_cost(profile, options)}")
    raise AssertionError("nobody offers to think without anything")


def auto(agent: str, seed: int, options: Mapping[str, str]) -> Researcher:
    """The chosen researcher."""
    return create(choose(options).name, agent, seed, options)


def resolve(name: str, options: Mapping[str, str]) -> str:
    """The name itself, or what `auto` means."""
    return choose(options).name if name == "auto" else name


def introduce(asked: str, names: Iterable[str], options: Mapping[str, str]) -> str:
    """The line that a launch begins with: who thinks, why, and what it may cost. `names` is what `asked` came to."""
    if "auto" in re.split(r"[,:\s]+", asked):
        return f"{asked}: {choose(options).reason}"
    return f"{asked}, as told" + (f"; {_limit(options)}" if any(profile_of(name).pays for name in names) else "")


def _cost(profile: Profile, options: Mapping[str, str]) -> str:
    if not profile.pays:
        return "it costs nothing"
    models = [option.read(options) for option in profile.options or () if option.name == "model"]
    return ", ".join([*(f"model {model or 'its own default'}" for model in models), _limit(options)])


def _limit(options: Mapping[str, str]) -> str:
    return f"at most ${MAX_USD.read(options):.2f}"
