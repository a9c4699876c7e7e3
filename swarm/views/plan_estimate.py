"""What a planned swarm comes to, in rows for people: how fast, how much until its limit, and what it costs at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm.launch.estimate import Estimate, estimate
from swarm.text import plural
from swarm.wording.formatting import about, dollars

if TYPE_CHECKING:
    from swarm.launch.plan import Plan


def estimate_rows(plan: Plan) -> dict[str, str]:
    """The rows `estimate` and `costs` of a plan."""
    known = estimate(plan)
    return {"estimate": _pace(plan, known), "costs": f"{_models(plan, known)}; {_machine(plan, known)}"}


def _pace(plan: Plan, known: Estimate) -> str:
    if known.run_seconds is None or known.first_verdict_seconds is None or known.experiments_per_hour is None:
        return "how long a run takes is known once the untouched code has run: `--dry-run --try` runs it now"
    why = "as the trial run took" if known.measured else "a guess from its budget"
    parts = [
        f"a run of about {about(known.run_seconds)} ({why})",
        f"the first verdict after about {about(known.first_verdict_seconds)}",
    ]
    rate = (
        f"{known.experiments_per_hour:.2g}" if known.experiments_per_hour < 10 else f"{known.experiments_per_hour:.0f}"
    )
    if known.experiments is None or known.seconds is None:
        return "; ".join([*parts, f"about {rate} experiments an hour, until you stop it"])
    number = known.experiments if known.experiments == plan.config.max_experiments else _rounded(known.experiments)
    return "; ".join([*parts, f"{plural(number, 'experiment')} ({rate} an hour), over in about"
                      f" {about(known.seconds)}"])  # fmt: skip


def _rounded(number: int) -> int:
    """With two digits that say anything: nobody knows the others."""
    return int(float(f"{number:.2g}"))


def _models(plan: Plan, known: Estimate) -> str:
    if known.models_usd == 0:
        return "models nothing"
    if known.models_usd is None:
        return "models what their own contracts say: only researchers that ship are billed against --max-usd"
    return f"models at most {dollars(known.models_usd)} (--max-usd)"


def _machine(plan: Plan, known: Estimate) -> str:
    price = plan.config.gpu_usd_per_hour
    if price is None:
        return "--gpu-usd-per-hour prices the machine"
    if known.machine_usd is None:
        return f"the machine {dollars(price * len(plan.slots))} an hour"
    return f"the machine at most {dollars(known.machine_usd)}"
