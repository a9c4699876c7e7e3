"""The tables of a ledger, and how a ledger of an earlier format becomes one of this format."""

from __future__ import annotations

APPLICATION_ID = 0x41525357  # "ARSW"
VERSION = 8
OLDEST = 5  # the earliest format that can be brought up to date

_ABLATIONS = """
CREATE TABLE ablations (
    id INTEGER PRIMARY KEY, tag TEXT NOT NULL, experiment TEXT NOT NULL, source TEXT NOT NULL, asked TEXT NOT NULL,
    room INTEGER, level REAL, deviation REAL, shares TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open',
    minimal TEXT, loss REAL, low REAL, high REAL, pairs INTEGER NOT NULL DEFAULT 0, verified INTEGER NOT NULL DEFAULT 0,
    began REAL NOT NULL, ended REAL);
CREATE INDEX ablations_by_tag ON ablations (tag, state);
CREATE TABLE ablation_steps (
    ablation INTEGER NOT NULL, place INTEGER NOT NULL, experiment TEXT NOT NULL, before TEXT NOT NULL,
    source TEXT NOT NULL, x REAL, s REAL, gain REAL, low REAL, high REAL, runs INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0, together TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (ablation, place)) WITHOUT ROWID;
CREATE TABLE ablation_codes (
    ablation INTEGER NOT NULL, number INTEGER NOT NULL, wanted TEXT NOT NULL, steps TEXT NOT NULL, source TEXT,
    fault TEXT NOT NULL DEFAULT '', verifies INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (ablation, number)) WITHOUT ROWID;
"""
_TABLES = f"""
CREATE TABLE swarms (
    tag TEXT PRIMARY KEY, started REAL NOT NULL, ended REAL, status TEXT NOT NULL, stop TEXT NOT NULL DEFAULT '',
    base_commit TEXT NOT NULL, base_source TEXT NOT NULL, from_tag TEXT, key TEXT NOT NULL, device TEXT NOT NULL,
    metric TEXT NOT NULL, direction TEXT NOT NULL, policy TEXT NOT NULL, researcher TEXT NOT NULL,
    budget REAL NOT NULL, deadline REAL, max_experiments INTEGER, max_usd REAL, max_tokens INTEGER,
    sigma_prior REAL, sigma REAL, reason TEXT NOT NULL DEFAULT '', settings TEXT NOT NULL,
    measured INTEGER NOT NULL DEFAULT 0, measured_seconds REAL NOT NULL DEFAULT 0,
    closing INTEGER NOT NULL DEFAULT 0);
CREATE TABLE agents (
    tag TEXT NOT NULL, agent TEXT NOT NULL, device TEXT NOT NULL, category TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0, position INTEGER NOT NULL DEFAULT 0, joined REAL, seconds REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (tag, agent));
CREATE TABLE sources (
    sha TEXT NOT NULL, path TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (sha, path)) WITHOUT ROWID;
CREATE TABLE trunk (
    tag TEXT NOT NULL, position INTEGER NOT NULL, source TEXT NOT NULL, experiment TEXT, at REAL NOT NULL,
    measured INTEGER NOT NULL DEFAULT 0, -- runs of the swarm that had given a number by then
    PRIMARY KEY (tag, position)) WITHOUT ROWID;
CREATE TABLE experiments (
    id TEXT PRIMARY KEY, tag TEXT NOT NULL, agent TEXT NOT NULL, owner TEXT NOT NULL, sequence INTEGER NOT NULL,
    baseline INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, key TEXT NOT NULL, intent TEXT NOT NULL,
    title TEXT NOT NULL, rationale TEXT NOT NULL, category TEXT NOT NULL, knobs TEXT NOT NULL,
    parent TEXT NOT NULL, position INTEGER NOT NULL, source TEXT, added_size INTEGER NOT NULL DEFAULT 0,
    again TEXT NOT NULL DEFAULT '', diff TEXT NOT NULL DEFAULT '',
    refresh INTEGER NOT NULL DEFAULT 0, repairs INTEGER NOT NULL DEFAULT 0,
    status TEXT, rung TEXT NOT NULL DEFAULT 'seen', gain REAL, se REAL, n INTEGER NOT NULL DEFAULT 0,
    outcome TEXT, failure TEXT, reason TEXT NOT NULL DEFAULT '', created REAL NOT NULL, started REAL, judged REAL,
    verdict INTEGER, commit_sha TEXT, restores TEXT, quarantine TEXT NOT NULL DEFAULT '',
    real REAL, real_at_verdict REAL,
    UNIQUE (tag, agent, sequence));
CREATE UNIQUE INDEX one_live_claim ON experiments (intent, key)
    WHERE baseline = 0 AND state IN ('claimed', 'drafted', 'testing');
CREATE INDEX experiments_by_state ON experiments (tag, state, owner, baseline);
CREATE INDEX experiments_by_intent ON experiments (intent, key);
CREATE INDEX experiments_by_verdict ON experiments (judged, id, rung) WHERE state = 'judged' AND baseline = 0;
CREATE INDEX experiments_by_outcome ON experiments (category, status) WHERE state = 'judged' AND baseline = 0;
CREATE INDEX changes_by_age ON experiments (key, created, id, source) WHERE state != 'abandoned' AND diff != '';
CREATE INDEX experiments_kept ON experiments (judged, id, rung)
    WHERE state = 'judged' AND baseline = 0 AND status = 'keep';
CREATE INDEX experiments_flagged ON experiments (source) WHERE status = 'keep' AND rung IN ('invalid', 'tainted');
CREATE INDEX experiments_crowned ON experiments (tag) WHERE rung = 'champion';
CREATE UNIQUE INDEX verdicts_in_order ON experiments (tag, verdict) WHERE verdict IS NOT NULL;
CREATE TABLE fingerprints (
    fingerprint TEXT NOT NULL, key TEXT NOT NULL, experiment TEXT NOT NULL,
    PRIMARY KEY (fingerprint, key)) WITHOUT ROWID;
CREATE TABLE changes (
    change TEXT NOT NULL, key TEXT NOT NULL, experiment TEXT NOT NULL,
    PRIMARY KEY (change, key, experiment)) WITHOUT ROWID;
CREATE INDEX changes_by_experiment ON changes (experiment);
CREATE TABLE runs (
    id TEXT NOT NULL, attempt INTEGER NOT NULL, tag TEXT NOT NULL, experiment TEXT NOT NULL, agent TEXT NOT NULL,
    purpose TEXT NOT NULL, seed INTEGER NOT NULL, source TEXT NOT NULL, parent TEXT NOT NULL, state TEXT NOT NULL,
    fence INTEGER NOT NULL, started REAL NOT NULL, seconds REAL, training_seconds REAL,
    value REAL, steps REAL, audited INTEGER, sandboxed INTEGER, peak_vram_mb REAL, failure TEXT, result TEXT, late TEXT,
    confirmation INTEGER, recorded INTEGER, -- its number among the swarm's measured runs, in the order of their records
    PRIMARY KEY (id, attempt)) WITHOUT ROWID;
CREATE UNIQUE INDEX one_run_per_agent ON runs (tag, agent) WHERE state = 'running';
CREATE UNIQUE INDEX one_result_per_run ON runs (id) WHERE state IN ('running', 'measured', 'crashed');
CREATE INDEX runs_by_source ON runs (tag, source, state, seed);
CREATE INDEX runs_by_experiment ON runs (experiment);
CREATE INDEX runs_by_state ON runs (tag, state, purpose, seconds);
CREATE INDEX runs_by_start ON runs (tag, started) WHERE state = 'measured';
CREATE INDEX runs_in_order ON runs (tag, recorded) WHERE recorded IS NOT NULL;
CREATE INDEX runs_by_confirmation ON runs (confirmation) WHERE confirmation IS NOT NULL;
CREATE TABLE confirmations (
    id INTEGER PRIMARY KEY, tag TEXT NOT NULL, experiment TEXT NOT NULL, source TEXT NOT NULL,
    rival_experiment TEXT NOT NULL, rival TEXT NOT NULL, asked TEXT NOT NULL, wanted INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'open', gain REAL, low REAL, high REAL, p REAL, n INTEGER, m INTEGER,
    began REAL NOT NULL, ended REAL);
CREATE INDEX confirmations_by_tag ON confirmations (tag, state);
{_ABLATIONS}CREATE TABLE answers (request TEXT PRIMARY KEY, at REAL NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (at);
CREATE TABLE payments (
    id INTEGER PRIMARY KEY, tag TEXT NOT NULL, agent TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL,
    state TEXT NOT NULL, usd REAL NOT NULL, prompt INTEGER NOT NULL, cached INTEGER NOT NULL DEFAULT 0,
    output INTEGER NOT NULL DEFAULT 0);
CREATE INDEX payments_by_tag ON payments (tag, agent);
CREATE TABLE notes (id INTEGER PRIMARY KEY, tag TEXT NOT NULL, at REAL NOT NULL, text TEXT NOT NULL);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, tag TEXT NOT NULL, at REAL NOT NULL, agent TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL, experiment TEXT);
CREATE INDEX events_by_tag ON events (tag, id);
"""

