"""What lies in the ledger, as records: sources, the trunk's tip, means; and how swarms are founded and closed there."""

from __future__ import annotations

import functools
import json
import math
import sqlite3

from swarm.ledger.database import Ledger
from swarm.novelty.code import constants
from swarm.records import Idea, Rung, Source

# Of a row of experiments, in the metric's units: the plain mean of its own runs of its newest code. Later refreshes and
# closing runs of that code do not count: the number stands in a commit's message, and must not change.
# A step that restores an earlier one has that one's.
OWN_MEAN = """(SELECT avg(runs.value) FROM runs WHERE runs.experiment = coalesce(experiments.restores, experiments.id)
    AND runs.source = experiments.source AND runs.state = 'measured'
    AND runs.purpose IN ('baseline', 'first', 'replicate'))"""

# What is in quarantine: in SQL its rungs, and the code that one night (its tag is the parameter) has kept of it. Only
# the runs of that night were false: where another one starts from such code, it measures it anew.
FLAGGED = f"('{Rung.INVALID}', '{Rung.TAINTED}')"
FLAGGED_SOURCES = (
    "(SELECT source FROM experiments INDEXED BY experiments_flagged"
    f" WHERE status = 'keep' AND rung IN {FLAGGED} AND tag = ?)"
)


def store_source(ledger: Ledger, source: Source) -> str:
    sha = source.sha
    for path, content in source.files.items():
        ledger.execute("INSERT OR IGNORE INTO sources (sha, path, content) VALUES (?, ?, ?)", sha, path, content)
    return sha


def load_source(ledger: Ledger, sha: str) -> Source:
    """The stored source; KeyError where there is none."""
    rows = ledger.rows("SELECT path, content FROM sources WHERE sha = ?", sha)
    if not rows:
        raise KeyError(sha)
    return Source({row["path"]: row["content"] for row in rows})


def known_constants(ledger: Ledger, sha: str, device: str) -> dict[str, float | int | str]:
    """The constants of a stored source for a device ("cuda: NVIDIA H200"), in which ideas name what they turn."""
    return _constants(tuple(sorted(load_source(ledger, sha).files.items())), device.split(":")[0])


@functools.lru_cache(maxsize=4)  # every idea of every agent starts from the trunk's tip
def _constants(files: tuple[tuple[str, bytes], ...], device: str) -> dict[str, float | int | str]:
    return constants(Source(dict(files)), device)


def tip(ledger: Ledger, tag: str) -> sqlite3.Row:
    """The newest step of the trunk."""
    return ledger.one("SELECT * FROM trunk WHERE tag = ? ORDER BY position DESC LIMIT 1", tag)


def champion(ledger: Ledger, tag: str) -> sqlite3.Row | None:
    """The step of the trunk that is the best confirmed; None while the baseline leads."""
    return ledger.row(
        "SELECT trunk.* FROM experiments INDEXED BY experiments_crowned CROSS JOIN trunk"
        " ON trunk.tag = experiments.tag AND trunk.experiment = experiments.id"
        " WHERE experiments.tag = ? AND experiments.rung = 'champion'",
        tag,
    )


def leader(ledger: Ledger, tag: str) -> sqlite3.Row:
    """The step that the night is judged by: the champion, or else the newest. Never chosen by its own number."""
    return champion(ledger, tag) or tip(ledger, tag)


def original(ledger: Ledger, step: sqlite3.Row) -> str:
    """The experiment that first brought the step's code: one that restores it is not to be praised for it."""
    name = step["experiment"]
    while restored := ledger.value("SELECT restores FROM experiments WHERE id = ?", name):
        name = restored
    return name


def idea_of(row: sqlite3.Row) -> Idea:
    """The idea behind a row of experiments."""
    return Idea(row["title"], row["rationale"], row["category"], json.loads(row["knobs"]), row["again"])


def researcher_of(swarm: sqlite3.Row, agent: str) -> str:
    """Who thinks for the agent: its part of the mix; whatever the swarm as a whole says where none was noted."""
    return json.loads(swarm["settings"]).get("researchers", {}).get(agent, swarm["researcher"])


def own_mean(ledger: Ledger, experiment: str) -> float | None:
    """OWN_MEAN of one experiment; None without a measured run."""
    return ledger.value(f"SELECT {OWN_MEAN} FROM experiments WHERE id = ?", experiment)


def interval(gain: float | None, se: float | None) -> tuple[float | None, float | None]:
    """The 95% interval around a judged gain."""
    if gain is None or not se or not math.isfinite(se):  # an error of 0 is one that was never seen
        return None, None
    return gain - 1.96 * se, gain + 1.96 * se


def found(
    ledger: Ledger, source: Source, agents: dict[str, tuple[str, str]], fingerprint: str, at: float, **swarm: object
) -> None:
    """A new swarm: its row, the untouched code as position 0 of its trunk, a baseline experiment per agent.

    `agents` maps each agent's name to (device, category to look at first); `swarm` holds the other columns.
    """
    tag, key = swarm["tag"], swarm["key"]
    with ledger.transaction():
        sha = store_source(ledger, source)
        ledger.insert("swarms", started=at, status="running", base_source=sha, **swarm)
        ledger.insert("trunk", tag=tag, position=0, source=sha, experiment=None, at=at)
        for agent in agents:
            add_baseline(ledger, str(tag), agent, str(key), sha, at)
        ledger.execute(
            "INSERT OR IGNORE INTO fingerprints (fingerprint, key, experiment) VALUES (?, ?, ?)",
            *(fingerprint, key, f"{tag}-{next(iter(agents))}-0000"),
        )
        seat_agents(ledger, str(tag), agents)


