"""The researchers that ship, by name; anybody's own by `package.module:Class`; and who stands in for them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from swarm.errors import UsageError
from swarm.researchers.protocol import UNKNOWN, Profile, Researcher

REGISTRY: Mapping[str, str] = {  # in the order in which `auto` looks for one that can work here
    "auto": "swarm.researchers.auto:auto",
    "claude": "swarm.researchers.llm.models.anthropic:Claude",
    "claude-code": "swarm.researchers.cli.claude_code:ClaudeCode",
    "command": "swarm.researchers.cli.command:Command",
    "sweep": "swarm.researchers.sweep.sweep:Sweep",
    "scripted": "swarm.researchers.scripted:Scripted",
}
STAND_IN = "sweep"  # thinks where a researcher cannot: it needs nothing


def look_in(folder: Path) -> None:
    """Lets classes of one's own be found in the project's folder, too; after what is installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def create(name: str, agent: str, seed: int, options: Mapping[str, str] | None = None) -> Researcher:
    """The researcher called `name` (a key of REGISTRY, or `package.module:Class`), made for one agent."""
    return find(name)(agent=agent, seed=seed, options=dict(options or {}))


def stand_in(name: str, agent: str, seed: int) -> Researcher | None:
    """Who thinks where the researcher called `name` cannot; None where that is the one that always can."""
    return None if name == STAND_IN else create(STAND_IN, agent, seed)


def profile_of(name: str) -> Profile:
    """What the class behind `name` declares of itself; UsageError where there is none."""
    profile = getattr(find(name), "profile", UNKNOWN)
    return profile if isinstance(profile, Profile) else UNKNOWN


def secrets(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The options that the researcher needs on any host and nobody may see: handed over in memory, never written."""
    variables = profile_of(name).secrets
    return {option: environ[variable] for option, variable in variables.items() if environ.get(variable)}


def find(name: str) -> Callable[..., Researcher]:
    """The class (or function) behind `name`; UsageError that lists what exists where there is none."""
    path = REGISTRY.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        raise UsageError(
            f"no researcher is called {name!r}: there are {', '.join(sorted(REGISTRY))},"
            " or give your own as package.module:Class"
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the researcher {name!r} cannot be loaded: {error}") from error
