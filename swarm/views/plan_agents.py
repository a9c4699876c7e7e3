"""The agents of a planned swarm, who thinks for them and what the sweep may turn, in rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm.board.program import roles
from swarm.launch.plan import nothing_to_turn, researcher_options
from swarm.researchers.registry import profile_of
from swarm.text import read_text

if TYPE_CHECKING:
    from swarm.launch.plan import Plan


def agent_rows(plan: Plan) -> dict[str, str]:
    """Who thinks, for whom the program has sections, and where the agents work, by what each row is about."""
    return {
        "researcher": _researcher(plan),
        **_prices(plan),
        **_roles(plan),
        "agents": f"{len(plan.slots)} on {plan.device}: {_names(list(plan.slots))}{_hosts(plan)}",
    }


def knob_rows(plan: Plan) -> dict[str, str]:
    """How many numbers and choices the sweep found, and where, if it takes part."""
    if "sweep" not in plan.researchers.values():
        return {}
    places = sorted(plan.code.knobs.items(), key=lambda place: -place[1])
    if plan.idle:
        return {"knobs": f"none: {nothing_to_turn(plan.project)}"}
    if not places:
        return {"knobs": "none: the sweep's agents have no number to turn, only other changes to try"}
    number = sum(plan.code.knobs.values())
    found = f"{number} numbers and choices" if number > 1 else "1 number or choice"
    named = [f"{path} {number}" for path, number in places[:4]]
    more = [f"{len(places) - 4} more"] if len(places) > 4 else []
    where = places[0][0] if len(places) == 1 else f"{len(places)} files: {', '.join([*named, *more])}"
    return {"knobs": f"{found} in {where}"}


def _researcher(plan: Plan) -> str:
    names = list(dict.fromkeys(plan.researchers.values()))
    if len(names) == 1:
        return ": ".join(filter(None, (names[0], profile_of(names[0]).about)))
    agents_of = {name: [agent for agent, own in plan.researchers.items() if own == name] for name in names}
    return "; ".join(f"{name} for {_names(agents)}" for name, agents in agents_of.items())


def _prices(plan: Plan) -> dict[str, str]:
    """What thoughts are billed by: a limit on money is as good as that."""
    options = researcher_options(plan.config, plan.project)
    told = {name: costs(options) for name in plan.researchers.values() if (costs := profile_of(name).costs)}
    return {"prices": "; ".join(f"{name}: {price}" for name, price in told.items())} if told else {}


def _roles(plan: Plan) -> dict[str, str]:
    """Which sections of the program are for whom, so that a misspelt name is seen."""
    path = plan.root / plan.project.program
    found = roles(read_text(path.read_bytes()).text) if path.is_file() else ()
    readers = []
    for role in found:
        agents = [agent for agent, researcher in plan.researchers.items() if role.is_for(agent, researcher)]
        readers.append(f"{role.subject or 'a section of its own'} for {_names(agents) or f'nobody: no {role.called}'}")
    return {"roles": "; ".join(readers)} if readers else {}


def _hosts(plan: Plan) -> str:
    there = ", ".join(f"{count} on {host}" for host, count in plan.hosts.items())
    return f"; there now: {there}" if there else ""


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{names[0]} to {names[-1]}"