def reopen(
    ledger: Ledger,
    tag: str,
    agents: dict[str, tuple[str, str]],
    at: float,
    hours: float | None,
    max_experiments: int | None,
    researcher: str,
    settings: str,
    max_usd: float | None = None,
    max_tokens: int | None = None,
) -> None:
    """An ended swarm goes on. The hours it was launched with go on where they stopped; other hours count from now.

    Money and tokens spent before count as before; where no other limit of them is given, the old one holds.
    The clock may have been set since: what is left is counted by the clock that was used until the end.
    """
    swarm = ledger.one("SELECT * FROM swarms WHERE tag = ?", tag)
    deadline = at + hours * 3600 if hours else None
    if hours and hours == json.loads(swarm["settings"]).get("hours") and swarm["deadline"]:
        newest = ledger.value("SELECT at FROM events WHERE tag = ? ORDER BY id DESC LIMIT 1", tag)
        last = newest or swarm["started"]
        deadline = at + max(0.0, swarm["deadline"] - last)
    with ledger.transaction():
        ledger.execute(
            "UPDATE swarms SET status = 'running', stop = '', reason = '', ended = NULL, deadline = ?,"
            " max_experiments = ?, researcher = ?, settings = ?, max_usd = coalesce(?, max_usd),"
            " max_tokens = coalesce(?, max_tokens) WHERE tag = ?",
            *(deadline, max_experiments, researcher, settings, max_usd, max_tokens, tag),
        )
        for agent in agents:
            add_baseline(ledger, tag, agent, swarm["key"], swarm["base_source"], at)
        seat_agents(ledger, tag, agents)
        ledger.insert("events", tag=tag, at=at, agent="swarm", kind="resumed", text="")


def seat_agents(ledger: Ledger, tag: str, agents: dict[str, tuple[str, str]]) -> None:
    """Rows for the agents; one that exists keeps its fence, and takes the device it runs on now."""
    for agent, (device, category) in agents.items():
        ledger.execute(
            "INSERT INTO agents (tag, agent, device, category) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (tag, agent) DO UPDATE SET device = excluded.device",
            *(tag, agent, device, category),
        )


def add_baseline(ledger: Ledger, tag: str, agent: str, key: str, sha: str, at: float) -> None:
    ledger.execute(
        "INSERT OR IGNORE INTO experiments (id, tag, agent, owner, sequence, baseline, state, key, intent, title,"
        " rationale, category, knobs, parent, position, source, created)"
        " VALUES (?, ?, ?, ?, 0, 1, 'testing', ?, '', 'baseline', 'the untouched code', 'baseline', '{}', ?, 0, ?, ?)",
        *(f"{tag}-{agent}-0000", tag, agent, agent, key, sha, sha, at),
    )


def next_id(ledger: Ledger, tag: str, agent: str) -> tuple[int, str]:
    """The number and the name of the next experiment that stands under the agent's name."""
    sequence = 1 + ledger.value("SELECT max(sequence) FROM experiments WHERE tag = ? AND agent = ?", tag, agent)
    return sequence, f"{tag}-{agent}-{sequence:04d}"


def note_commits(ledger: Ledger, commits: dict[str, str]) -> None:
    """Which commits the history made: {experiment id: sha}."""
    for experiment, sha in commits.items():
        ledger.execute("UPDATE experiments SET commit_sha = ? WHERE id = ?", sha, experiment)


def abandon(ledger: Ledger, experiment: str, reason: str) -> None:
    """The experiment is as if it had never been thought of: its idea and its code may be tried again."""
    ledger.execute("UPDATE experiments SET state = 'abandoned', reason = ? WHERE id = ?", reason, experiment)
    for known in ("fingerprints", "changes"):
        ledger.execute(f"DELETE FROM {known} WHERE experiment = ?", experiment)


def close_others(ledger: Ledger, tag: str) -> None:
    """Only one swarm runs at a time: what others left unfinished is over, and their open ideas are free again."""
    for row in ledger.rows(
        "SELECT id FROM experiments WHERE tag != ? AND baseline = 0 AND state IN ('claimed', 'drafted', 'testing')", tag
    ):
        abandon(ledger, row["id"], "its swarm ended before it was decided")
    ledger.execute("UPDATE runs SET state = 'lost' WHERE tag != ? AND state = 'running'", tag)
    ledger.execute(
        "UPDATE swarms SET status = 'interrupted', ended ="
        " (SELECT max(swarms.started, coalesce(max(at), 0)) FROM events WHERE events.tag = swarms.tag)"
        " WHERE tag != ? AND ended IS NULL",
        tag,
    )


def newest_tag(ledger: Ledger) -> str | None:
    """The swarm that runs, or else the one that was started last; None where there never was one."""
    return ledger.value("SELECT tag FROM swarms ORDER BY ended IS NULL DESC, started DESC LIMIT 1")
