"""Keys in this process's environment: Ray's daemons start without them, agents that need them get them in memory."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping

from swarm.execution.slot import passes

_NAMES = re.compile(
    r"key|token|secret|passw|credential|auth|cookie|signature|private|webhook|notify|_push$|dsn$"
    r"|^aws_|^anthropic_|^google_",
    re.IGNORECASE,
)
_VALUES = re.compile(
    r"://[^/\s@]+:[^/\s@]+@|^(?:sk|ghp|gho|ghs|glpat|xox[abp]|hf|AKIA|ASIA|AIza|eyJ)[-_A-Za-z0-9]{12,}"
)
_OPEN = frozenset(["SSH_AUTH_SOCK", "XAUTHORITY", "GPG_AGENT_INFO"])  # places, without which tools ask for passwords
_RAYS = "RAY_"  # its own settings, a token of its cluster among them


def keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables whose name or value looks like a key. What every run is given anyway is none."""
    return {name: value for name, value in environment.items() if _is_key(name, value)}


def _is_key(name: str, value: str) -> bool:
    if name in _OPEN or name.startswith(_RAYS) or passes(name, value):
        return False
    return bool(_NAMES.search(name) or _VALUES.search(value))


@contextlib.contextmanager
def without_keys(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """While this lasts, what is started inherits no key. This process has them again afterwards."""
    taken = keys(environment)
    for name in taken:
        del environment[name]
    try:
        yield
    finally:
        environment.update(taken)
