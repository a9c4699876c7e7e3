"""All findings of a repository, for a researcher that learns from every one: briefings hold only the newest."""

from __future__ import annotations

from msgspec.structs import replace

from swarm.records import Briefing
from swarm.researchers.protocol import BoardAccess


class History:
    """Fills a briefing up with the findings that it is too short for and that this agent was not shown before, as
    after a restart."""

    def __init__(self, board: BoardAccess) -> None:
        self._board = board
        self._shown: set[str] = set()

    async def completed(self, briefing: Briefing) -> Briefing:
        """The briefing with all findings that are new to this agent, newest first."""
        told = list(briefing.findings)
        self._shown.update(finding.experiment for finding in told)
        judged = sum(number for *_, number in briefing.tally)
        if not told or len(self._shown) >= judged:
            return briefing
        # From the newest on, so that all are in the order of their verdicts; verdicts of the meantime are left out.
        told = told[:1]
        while len(self._shown) < judged and (page := await self._board.history(told[-1].experiment)):
            told += page
            self._shown.update(finding.experiment for finding in page)
        return replace(briefing, findings=tuple(told))
