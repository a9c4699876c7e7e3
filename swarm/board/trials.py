"""From a run to a verdict, inside the board's transaction: store it, gather the evidence, ask the judge, act on it."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean

from swarm.board import confirmations, quarantine, rollback
from swarm.board.contention import steps_of, undisturbed
from swarm.board.standing import NOOP
from swarm.board.traces import does_nothing
from swarm.board.verdicts import advance, close
from swarm.codec import decode, encode
from swarm.judge.guards import breach
from swarm.judge.noise import Noise
from swarm.judge.race import NEAR_MISS, Arm, Policy, Rules, incredible, parse, race
from swarm.judge.saturation import EDITS, SATURATED, indistinct
from swarm.ledger.database import Ledger
from swarm.ledger.measurements import noise, values
from swarm.ledger.queries import FLAGGED_SOURCES, abandon, tip
from swarm.ledger.runs import JUDGED
from swarm.records import Failure, Run, Rung, Status, Verdict

BASELINE_RUNS = 2  # of the untouched code, on every GPU
FAULTS, DEATHS = 3, 5  # how often a run may be lost: to the machine, and with its agent
INTERRUPTIONS = 10  # people may stop and resume a night; a training that always ends its own guard may not

UNBELIEVED = (
    "so large a gain is believed only from a referee, and its own code alone printed it; look at its diff, and give the"
    " project a `referee`"
)


def record(ledger: Ledger, swarm: sqlite3.Row, agent: str, run: Run, now: float) -> Verdict | None:
    """Stores the run in its row and judges what it belongs to. None where there is nothing to judge."""
    row = ledger.row("SELECT * FROM runs WHERE id = ? AND attempt = ?", run.run, run.attempt)
    if row is None or row["state"] in ("measured", "crashed"):
        return None
    if row["state"] == "lost":
        ledger.execute("UPDATE runs SET late = ? WHERE id = ? AND attempt = ?", encode(run), run.run, run.attempt)
        return None
    if run.metrics and not math.isfinite(run.metrics.value):
        run = replace(run, metrics=None, failure=Failure.NAN, reason=f"{swarm['metric']} is {run.metrics.value}")
    run = undisturbed(ledger, row, run)
    metrics, failure = run.metrics, run.failure
    state = "measured" if metrics else "crashed" if failure and failure.blames_the_idea else "lost"
    ledger.execute(
        "UPDATE runs SET state = ?, seconds = ?, training_seconds = ?, value = ?, steps = ?, audited = ?,"
        " peak_vram_mb = ?, sandboxed = ?, failure = ?, result = ? WHERE id = ? AND attempt = ?",
        state,
        run.seconds,
        run.training_seconds,
        metrics.value if metrics else None,
        steps_of(run),
        int(metrics.audited) if metrics else None,
        metrics.peak_vram_mb if metrics else None,
        int(run.sandboxed),
        failure,
        encode(run),
        run.run,
        run.attempt,
    )
    ledger.execute(
        "UPDATE agents SET seconds = seconds + ? WHERE tag = ? AND agent = ?", run.seconds, swarm["tag"], agent
    )
    experiment = ledger.one("SELECT * FROM experiments WHERE id = ?", row["experiment"])
    if state == "lost":
        return _lost(ledger, swarm, row, run.reason, now)
    if row["purpose"] not in JUDGED:
        if failure is Failure.INVALID:
            quarantine.expose(ledger, swarm, row, run, now)
        _fresh(ledger, swarm, row, now)
        return None
    if experiment["baseline"]:
        return _baseline(ledger, swarm, experiment, run, now)
    if state == "crashed":
        return _crashed(ledger, swarm, experiment, run, now)
    return _judge(ledger, swarm, experiment, now)


def lose_running(ledger: Ledger, swarm: sqlite3.Row, agent: str, now: float) -> bool:
    """What the agent was running, if anything, is lost without a word; the same run gets another attempt."""
    row = ledger.row("SELECT * FROM runs WHERE tag = ? AND agent = ? AND state = 'running'", swarm["tag"], agent)
    if row:
        ledger.execute("UPDATE runs SET state = 'lost' WHERE id = ? AND attempt = ?", row["id"], row["attempt"])
        _lost(ledger, swarm, row, "its agent went away", now)
    return row is not None


def _lost(ledger: Ledger, swarm: sqlite3.Row, run: sqlite3.Row, reason: str, now: float) -> Verdict | None:
    """A lost run is made again; one that was lost too often ends its experiment, lest it take every agent with it.

    A filler is stopped by design, as often as a draft comes before its end.
    """
    faults, silent, stopped = ledger.one(
        "SELECT total(failure IN (?, ?)), total(failure IS NULL), total(failure = ? AND purpose != 'filler') FROM runs"
        " WHERE id = ? AND state = 'lost'",
        *(Failure.INFRASTRUCTURE, Failure.STALL, Failure.INTERRUPTED, run["id"]),
    )
    if faults < FAULTS and silent < DEATHS and stopped < INTERRUPTIONS:
        return None
    ledger.execute("UPDATE runs SET state = 'crashed' WHERE id = ? AND attempt = ?", run["id"], run["attempt"])
    if run["purpose"] not in JUDGED:
        _fresh(ledger, swarm, run, now)
        return None
    reason = f"lost {run['attempt']} times: {reason}"
    if run["purpose"] == "baseline":
        return _crash(ledger, swarm, run["experiment"], Failure.INFRASTRUCTURE, reason, now)
    give_up(ledger, swarm, run["experiment"], reason, now)
    return None


def _fresh(ledger: Ledger, swarm: sqlite3.Row, run: sqlite3.Row, now: float) -> None:
    """A run has ended that judges no experiment: it may have been the last one that a strict test waited for."""
    if run["purpose"] == "confirm":
        confirmations.settle(ledger, swarm, run["confirmation"], now)
    elif run["purpose"] == "closing":
        confirmations.close(ledger, swarm, now)
    if run["purpose"] in ("refresh", "confirm", "filler"):
        rollback.reconsider(ledger, swarm, now)


# -- verdicts ------------------------------------------------------------------------------------------------------


def _judge(ledger: Ledger, swarm: sqlite3.Row, experiment: sqlite3.Row, now: float) -> Verdict:
    known = noise(ledger, swarm)
    ledger.execute("UPDATE swarms SET sigma = ? WHERE tag = ?", known.sigma, swarm["tag"])
    arms = _arms(ledger, swarm, experiment["id"], known)
    if not arms:  # all its runs were made on a parent that is in quarantine by now
        return _beside_nothing(ledger, swarm, experiment, now)
    policy, rules = _rules(swarm)
    verdict = policy(arms, known.sigma, rules, experiment["added_size"])
    broken = _breach(ledger, swarm, experiment["source"])
    if broken:
        verdict = Verdict(Status.DISCARD, verdict.gain, verdict.se, verdict.n, broken)
    elif experiment["added_size"] >= 0 and does_nothing(ledger, experiment["id"]):  # less code of no effect may be kept
        idle = f"{NOOP}: its losses are its parent's, step by step: look whether the edit is ever reached"
        verdict = Verdict(Status.DISCARD, verdict.gain, verdict.se, verdict.n, idle)
    elif (
        verdict.status is Status.KEEP
        and policy is race
        and _unbelieved(ledger, experiment["source"], arms, verdict, known, rules)
    ):
        verdict = Verdict(Status.DISCARD, verdict.gain, verdict.se, verdict.n, f"{NEAR_MISS}: {UNBELIEVED}")
    newest = tip(ledger, swarm["tag"])
    if verdict.status is Status.KEEP and experiment["parent"] != newest["source"]:
        verdict = Verdict(
            None, verdict.gain, verdict.se, verdict.n, f"{verdict.reason}; the trunk moved: once more on it"
        )
    if verdict.status is None:
        ledger.execute(
            "UPDATE experiments SET gain = ?, se = ?, n = ?, reason = ?, refresh = ? WHERE id = ?",
            *(verdict.gain, verdict.se, verdict.n, verdict.reason, int(verdict.refresh), experiment["id"]),
        )
        return verdict
    if verdict.status is Status.KEEP:
        advance(ledger, swarm, experiment, newest["position"] + 1, now)
    close(ledger, swarm, experiment, verdict, now)
    confirmations.consider(ledger, swarm, known, now)
    _warn_once(ledger, swarm, known, now)
    return verdict


def _beside_nothing(ledger: Ledger, swarm: sqlite3.Row, experiment: sqlite3.Row, now: float) -> Verdict:
    """Without a parent to be compared with, an experiment goes on from the tip; where it stands on it, it ends."""
    if experiment["parent"] != tip(ledger, swarm["tag"])["source"]:
        return Verdict(None, None, None, 0, "once more on a parent that is what it says")
    reason = "there is no parent to compare it with but one in quarantine"
    give_up(ledger, swarm, experiment["id"], reason, now)
    return Verdict(Status.DISCARD, None, None, 0, reason)


def _rules(swarm: sqlite3.Row) -> tuple[Policy, Rules]:
    """The policy with its rules, and with the project's limit of a single step's gain where the policy names none."""
    policy, rules = parse(swarm["policy"])
    limit = rules.outlier_gain or json.loads(swarm["settings"]).get("outlier_gain") or 0.0
    return policy, replace(rules, outlier_gain=limit)


def _unbelieved(ledger: Ledger, source: str, arms: list[Arm], verdict: Verdict, known: Noise, rules: Rules) -> bool:
    """Whether the gain is so large that it takes a referee to believe it, and its own code alone printed it."""
    if verdict.gain is None or not incredible(verdict.gain, fmean(arms[-1].parent), known.sigma, rules):
        return False
    return bool(
        ledger.value("SELECT count(*) FROM runs WHERE source = ? AND state = 'measured' AND audited = 0", source)
    )


def _warn_once(ledger: Ledger, swarm: sqlite3.Row, known: Noise, now: float) -> None:
    """Tells people, once, that the newest edits cannot be told apart."""
    tag = swarm["tag"]
    rows = ledger.rows(
        "SELECT gain FROM experiments INDEXED BY verdicts_in_order WHERE tag = ? AND verdict IS NOT NULL"
        " AND baseline = 0 AND restores IS NULL AND gain IS NOT NULL ORDER BY verdict DESC LIMIT ?",
        *(tag, EDITS),
    )
    told = "SELECT count(*) FROM events WHERE tag = ? AND kind = 'warning' AND text = ?"
    if indistinct([row["gain"] for row in rows], known.sigma) and not ledger.value(told, tag, SATURATED):
        ledger.insert("events", tag=tag, at=now, agent="swarm", kind="warning", text=SATURATED)


def _arms(ledger: Ledger, swarm: sqlite3.Row, experiment: str, known: Noise) -> list[Arm]:
    """The experiment's runs beside those of the parent each was made on; the newest parent last.

    What was measured on a parent in quarantine is left out: that one's number was false.
    """
    rows = ledger.rows(
        "SELECT source, parent FROM runs WHERE experiment = ? AND state = 'measured'"
        f" AND purpose IN ('first', 'replicate') AND parent NOT IN {FLAGGED_SOURCES}"
        " GROUP BY source, parent ORDER BY max(started)",
        *(experiment, swarm["tag"]),
    )
    own = "purpose IN ('first', 'replicate')"
    return [
        Arm(
            tuple(values(ledger, swarm, known, row["source"], own)),
            tuple(values(ledger, swarm, known, row["parent"])),
        )
        for row in rows
    ]


def _breach(ledger: Ledger, swarm: sqlite3.Row, source: str) -> str:
    """The guard that this code breaks, in one line; "" where it breaks none."""
    guards = json.loads(swarm["settings"]).get("guards")
    if not guards:
        return ""
    untouched = _printed(ledger, swarm, swarm["base_source"])
    return breach(guards, _printed(ledger, swarm, source), untouched)


def _printed(ledger: Ledger, swarm: sqlite3.Row, source: str) -> list[Mapping[str, object]]:
    """What the measured runs of this code printed beside the metric."""
    rows = ledger.rows(
        "SELECT result FROM runs WHERE tag = ? AND source = ? AND state = 'measured'", swarm["tag"], source
    )
    return [decode(row["result"]).metrics.values for row in rows]


def _baseline(ledger: Ledger, swarm: sqlite3.Row, experiment: sqlite3.Row, run: Run, now: float) -> Verdict:
    if run.failure:
        return _crash(ledger, swarm, experiment["id"], run.failure, run.reason, now)
    done = ledger.value(
        "SELECT count(*) FROM runs WHERE experiment = ? AND purpose = 'baseline' AND state = 'measured'",
        experiment["id"],
    )
    broken = _breach(ledger, swarm, experiment["source"])
    if broken:  # only an idea that mends it can be kept
        warned = {"agent": experiment["agent"], "kind": "warning", "text": f"the untouched code breaks a {broken}"}
        ledger.insert("events", tag=swarm["tag"], at=now, **warned)
    known = noise(ledger, swarm)
    ledger.execute("UPDATE swarms SET sigma = ? WHERE tag = ?", known.sigma, swarm["tag"])
    if done < BASELINE_RUNS:
        text = f"run {done} of {BASELINE_RUNS} of the untouched code"
        ledger.insert("events", tag=swarm["tag"], at=now, agent=experiment["agent"], kind="baseline", text=text)
        return Verdict(None, 0.0, None, done, "once more, for the noise")
    verdict = Verdict(Status.KEEP, 0.0, None, done, f"{done} runs of the untouched code", Rung.KEPT)
    close(ledger, swarm, experiment, verdict, now)
    return verdict


def _crashed(ledger: Ledger, swarm: sqlite3.Row, experiment: sqlite3.Row, run: Run, now: float) -> Verdict:
    """The first crash asks for a repair; the second stands. A cheat is never repaired."""
    if experiment["repairs"] == 0 and run.failure in (Failure.CODE, Failure.OOM):
        ledger.execute(
            "UPDATE experiments SET failure = ?, reason = ? WHERE id = ?", run.failure, run.reason, experiment["id"]
        )
        return Verdict(None, None, None, 0, run.reason)
    return _crash(ledger, swarm, experiment["id"], run.failure, run.reason, now)


def let_stand(ledger: Ledger, swarm: sqlite3.Row, experiment: str, now: float) -> None:
    """No repair came: the crash stands."""
    row = ledger.one("SELECT * FROM experiments WHERE id = ?", experiment)
    _crash(ledger, swarm, experiment, Failure(row["failure"]), row["reason"], now)


def give_up(ledger: Ledger, swarm: sqlite3.Row, experiment: str, reason: str, now: float) -> None:
    """Ends an experiment that cannot go on, on what it has; what gave no result at all is free to be tried again."""
    row = ledger.one("SELECT * FROM experiments WHERE id = ?", experiment)
    if ledger.value("SELECT count(*) FROM runs WHERE experiment = ? AND state = 'measured'", experiment):
        near = Verdict(Status.DISCARD, row["gain"], row["se"], row["n"], f"{NEAR_MISS}: {reason}")
        close(ledger, swarm, row, near, now)
        quarantine.taint(ledger, swarm["tag"], experiment)
    elif row["failure"]:
        let_stand(ledger, swarm, experiment, now)
    else:
        abandon(ledger, experiment, reason)


def _crash(
    ledger: Ledger, swarm: sqlite3.Row, experiment: str, failure: Failure | None, reason: str, now: float
) -> Verdict:
    row = ledger.one("SELECT * FROM experiments WHERE id = ?", experiment)
    verdict = Verdict(Status.CRASH, None, None, 0, reason)
    close(ledger, swarm, row, verdict, now, failure)
    return verdict
