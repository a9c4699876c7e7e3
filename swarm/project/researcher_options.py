"""The options of a single researcher as a launch is given them: `--option name=value`, or a setting of their own.

Which options there are, each researcher's class declares (swarm/researchers/options.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from swarm.errors import UsageError
from swarm.project.durations import Seconds
from swarm.project.values import read_value, unit_of
from swarm.text import one_line, printable

SHORTHANDS: Mapping[str, tuple[str, Any]] = {  # settings that set an option, and its type; a later spelling wins
    "model": ("model", str),
    "base_url": ("url", str),
    "usd_per_mtok": ("price", str),
    "script": ("script", str),
    "think": ("think", Seconds),
    "command": ("command", str),
    "command_env": ("environment", str),
    "researcher_command": ("command", str),
    "researcher_command_env": ("environment", str),
}


def read_options(given: Mapping[str, Any], called: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """Each option among the settings given in one place: its value, and what it was `called` there.

    UsageError where it cannot be read. An option given as such goes before its shorthand.
    """
    found = {}
    for setting, (option, hint) in SHORTHANDS.items():
        if given.get(setting) is not None:
            found[option] = _text(given[setting], hint, called(setting)), called(setting)
    name = called("option")
    for option, value in _pairs(given.get("option") or {}, name):
        found[option] = _text(value, str, f"{name} {option}"), f"{name} {option}"
    return found


def _pairs(given: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A table of options; or texts such as turns=20, in a variable one a line."""
    if isinstance(given, dict):
        yield from given.items()
        return
    for text in given.splitlines() if isinstance(given, str) else given if isinstance(given, (list, tuple)) else ("",):
        option, sign, value = str(text).partition("=")
        if not (sign and option.strip()):
            raise UsageError(one_line(printable(f"{name} {text!r:.80}: write an option as name=value, as in turns=20")))
        yield option.strip(), value


def _text(value: Any, hint: Any, name: str) -> str:
    read = read_value(value, hint, name, from_text=True)
    if unit_of(hint) is None:
        return str(read)
    if not 0 <= read < math.inf:
        raise UsageError(f"{name} {read:g}: it must not be below 0, and must be finite")
    return f"{read:.12g}"
