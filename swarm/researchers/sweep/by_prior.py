"""The playbook's first moves in the order that prior art says: what paid elsewhere first, what lost there last."""

from __future__ import annotations

from collections.abc import Sequence

from swarm.project.prior import like
from swarm.records import Briefing, Idea


def ranked(ideas: Sequence[Idea], briefing: Briefing) -> list[Idea]:
    """Known gains of this device by their size, then what nobody tells of as it stood, then what only lost."""
    prior = [record for record in briefing.prior if record.device in ("", briefing.device)]

    def place(idea: Idea) -> float:
        gains = [record.gain or 0.0 for record in like(idea, prior)]
        if not gains:
            return 0.0
        return -max(gains) if max(gains) > 0 else 1.0

    return sorted(ideas, key=place)
