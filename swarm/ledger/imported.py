"""Results of other tools, entered as judged experiments that nothing here is ever compared with."""

from __future__ import annotations

from msgspec import Struct

from swarm.ledger.database import Ledger
from swarm.records import Status

TAG = "import"  # of all imported experiments; no swarm has that name, so that nothing ranks or resumes them
SHORT = 7  # digits of a commit in results.tsv


class Imported(Struct, frozen=True):
    """One experiment that another tool made. `value` is None for a crash."""

    id: str
    origin: str  # the file it stood in
    key: str
    intent: str
    title: str
    rationale: str
    status: Status
    value: float | None
    gain: float | None
    peak_vram_mb: float | None
    reason: str
    at: float  # unix seconds


def own_commits(ledger: Ledger) -> set[str]:
    """The commits that were made here, as results.tsv shortens them."""
    rows = ledger.rows("SELECT commit_sha FROM experiments WHERE tag != ? AND commit_sha IS NOT NULL", TAG)
    return {row["commit_sha"][:SHORT] for row in rows}


def newest_sequence(ledger: Ledger) -> int:
    return ledger.value("SELECT max(sequence) FROM experiments WHERE tag = ?", TAG) or 0


def enter_imported(ledger: Ledger, found: Imported, sequence: int) -> bool:
    """Enters it with its one run; False where the ledger has it."""
    if ledger.value("SELECT 1 FROM experiments WHERE id = ?", found.id):
        return False
    common = {"tag": TAG, "agent": found.origin, "source": found.id, "parent": ""}
    ledger.insert(
        "experiments",
        id=found.id,
        owner=found.origin,
        sequence=sequence,
        state="judged",
        key=found.key,
        intent=found.intent,
        title=found.title,
        rationale=found.rationale,
        category="imported",
        knobs="{}",
        position=0,
        status=found.status,
        gain=found.gain,
        n=int(found.value is not None),
        failure="code" if found.status is Status.CRASH else None,
        reason=found.reason,
        created=found.at,
        judged=found.at,
        **common,
    )
    state = {"state": "crashed"} if found.value is None else {"state": "measured", "value": found.value, "audited": 0}
    ledger.insert(
        "runs",
        id=f"{found.id}.1",
        attempt=1,
        experiment=found.id,
        purpose="first",
        seed=0,
        fence=0,
        started=found.at,
        peak_vram_mb=found.peak_vram_mb,
        **state,
        **common,
    )
    return True
