"""The researchers that ship, by name; anybody's own by `package.module:Class`; and who stands in for them."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swarm.errors import UsageError
from swarm.researchers.protocol import UNKNOWN, Profile, Researcher
from swarm.text import one_line, printable

REGISTRY: Mapping[str, str] = {  # in the order in which `auto` looks for one that can work here
    "auto": "swarm.researchers.auto:auto",
    "claude": "swarm.researchers.llm.models.anthropic:Claude",
    "openai": "swarm.researchers.llm.models.openai:OpenAI",
    "claude-code": "swarm.researchers.cli.claude_code:ClaudeCode",
    "command": "swarm.researchers.cli.command:Command",
    "sweep": "swarm.researchers.sweep.sweep:Sweep",
    "scripted": "swarm.researchers.scripted:Scripted",
}
METHODS = ("propose", "edit", "repair")
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


def uses_keys(name: str) -> bool:
    """Whether the researcher may need variables that hold keys: somebody's own, one with a login, or with a command."""
    profile = profile_of(name)
    named = any(option.name == "environment" for option in profile.options or ())
    return profile.options is None or named or bool(profile.secrets)


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
            f"no researcher is called {name!r:.80}: there are {', '.join(sorted(REGISTRY))},"
            " or give your own as package.module:Class"
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever a file of one's own does when it is loaded
        said = one_line(printable(f"{type(error).__name__}: {error}"))[:300]
        raise UsageError(f"the researcher {name!r:.80} cannot be loaded: {said}") from error
    if fault := _fault(found):
        raise UsageError(
            f"{name!r:.80} is no researcher: {fault}; it is a class with the methods {', '.join(METHODS)}"
            " (docs/researchers.md)"
        )
    return found


def _fault(found: Any) -> str:
    """Why this makes no researchers; "" where it may."""
    if not callable(found):
        return "it cannot be called"
    try:
        inspect.signature(found).bind(agent="gpu0", seed=0, options={})
    except (TypeError, ValueError):
        return "it does not take agent, seed and options"
    lacking = [name for name in METHODS if not hasattr(found, name)] if isinstance(found, type) else []
    return f"it has no {lacking[0]}" if lacking else ""
