"""The swarms of a repository by comparability key: only results under one key are ever ranked."""

from __future__ import annotations

from collections.abc import Mapping

from swarm import foreign
from swarm.ledger.database import Ledger
from swarm.ledger.overview import SwarmInShort, swarms_in_short
from swarm.ledger.rows import SwarmRow
from swarm.snapshot.records import SwarmView

_WORDS = {
    "device": "device",
    "data": "data",
    "fixed": "fixed files",
    "threads": "number of threads",
    "torch": "torch version",
    "result": "file of results",
    "pattern": "pattern of results",
    "include": "included data",
    "readable": "readable folders",
    "pass_env": "passed variables",
}


def comparable_swarms(ledger: Ledger, swarm: SwarmRow) -> tuple[SwarmView, ...]:
    """Every swarm of the repository, `swarm` too: group by group, its own group first, and in each the best first."""
    known = {short.tag: short for short in swarms_in_short(ledger)}
    views = [_view(short, _parts(swarm.key)) for short in known.values()]
    order = list(dict.fromkeys(view.key for view in sorted(views, key=lambda view: bool(view.differs))))

    def place(view: SwarmView) -> tuple[int, bool, float]:
        sign = 1 if known[view.tag].direction == "lower" else -1
        return order.index(view.key), view.best is None, sign * (view.best or 0.0)

    return tuple(sorted(views, key=place))


def opened(key: str) -> tuple[str, ...]:
    """What the swarm of this key had opened for its runs, for people."""
    parts = _parts(key)
    lists = {"pass_env": "the variables {} of your shell", "readable": "the folders {}"}
    found = ["the network"] if parts.get("network") else []
    found += [
        text.format(", ".join(map(str, names)))
        for name, text in lists.items()
        if isinstance(names := parts.get(name), list)
    ]
    return tuple(found)


def _view(short: SwarmInShort, own: Mapping[str, object]) -> SwarmView:
    key = _parts(short.key)
    return SwarmView(
        tag=short.tag,
        key=short.key,
        device=short.device,
        budget=short.budget,
        status=short.status,
        experiments=short.experiments,
        keep=short.keep,
        kept=short.kept,
        baseline=short.baseline,
        best=short.best,
        differs=tuple(sorted(_WORDS.get(name, name) for name in own.keys() | key if own.get(name) != key.get(name))),
    )


def _parts(key: str) -> Mapping[str, object]:
    """What a comparability key is made of; a simulated swarm's is but a word."""
    return foreign.parse_object(key) or {"key": key}
