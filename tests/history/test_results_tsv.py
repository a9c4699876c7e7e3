"""results.tsv as it is found: what is certain is read, the rest is set aside with its line and reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.history.earlier import Row
from swarm.history.import_results import metrics_in, read_results

HEADING = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"

MESSY = """\ufeffcommit\tval_bpb\tmemory_gb\tstatus\tdescription\r
aaaaaaa\t0.997900\t44.0\tkeep\tbaseline\r
bbbbbbb\t0.993200\t44.2\tkeep\tLR 0.02→0.04
ccccccc\t1.005000\t45060.2\tdiscard\tGeLU, and a tab\there
ddddddd\t0.000000\t0.0\tcrash\tdouble width (OOM)
eeeeeee\t0.000000\t0.0\tdiscard\tstopped by hand at step 600
bbbbbbb\t0.993200\t44.2\tkeep\tLR 0.02→0.04
fffffff\tNA\t-\tkeep\ta number that nobody wrote down
ggggggg\t0.99\t1.0\ttentative\tnot decided

=====================================
second machine (2026-03-09)
=====================================
Columns: date, tag, val_bpb, steps, peak_vram_mb, status, description

2026-03-09, r0, 1.865391, 114, 1068.0, baseline, the same on a small card, and slower
2026-03-09, r1,  FAILED, 0, -, failed, no container
2026-03-10, r2, 1.86, 120, -, best, warm-up off
2026-03-10, r3, 1.85, 120
| commit | status | val_bpb | description |
|---|---|---|---|
| h1 | **keep** | 1.80 | from a page |
exp-02\tkeep\t0.99\t44.0\tin the order of another harness
free text about nothing
"""


def test_a_file_with_everything_in_it() -> None:
    rows, aside = read_results(MESSY.encode(), "val_bpb")
    assert rows == (
        Row(2, "aaaaaaa", 0.9979, 44.0 * 1024, "keep", "baseline", 1),
        Row(3, "bbbbbbb", 0.9932, 44.2 * 1024, "keep", "LR 0.02→0.04", 1),
        Row(4, "ccccccc", 1.005, 45060.2, "discard", "GeLU, and a tab here", 1),
        Row(5, "ddddddd", None, None, "crash", "double width (OOM)", 1),
        Row(16, "r0", 1.865391, 1068.0, "keep", "the same on a small card and slower", 2),
        Row(17, "r1", None, None, "crash", "no container", 2),
        Row(18, "r2", 1.86, None, "keep", "warm-up off", 2),
        Row(22, "h1", 1.8, None, "keep", "from a page", 2),
        Row(23, "exp-02", 0.99, 44.0 * 1024, "keep", "in the order of another harness", 2),
    )
    assert {line.line: line.reason for line in aside} == {
        6: "discard with 0, which is how crashed and aborted runs are written",
        7: "the same as line 3",
        8: "keep without a number: 'NA'",
        9: "status 'tentative' is none of keep, discard and crash",
        12: "not a row of a table",
        19: "4 cells, and the heading has 7",
        24: "not a row of a table",
    }


def test_a_crash_never_has_a_number() -> None:
    rows, _ = read_results(f"{HEADING}a\t0.5\t1\tcrash\tdied after its last good number\n".encode(), "val_bpb")
    assert rows[0].value is None


def test_another_metric_and_no_heading_at_all() -> None:
    rows, _ = read_results(b"accuracy,status,idea\n0.9,kept,wider\n", "accuracy")
    assert [(row.value, row.status, row.description) for row in rows] == [(0.9, "keep", "wider")]
    rows, aside = read_results(b"a1b2c3d\t0.99\t44.0\tkeep\tbaseline\n1\t2\t3\t4\t5\n", "val_bpb")
    assert len(rows) == len(aside) == 1


lines = st.lists(
    st.one_of(st.text(), st.text('0123456789.-\t,|"\0\r kepdiscrash'), st.sampled_from(MESSY.split("\n"))), max_size=8
)


@pytest.mark.parametrize("metric", ["val_bpb", "status", ""])
@given(data=st.one_of(st.binary(), lines.map(lambda parts: "\n".join(parts).encode("utf-8", "replace"))))
def test_no_bytes_are_too_odd(metric: str, data: bytes) -> None:
    rows, aside = read_results(data, metric)
    assert {row.line for row in rows}.isdisjoint(line.line for line in aside)
    assert all(row.value is None if row.status == "crash" else row.value for row in rows)


PARTS = st.sampled_from(
    ['{"type":"config","metricName":"val_bpb"}', '{"metric": 0.9, "status": "keep", "description": "x"}',
     '{"metrics": 3}', '{"metric": NaN, "status": [], "description": {}}',
     '{"config": {"metric": [1]}}', "[" * 5000, '{"status": null}',
     '{"metric": 1e999, "status": "keep", "description": "x", "commit": 3}', '{"kind": "run", "id": {}, "idea": 3}',
     "{"]
)  # fmt: skip


@given(st.lists(st.one_of(PARTS, st.text(max_size=20)), max_size=8), st.sampled_from(["val_bpb", "metric", ""]))
def test_no_lines_of_json_are_too_odd(parts, metric):
    data = "\n".join(['{"a": 1}', *parts]).encode("utf-8", "replace")
    rows, aside = read_results(data, metric)
    assert {row.line for row in rows}.isdisjoint(line.line for line in aside)
    assert all((row.value is None) == (row.status == "crash") for row in rows)
    assert all(direction in ("", "lower", "higher") for direction in metrics_in(data).values())