# What the board asks for at every step stands in the swarm's row: counting it anew takes longer with every run.
_COUNTED = """
    UPDATE swarms SET measured = measured + 1, measured_seconds = measured_seconds + coalesce(new.seconds, 0),
        closing = closing + (new.purpose IN ('closing', 'ablate')) WHERE tag = new.tag;
    UPDATE runs SET recorded = (SELECT measured FROM swarms WHERE tag = new.tag)
        WHERE id = new.id AND attempt = new.attempt;
"""
_TRIGGERS = f"""
CREATE TRIGGER measured_at_once AFTER INSERT ON runs WHEN new.state = 'measured' BEGIN {_COUNTED} END;
CREATE TRIGGER measured_at_last AFTER UPDATE OF state ON runs WHEN new.state = 'measured' AND old.state != 'measured'
BEGIN {_COUNTED} END;
"""
TABLES = f"{_TABLES}{_TRIGGERS}"

# What leads from one format to the next, by the format that it starts from.
#
# Format 5 knew the outcome of a verdict only by the words with which its reason began.
_OUTCOMES = """
ALTER TABLE experiments ADD COLUMN outcome TEXT;
UPDATE experiments SET outcome = CASE
    WHEN tag = 'import' THEN NULL
    WHEN status = 'crash' THEN 'crashed'
    WHEN baseline THEN 'baseline'
    WHEN restores IS NOT NULL THEN 'restored'
    WHEN status = 'keep' AND reason LIKE 'simpler by%' THEN 'simpler'
    WHEN status = 'keep' THEN 'gained'
    WHEN reason LIKE 'no-op%' THEN 'no effect'
    WHEN reason LIKE 'near miss%' THEN 'near miss'
    WHEN reason LIKE 'guard:%' THEN 'broke a guard'
    ELSE 'no gain' END
    WHERE state = 'judged';
DELETE FROM answers;
"""

