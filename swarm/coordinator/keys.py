"""Keys in this process's environment: Ray's daemons start without them, agents that need them get them in memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, MutableMapping

from swarm.execution.sandbox.secret_variables import is_secret

_RAYS = "RAY_"  # its own settings, a token of its cluster among them


def keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are secrets, but for Ray's own."""
    return {name: value for name, value in environment.items() if not name.startswith(_RAYS) and is_secret(name, value)}


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
