"""Which researcher `auto` means on this machine: the first of the registry that offers itself and can work here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from swarm.errors import UsageError
from swarm.project.researcher_options import SHORTHANDS
from swarm.researchers.options import MAX_USD
from swarm.researchers.protocol import Profile, Researcher
from swarm.researchers.registry import REGISTRY, create, profile_of

ANY = "*"


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


def refuse_unknown(given: Iterable[str], names: Iterable[str]) -> None:
    """UsageError for an option that none of the researchers called `names` takes; one with a flag of its own may be
    there for another."""
    taken = {option for name in names for option in _taken(name)}
    if ANY in taken:
        return
    for option in given:
        if option not in taken and option not in {name for name, _ in SHORTHANDS.values()}:
            near = difflib.get_close_matches(option, sorted(taken), n=1)
            remedy = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(taken)) or 'none'}"
            raise UsageError(f"--option {option}: no researcher of this launch takes it; {remedy}")


def _taken(name: str) -> Iterator[str]:
    """The options of a researcher by name, or of all that `auto` may come to; `ANY` where it declares none."""
    profiles = [profile_of(name)] if name != "auto" else [p for p in map(profile_of, REGISTRY) if p.offers]
    for profile in profiles:
        yield from (ANY,) if profile.options is None else (option.name for option in profile.options)


def introduce(asked: str, names: Iterable[str], options: Mapping[str, str]) -> str:
    """The line that a launch begins with: who thinks, why, and what it may cost. `names` is what `asked` came to."""
    if "auto" in re.split(r"[,:\s]+", asked):
        return f"{asked}: {choose(options).reason}"
    return f"{asked}, as asked" + (f"; {_limit(options)}" if any(profile_of(name).pays for name in names) else "")


def _cost(profile: Profile, options: Mapping[str, str]) -> str:
    if not profile.pays:
        return "it costs nothing"
    models = [option.read(options) for option in profile.options or () if option.name == "model"]
    return ", ".join([*(f"model {model or 'its own default'}" for model in models), _limit(options)])


def _limit(options: Mapping[str, str]) -> str:
    return f"at most ${MAX_USD.read(options):.2f}"