# Format 6 did not know in which order runs were recorded, which the levels of a trunk's states depend on.
_ORDER = f"""
ALTER TABLE experiments ADD COLUMN real REAL;
ALTER TABLE experiments ADD COLUMN real_at_verdict REAL;
ALTER TABLE runs ADD COLUMN recorded INTEGER;
ALTER TABLE trunk ADD COLUMN measured INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET recorded = ranked.number FROM (
    SELECT id, attempt, row_number() OVER (PARTITION BY tag ORDER BY started + coalesce(seconds, 0), id) AS number
    FROM runs WHERE state = 'measured') AS ranked WHERE ranked.id = runs.id AND ranked.attempt = runs.attempt;
UPDATE trunk SET measured = (SELECT count(*) FROM runs WHERE runs.tag = trunk.tag AND runs.state = 'measured'
    AND runs.started + coalesce(runs.seconds, 0) <= trunk.at);
CREATE INDEX runs_in_order ON runs (tag, recorded) WHERE recorded IS NOT NULL;
DROP TRIGGER measured_at_once;
DROP TRIGGER measured_at_last;
{_TRIGGERS}
DELETE FROM answers;
"""

# Format 7 knew of no ablations, whose runs are at the swarm's end as the closing ones are.
_LEFT_OUT = f"""
{_ABLATIONS}
DROP TRIGGER measured_at_once;
DROP TRIGGER measured_at_last;
{_TRIGGERS}
DELETE FROM answers;
"""
STEPS = {5: _OUTCOMES, 6: _ORDER, 7: _LEFT_OUT}


def migration(version: int) -> str:
    """The statements that bring a ledger of that format up to date."""
    return "".join(STEPS[step] for step in range(version, VERSION))
