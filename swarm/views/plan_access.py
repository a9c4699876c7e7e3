"""What the runs of a planned swarm can see and reach, in rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm.execution.sandbox.sandbox import exposure, missing, protection
from swarm.launch.access import keys_among, unset
from swarm.project.environment import own_environment
from swarm.wording.formatting import plural

if TYPE_CHECKING:
    from swarm.launch.plan import Plan


def access_rows(plan: Plan) -> dict[str, str]:
    """What runs get beyond the commit, what they will miss, and what keeps them in, by what each row is about."""
    project, included, missing_here = plan.project, plan.access.included, set(unset(plan.project))
    own = own_environment(plan.root)
    passed = [f"{name} (NOT SET in this shell)" if name in missing_here else name for name in project.pass_env]
    keys = keys_among(project)
    committed = [f"{pattern} is in the commit already, which every run has" for pattern in included.committed]
    brought = f"{', '.join(link.path for link in included.links[:4])}{' and more' * (len(included.links) > 4)}"
    size = f"{plural(len(included.files), 'file')}, {included.size / 1e6:,.0f} MB, to be read only, {included.key}"
    rows = {
        "environment": str(own) if own else "",
        "included": "; ".join([f"{brought} ({size})"] * bool(included.links) + committed),
        "readable": ", ".join(project.readable) + (f"; KEYS LIE IN {', '.join(keys)}" if keys else ""),
        "passed": f"EDITED CODE CAN READ THESE VARIABLES: {', '.join(passed)}" if passed else "",
        "network": "OPEN: edited code can send what it reads anywhere" if project.network else "",
        "not there": "; ".join(plan.access.unheld),
        "sandbox": _sandbox(plan),
    }
    return {name: text for name, text in rows.items() if text}


def _sandbox(plan: Plan) -> str:
    """What keeps a training from the rest of the machine, or, plainly, that nothing does."""
    if plan.config.sandbox == "off":
        return f"off: {exposure()}"
    if why := missing():
        return f"NONE ({why}): {exposure()}"
    return protection(plan.project.network)
