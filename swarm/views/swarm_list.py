"""All swarms of a repository, as the verb `ls` prints them: for people, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from swarm.ledger.overview import SwarmInShort
from swarm.text import moment
from swarm.views.columns import Column, fitting_table
from swarm.views.strict_json import strict_json
from swarm.wording.formatting import Portable, Scale, clean, quantity


class SwarmList(Struct, frozen=True):
    """One row per swarm, newest first; each metric stands in its own scale. `statuses` says of each tag what it is."""

    swarms: Sequence[SwarmInShort]
    statuses: Mapping[str, str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns: list[Column[SwarmInShort]] = [
            Column("swarm", lambda s: Text(clean(s.tag), "bold"), 0),
            Column("status", lambda s: Text(clean(self.statuses[s.tag])), 1),
            Column("started", lambda s: Text(moment(s.started, None).strftime("%b %d %H:%M"), "dim"), 4),
            Column("experiments", lambda s: Text(str(s.experiments)), 5, right=True),
            Column("keep", lambda s: Text(str(s.keep)), 6, right=True),
            Column("kept", lambda s: Text(str(s.kept)), 3, right=True),
            Column("metric", lambda s: Text(clean(s.metric)), 6),
            Column("baseline", lambda s: Text(_scale(s).value(s.baseline)), 7, right=True),
            Column("newest trunk", lambda s: Text(_scale(s).value(s.best)), 2, right=True),
            Column("run", lambda s: Text(quantity(s.budget, " s", 0 if s.budget >= 1 else 1), "dim"), 9, right=True),
            Column("device", lambda s: Text(clean(s.device), "dim"), 8),
        ]
        yield Portable(fitting_table(columns, self.swarms, options.max_width))


def _scale(swarm: SwarmInShort) -> Scale:
    return Scale.for_value(clean(swarm.metric), swarm.direction, swarm.baseline)


def list_json(swarms: Sequence[SwarmInShort], statuses: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each swarm as an object, newest first; `baseline` and `best` (the newest trunk) are plain means of their runs,
    or null. Only swarms of one `key` may be ranked."""
    return [{**strict_json(swarm), "status": statuses[swarm.tag]} for swarm in swarms]
