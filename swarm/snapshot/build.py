"""One swarm as its ledger tells it: the part of a Snapshot that changes only when the ledger does."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter, defaultdict
from dataclasses import fields

from swarm.judge.closing import Headline, headline
from swarm.judge.confirm import around
from swarm.judge.saturation import EDITS, indistinct
from swarm.ledger.database import Ledger
from swarm.ledger.measurements import calibrated, corrected
from swarm.ledger.queries import interval, leader, researcher_of
from swarm.ledger.runs import JUDGED
from swarm.snapshot.comparable import nights
from swarm.snapshot.records import AgentView, ConfirmationView, Event, ExperimentView, RunView, Snapshot, TrunkView

CONFIRMATION = {field.name for field in fields(ConfirmationView)} - {"title", "rival", "rival_title", "hidden"}


class Picture:
    """Everything known of one swarm, each table read once. Made within one read of the ledger."""

    def __init__(self, ledger: Ledger, swarm: sqlite3.Row):
        self.ledger, self.swarm, self.tag = ledger, swarm, swarm["tag"]
        self.sign = 1 if swarm["direction"] == "lower" else -1
        self.steps = ledger.rows("SELECT * FROM trunk WHERE tag = ? ORDER BY position", self.tag)
        self.ideas = {r["id"]: r for r in ledger.rows("SELECT * FROM experiments WHERE tag = ?", self.tag)}
        self.commits = {r["source"]: r["commit_sha"] for r in self.ideas.values() if r["source"] and r["commit_sha"]}
        self.commits[swarm["base_source"]] = swarm["base_commit"]
        self.tries = ledger.rows(
            "SELECT id, attempt, experiment, agent, purpose, seed, state, source, parent, started, seconds, value,"
            " steps, audited, sandboxed, peak_vram_mb, failure, confirmation,"
            " CASE WHEN purpose IN ('confirm', 'closing')"
            " THEN json_extract(result, '$.metrics.hidden') END AS hidden FROM runs WHERE tag = ?"
            " ORDER BY started, id, attempt",
            self.tag,
        )
        self.payments = ledger.rows(
            "SELECT agent, state, sum(usd) AS usd, sum(prompt) AS prompt, sum(cached) AS cached,"
            " sum(prompt + output) AS tokens FROM payments WHERE tag = ? GROUP BY agent, state",
            self.tag,
        )
        self.measured = [row for row in self.tries if row["state"] == "measured"]
        repeats = Counter(row["source"] for row in self.measured)
        self.noise = calibrated(swarm, [row for row in self.measured if repeats[row["source"]] > 1])

    def snapshot(self, folder: str, now: float) -> Snapshot:
        """The snapshot of a swarm of which nothing is known but the ledger: its agents are stopped."""
        swarm, trunk, experiments = self.swarm, self.trunk(), self.experiments()
        return Snapshot(
            tag=self.tag,
            now=now,
            started=swarm["started"],
            ended=swarm["ended"],
            status=swarm["status"],
            folder=folder,
            branch=f"autoresearch/{self.tag}",
            metric=swarm["metric"],
            direction=swarm["direction"],
            policy=swarm["policy"],
            researcher=swarm["researcher"],
            device=swarm["device"],
            budget=swarm["budget"],
            deadline=swarm["deadline"],
            limits=self.limits(),
            baseline=trunk[0].value,
            sigma=self.noise.sigma,
            best=trunk[-1].value,
            champion=next((e.id for e in reversed(experiments) if e.rung == "champion"), None),
            headline=self.headline(),
            hidden=self.hidden(leader(self.ledger, self.tag)["source"], swarm["base_source"]),
            hidden_split=bool(json.loads(swarm["settings"]).get("hidden")),
            agents=self.agents(experiments, trunk),
            trunk=trunk,
            experiments=experiments,
            runs=tuple(self._run(row, self.ideas[row["experiment"]]) for row in self.tries),
            confirmations=self.confirmations(),
            events=self.events(),
            notes=self.notes(),
            counts=self.counts(experiments),
            spent_usd=sum(row["usd"] for row in self.paid()),
            reserved_usd=sum(row["usd"] for row in self.payments if row["state"] == "reserved"),
            spend_limit_usd=swarm["max_usd"],
            tokens=sum(row["tokens"] for row in self.paid()),
            token_limit=swarm["max_tokens"],
            cache_share=self.cache_share(),
            gpu_hours=self.ledger.value("SELECT total(seconds) FROM agents WHERE tag = ?", self.tag) / 3600,
            train_share=self.train_share(),
            warnings=(swarm["reason"],) if swarm["reason"] else (),
            nights=nights(self.ledger, swarm),
            saturated=self.saturated(),
        )

    def limits(self) -> str:
        swarm = self.swarm
        hours = (swarm["deadline"] - swarm["started"]) / 3600 if swarm["deadline"] else None
        hours = hours and json.loads(swarm["settings"]).get("hours", hours)  # a resumed night has another deadline
        experiments = swarm["max_experiments"]
        parts = [f"{hours:.3g} h" if hours else "", f"{experiments} experiments" if experiments else ""]
        return ", ".join(part for part in parts if part) or "until you stop it"

    def saturated(self) -> bool:
        """Whether the newest different edits all measure the same within the noise."""
        judged = [r for r in self.ideas.values() if r["verdict"] and not r["baseline"] and r["restores"] is None]
        judged.sort(key=lambda row: row["verdict"])
        return indistinct([r["gain"] for r in judged if r["gain"] is not None][-EDITS:], self.noise.sigma)

    # -- what was measured -------------------------------------------------------------------------------------

    def trunk(self) -> tuple[TrunkView, ...]:
        """Every step with the mean of its runs; where there are fresh ones, of those alone: nobody selected them."""
        sources = {step["source"] for step in self.steps}
        values, fresh = self.values(sources), self.values(sources, "closing")
        values.update({source: runs for source, runs in fresh.items() if len(runs) > 1})
        base = values[self.swarm["base_source"]]
        return tuple(self._step(step, values[step["source"]], base) for step in self.steps)

    def headline(self) -> Headline | None:
        best, base = leader(self.ledger, self.tag)["source"], self.swarm["base_source"]
        fresh = self.values({best, base}, "closing")
        return headline(fresh[best], fresh[base], self.noise.sigma, self.noise.df)

    def hidden(self, source: str, rival: str, confirmation: int | None = None) -> Headline | None:
        """What the hidden split says of two states: their runs of a confirmation, or else of the closing wave.

        Its noise is not the metric's: it is judged from these runs alone.
        """
        runs = [row for row in self.measured if row["hidden"] is not None and row["confirmation"] == confirmation]
        ours, theirs = ([self.sign * row["hidden"] for row in runs if row["source"] == arm] for arm in (source, rival))
        return headline(ours, theirs, None)

    def values(self, sources: set[str], purpose: str | None = None) -> dict[str, list[float]]:
        """What these sources measured, lower is better, GPU offsets removed."""
        values = defaultdict(list)
        for row in self.measured:
            if row["source"] in sources and purpose in (None, row["purpose"]):
                values[row["source"]].append(corrected(self.swarm, self.noise, row))
        return values

    def _step(self, step: sqlite3.Row, own: list[float], base: list[float]) -> TrunkView:
        row = self.ideas.get(step["experiment"])
        value = sum(own) / len(own) if own else None
        gain = low = high = None
        if row is not None and value is not None and base:
            gain = sum(base) / len(base) - value
            if self.noise.sigma:
                se = self.noise.sigma * (1 / len(own) + 1 / len(base)) ** 0.5
                low, high = around(gain, se, self.noise.df)
        return TrunkView(
            position=step["position"],
            experiment=step["experiment"] or "",
            title=row["title"] if row is not None else "baseline",
            value=None if value is None else self.sign * value,
            n=len(own),
            gain=gain,
            low=low,
            high=high,
            at=step["at"],
            commit=row["commit_sha"] if row is not None else self.swarm["base_commit"],
        )

    def experiments(self) -> tuple[ExperimentView, ...]:
        evidence = defaultdict(list)
        for row in self.measured:
            evidence[row["experiment"]].append(row)
        live = [row for row in self.ideas.values() if row["state"] != "abandoned"]
        live.sort(key=lambda row: (row["judged"] or math.inf, row["created"]))
        return tuple(self._experiment(row, evidence[row["restores"] or row["id"]]) for row in live)

    def _experiment(self, row: sqlite3.Row, runs: list[sqlite3.Row]) -> ExperimentView:
        gain = None if row["baseline"] else row["gain"]
        low, high = interval(gain, row["se"])
        own = [run["value"] for run in runs if run["source"] == row["source"] and run["purpose"] in JUDGED]
        return ExperimentView(
            id=row["id"],
            agent=row["agent"],
            title=row["title"],
            category=row["category"],
            state=row["state"],
            status=row["status"],
            rung=row["rung"],
            rationale=row["rationale"],
            commit=row["commit_sha"],
            parent=self.commits.get(row["parent"]),
            position=row["position"],
            value=sum(own) / len(own) if own else None,
            gain=gain,
            low=low,
            high=high,
            n=row["n"],
            peak_vram_mb=max((run["peak_vram_mb"] or 0.0 for run in runs), default=0.0) or None,
            reason=row["reason"],
            failure=row["failure"],
            audited=bool(runs) and all(run["audited"] for run in runs),
            sandboxed=bool(runs) and all(run["sandboxed"] for run in runs),
            created=row["created"],
            judged=row["judged"],
            baseline=bool(row["baseline"]),
            quarantine=row["quarantine"],
            restores=row["restores"],
        )

    def _run(self, row: sqlite3.Row, experiment: sqlite3.Row) -> RunView:
        return RunView(
            id=row["id"],
            attempt=row["attempt"],
            experiment=row["experiment"],
            agent=row["agent"],
            purpose=row["purpose"],
            seed=row["seed"],
            state=row["state"],
            sha=self.commits.get(row["source"]) or row["source"],
            parent=self.commits.get(row["parent"]) or row["parent"],
            metric=row["value"],
            status=experiment["status"],
            seconds=row["seconds"],
            description=experiment["title"],
            started=row["started"],
            failure=row["failure"],
            audited=_flag(row["audited"]),
            sandboxed=_flag(row["sandboxed"]),
            hidden=row["hidden"],
        )

    def paid(self, agent: str | None = None) -> list[sqlite3.Row]:
        """The payments that are over, of one agent or of all."""
        return [row for row in self.payments if row["state"] != "reserved" and agent in (None, row["agent"])]

    def cache_share(self) -> float | None:
        """The share of the prompts that came from the model's cache, of the calls whose truth is known."""
        known = [row for row in self.payments if row["state"] == "settled"]
        prompt = sum(row["prompt"] for row in known)
        return sum(row["cached"] for row in known) / prompt if prompt else None

    def confirmations(self) -> tuple[ConfirmationView, ...]:
        rows = self.ledger.rows("SELECT * FROM confirmations WHERE tag = ? ORDER BY id", self.tag)
        return tuple(
            ConfirmationView(
                title=self.ideas[row["experiment"]]["title"],
                rival_title=self.ideas[row["rival_experiment"]]["title"],
                rival=row["rival_experiment"],
                hidden=self.hidden(row["source"], row["rival"], None if row["asked"] == "closing" else row["id"]),
                **{name: row[name] for name in row.keys() if name in CONFIRMATION},  # noqa: SIM118
            )
            for row in rows
        )

    def train_share(self) -> float | None:
        """Trainer start to referee end, over the wall time since each agent's first run.

        A filler passes the time of a GPU that has nothing to do: it counts as such.
        """
        spans, busy = defaultdict(list), 0.0
        for row in self.tries:
            if row["seconds"]:
                spans[row["agent"]].append((row["started"], row["seconds"]))
                busy += row["seconds"] if row["purpose"] != "filler" else 0.0
        wall = sum(max(start + seconds for start, seconds in own) - min(own)[0] for own in spans.values())
        return min(1.0, busy / wall) if wall > 0 else None

    # -- who did it, and what people saw -----------------------------------------------------------------------

    def agents(self, experiments: tuple[ExperimentView, ...], trunk: tuple[TrunkView, ...]) -> tuple[AgentView, ...]:
        gains = {step.experiment: step for step in trunk if step.gain is not None}
        rows = self.ledger.rows("SELECT * FROM agents WHERE tag = ? ORDER BY length(agent), agent", self.tag)
        own = defaultdict(list)
        for view in experiments:
            if not view.baseline:
                own[view.agent].append(view)
        return tuple(self._agent(row, own[row["agent"]], gains) for row in rows)

    def _agent(self, row: sqlite3.Row, own: list[ExperimentView], gains: dict[str, TrunkView]) -> AgentView:
        best = max(
            (gains[e.id] for e in own if e.id in gains and not e.quarantine),
            key=lambda step: step.gain or 0.0,
            default=None,
        )
        counts = Counter(e.status for e in own)
        return AgentView(
            agent=row["agent"],
            branch=f"autoresearch/{self.tag}-{row['agent']}",
            device=row["device"],
            researcher=researcher_of(self.swarm, row["agent"]),
            state="stopped",
            gain=best.gain if best else None,
            low=best.low if best else None,
            high=best.high if best else None,
            keep=counts["keep"],
            discard=counts["discard"],
            crash=counts["crash"],
            usd=sum(payment["usd"] for payment in self.paid(row["agent"])),
            tokens=sum(payment["tokens"] for payment in self.paid(row["agent"])),
        )

    def counts(self, experiments: tuple[ExperimentView, ...]) -> dict[str, int]:
        ideas = [e for e in experiments if not e.baseline]
        status = Counter(e.status for e in ideas)
        duplicates = self.ledger.value("SELECT count(*) FROM events WHERE tag = ? AND kind = 'duplicate'", self.tag)
        return {
            **{word: status[word] for word in ("keep", "discard", "crash")},
            "invalid": sum("invalid" in (e.failure, e.rung) for e in ideas),
            "duplicate": duplicates,
        }

    def events(self) -> tuple[Event, ...]:
        rows = self.ledger.rows("SELECT * FROM events WHERE tag = ? ORDER BY id", self.tag)
        return tuple(Event(r["at"], r["agent"], r["kind"], r["text"], r["experiment"]) for r in rows)

    def notes(self) -> tuple[tuple[float, str], ...]:
        rows = self.ledger.rows("SELECT at, text FROM notes WHERE tag = ? ORDER BY id", self.tag)
        return tuple((row["at"], row["text"]) for row in rows)


def _flag(stored: int | None) -> bool | None:
    """SQLite's 0 and 1; None where nothing is known."""
    return None if stored is None else bool(stored)
