"""The researchers that ship, by name; anybody's own by `package.module:Class`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from swarm.errors import UsageError
from swarm.researchers.protocol import Researcher

REGISTRY: Mapping[str, str] = {
    "auto": "swarm.researchers.auto:auto",
    "claude": "swarm.researchers.llm.researcher:Claude",
    "claude-code": "swarm.researchers.cli.claude_code:ClaudeCode",
    "command": "swarm.researchers.cli.command:Command",
    "sweep": "swarm.researchers.sweep.sweep:Sweep",
    "scripted": "swarm.researchers.scripted:Scripted",
}


def create(name: str, agent: str, seed: int, options: Mapping[str, str] | None = None) -> Researcher:
    """The researcher called `name` (a key of REGISTRY, or `package.module:Class`), made for one agent."""
    return find(name)(agent=agent, seed=seed, options=dict(options or {}))


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
