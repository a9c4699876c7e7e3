"""Who thinks for which agent: one researcher for all, or a mix such as `claude:4,sweep:4`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from swarm.errors import UsageError

_PART = re.compile(r"\s*(?P<name>[^\s,]+?)(?::(?P<count>\d{1,6}))?\s*")


def assign(mix: str, agents: Sequence[str]) -> dict[str, str]:
    """For each agent, in order, the name of its researcher.

    `mix` is `NAME[:COUNT]`, with commas between several. One of them may stand without a number: it takes the agents
    that are left. A name may hold a colon of its own (`mine:Louder`, `mine:Louder:2`). UsageError where the numbers do
    not fit the agents.
    """
    parts = [_read(mix, part) for part in mix.split(",")]
    wanted, open_places = sum(count or 0 for _, count in parts), [name for name, count in parts if count is None]
    if len(open_places) > 1:
        raise UsageError(
            f"--researcher {mix}: {' and '.join(open_places)} stand without a number; give all but one how many agents"
            f" they think for, as in {open_places[0]}:1,{open_places[1]}"
        )
    if wanted > len(agents) or (wanted < len(agents) and not open_places):
        raise UsageError(
            f"--researcher {mix} is for {wanted} {_agents(wanted)}, and there {_are(len(agents))}: change the numbers,"
            " or leave one of them out, which then takes the agents that are left"
        )
    dealt = [name for name, count in parts for _ in range(len(agents) - wanted if count is None else count)]
    return dict(zip(agents, dealt, strict=True))


def _read(mix: str, part: str) -> tuple[str, int | None]:
    read = _PART.fullmatch(part)
    if read is None or read["count"] == "0":
        raise UsageError(f"--researcher {mix}: {part!r} is none; give a NAME, or several as NAME:COUNT,NAME:COUNT")
    return read["name"], int(read["count"]) if read["count"] else None


def _agents(count: int) -> str:
    return "agent" if count == 1 else "agents"


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"
