"""The best researcher that this machine has: Claude by API with a key, else Claude Code, else the sweep."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from swarm.researchers.cli.claude_code import installed
from swarm.researchers.llm.researcher import KEY, MAX_USD, MODEL
from swarm.researchers.protocol import Researcher
from swarm.researchers.registry import create


@dataclass(frozen=True, slots=True)
class Choice:
    """A researcher by name, and in one line why it is this one and what it may spend."""

    name: str
    reason: str


def choose(options: Mapping[str, str] | None = None) -> Choice:
    """What `auto` means here. With a key the API, else `claude` on the PATH, else the sweep."""
    options = options or {}
    limit = _limit(options)
    if options.get("api_key") or os.environ.get(KEY):
        return Choice("claude", f"claude by API, as {KEY} is set; model {options.get('model') or MODEL}, {limit}")
    if installed(options):
        model = options.get("model") or "its own default"
        return Choice(
            "claude-code", f"claude-code, as `claude` is on the PATH and no {KEY} is set; model {model}, {limit}"
        )
    return Choice("sweep", f"the sweep, as {KEY} is not set and `claude` is not on the PATH; it costs nothing")


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
    paid = {"claude", "claude-code"} & set(names)
    return f"{asked}, as told" + (f"; {_limit(options)}" if paid else "")


def _limit(options: Mapping[str, str]) -> str:
    return f"at most ${float(options.get('max_usd') or MAX_USD):.2f}"
