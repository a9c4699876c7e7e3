"""Imported results: shown to researchers with their origin, never compared, never twice, never first by a crash."""

from __future__ import annotations

from collections.abc import Callable

from swarm.board.briefing import dossier
from swarm.board.findings import findings
from swarm.history.import_results import import_results, read_results
from swarm.ledger.database import Ledger
from tests.board.nights import Night

FILE = b"""commit\tval_bpb\tmemory_gb\tstatus\tdescription
a\t1.00\t4.0\tkeep\tbaseline
b\t0.98\t4.0\tkeep\thalve the batch
c\t0.99\t4.0\tdiscard\twider
d\t0.000000\t0.0\tcrash\tdeeper
e\t1.90\t4.0\tkeep\tbaseline of the laptop
f\t1.85\t4.0\tkeep\twarm-up off
"""


def test_researchers_are_shown_what_was_tried_elsewhere(make_night: Callable[..., Night]) -> None:
    night = make_night()
    night.baselines()
    ledger = night.ledger
    rows, aside = read_results(FILE, "val_bpb")
    assert not aside
    assert import_results(ledger, "mar5.tsv", rows, "val_bpb", "lower", 1000.0) == 6
    known = {finding.title: finding for finding in night.board.briefing("gpu0").findings}
    assert len(known) == 6 and not any(finding.comparable for finding in known.values())
    batch, deeper = known["halve the batch"], known["deeper"]
    assert (batch.value, round(batch.gain or 0, 6), batch.n, batch.status, batch.low) == (0.98, 0.02, 1, "keep", None)
    assert batch.reason == "imported from mar5.tsv, line 3: val_bpb 0.98"
    assert (deeper.value, deeper.gain, deeper.status) == (None, None, "crash")
    assert round(known["wider"].gain or 0, 6) == -0.01
    assert known["baseline of the laptop"].gain is None  # the other machine's numbers say nothing about it
    assert round(known["warm-up off"].gain or 0, 6) == 0.05
    assert ledger.value("SELECT count(*) FROM runs WHERE value = 0") == 0
    assert ledger.value("SELECT count(*) FROM swarms") == 1
    assert dossier(night.transaction(), batch.experiment) is None  # nobody has its code


def test_the_same_file_again_changes_nothing() -> None:
    ledger = Ledger(None)
    rows, _ = read_results(FILE, "val_bpb")
    import_results(ledger, "mar5.tsv", rows[:3], "val_bpb", "lower", 1000.0)
    assert import_results(ledger, "copy.tsv", rows, "val_bpb", "lower", 2000.0) == 3
    assert import_results(ledger, "mar5.tsv", rows, "val_bpb", "lower", 3000.0) == 0
    assert ledger.value("SELECT count(*) FROM experiments") == ledger.value("SELECT count(*) FROM runs") == 6


def test_higher_is_better(make_night: Callable[..., Night]) -> None:
    night = make_night(direction="higher")
    ledger = night.ledger
    rows, _ = read_results(b"acc\tstatus\tidea\n0.8\tbaseline\tstart\n0.9\tkeep\twider\n", "acc")
    import_results(ledger, "a.tsv", rows, "acc", "higher", 0.0)
    assert {f.title: f.gain and round(f.gain, 6) for f in findings(night.transaction())} == {
        "start": None,
        "wider": 0.1,
    }
