"""What a swarm cost, and what a gain cost, in a sentence."""

from __future__ import annotations

from swarm.snapshot.records import Snapshot
from swarm.wording.formatting import dollars, machine_hours, share
from swarm.wording.markdown import code
from swarm.wording.standing import kept_steps


def cost(snapshot: Snapshot, usd_per_gpu_hour: float | None) -> str:
    """A Markdown sentence; `usd_per_gpu_hour` prices the machine, where known."""
    spent = f"Researcher {_thinking(snapshot)}; {machine_hours(snapshot)}"
    if usd_per_gpu_hour is None:
        priced = f"{code('--gpu-usd-per-hour')} prices them"
        return f"{spent} ({priced}){_per_gain(snapshot, snapshot.spent_usd) if snapshot.spent_usd else ''}."
    machine = snapshot.gpu_hours * usd_per_gpu_hour
    total = snapshot.spent_usd + machine
    words = f"{spent} at {dollars(usd_per_gpu_hour)} each are {dollars(machine)}; {dollars(total)} in all"
    return f"{words}{_per_gain(snapshot, total)}."


def _thinking(snapshot: Snapshot) -> str:
    """What the models cost, with their tokens where there were any."""
    if not snapshot.tokens:
        return dollars(snapshot.spent_usd)
    cached = "" if snapshot.cache_share is None else f", {share(snapshot.cache_share)} of the prompts from the cache"
    return f"{dollars(snapshot.spent_usd)} ({snapshot.tokens:,} tokens{cached})"


def _per_gain(snapshot: Snapshot, usd: float) -> str:
    """What a step cost that was kept, and one that was confirmed on fresh seeds."""
    kept = kept_steps(snapshot)
    confirmed = sum(e.rung in ("confirmed", "champion") for e in kept)
    parts = [f", {dollars(usd / len(kept))} for each kept step"] if kept else []
    parts += [f", {dollars(usd / confirmed)} for each confirmed gain"] if confirmed else []
    return "".join(parts)
