"""What stands on the trunk at the end, and how much of it is claimed to be a gain: the words of the ladder."""

from __future__ import annotations

from swarm.records import Rung
from swarm.snapshot.records import ExperimentView, Snapshot, TrunkView
from swarm.wording.formatting import plural

LADDER = """\
- **seen**: one run.
- **carried**: a gain is to be expected of it, so the trunk goes on from it; what turns out to lose is undone.
- **kept**: it stands on the trunk, and all runs make it at least as likely a real gain as none.
- **confirmed**: better on fresh seeds.
- **champion**: the best of the confirmed."""


def standing(snapshot: Snapshot) -> list[ExperimentView]:
    """The experiments whose edits the newest state of the trunk consists of, oldest first."""
    known = {view.id: view for view in snapshot.experiments}
    return [known[name] for name in snapshot.standing if name in known]


def line_to(snapshot: Snapshot, position: int) -> list[TrunkView]:
    """The steps that the trunk's state at a position consists of, oldest first: without those that were taken back."""
    restored = {view.id: view.restores for view in snapshot.experiments}
    line: list[TrunkView] = []
    for step in snapshot.trunk:
        if step.position > position:
            break
        if original := restored.get(step.experiment):  # of the baseline nothing stands here
            line = line[: 1 + next((place for place, one in enumerate(line) if one.experiment == original), -1)]
        elif step.position:
            line.append(step)
    return line


def is_weighed(snapshot: Snapshot) -> bool:
    """Whether the steps have chances: under a policy that carries, where there is noise."""
    return any(view.real is not None for view in standing(snapshot))


def is_kept(view: ExperimentView, snapshot: Snapshot) -> bool:
    """Whether a step is called a gain: by its chance, for a champion's line is confirmed as a whole."""
    if view.real is None:
        return view.rung not in (Rung.CARRIED, Rung.UNDONE)
    return view.real >= snapshot.kept_from and view.rung != Rung.UNDONE


def kept_steps(snapshot: Snapshot) -> list[ExperimentView]:
    """The steps that are called kept, wherever that word stands with a number: they stand on the trunk, and are claimed
    to be gains. A verdict `keep` alone is none: what was carried, undone or rejected since is not among them."""
    return [view for view in standing(snapshot) if is_kept(view, snapshot)]


def rung_text(view: ExperimentView) -> str:
    """A step's rung, with its chance where it has one."""
    return view.rung if view.real is None else f"{view.rung} (p={view.real:.2f})"


def tally(snapshot: Snapshot) -> str:
    """How many steps stand, and how many of them are kept; empty where the steps have no chances."""
    if not is_weighed(snapshot):
        return ""
    return f"{plural(len(standing(snapshot)), 'step')} on the trunk, {len(kept_steps(snapshot))} of them kept"


def tally_explained(snapshot: Snapshot) -> str:
    """The same with what kept means."""
    words = tally(snapshot)
    odds = "at least even odds" if snapshot.kept_from == 0.5 else f"odds of at least {snapshot.kept_from:.0%}"
    meaning = f"{odds} to be real gains; in simulation 2 to 7% of those are not"
    return f"{words} ({meaning})" if words else ""
