"""The findings board: who may try what, what was measured, what it means. A plain class; one process owns it.

Every call that changes something takes the caller's fence (its lease's number) and a request id. The answer is stored
under that id in the same transaction, so a call that is repeated because its answer got lost gets the same answer.
A caller whose lease was given to somebody else is refused with `Fenced`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from swarm.board import claims, scheduler, spending, trials
from swarm.board.briefing import brief, dossier
from swarm.board.limits import limit
from swarm.codec import decode, encode
from swarm.errors import Fenced
from swarm.ledger.database import Ledger
from swarm.ledger.queries import abandon, close_others, load_source, note_commits
from swarm.records import (
    Briefing,
    Change,
    Claim,
    Code,
    Dossier,
    Duplicate,
    Entered,
    Idea,
    Rebase,
    Rest,
    Run,
    Source,
    Stop,
    Verdict,
    Work,
)
from swarm.text import printable

LEASE = 60.0  # seconds a lease lasts; agents renew it every quarter of that
MEMORY = 3600.0  # seconds an answer is kept for whoever repeats a request


def once(method: Callable[..., Any]) -> Callable[..., Any]:
    """Runs the method in one transaction with its stored answer: the same `request` always gets the same answer."""

    @functools.wraps(method)
    def answer(self: Board, *args: Any, request: str, **kwargs: Any) -> Any:
        with self.ledger.transaction():
            stored = self.ledger.value("SELECT answer FROM answers WHERE request = ?", request)
            if stored is not None:
                return decode(stored)
            result = method(self, *args, **kwargs)
            self.ledger.insert("answers", request=request, at=self.now(), answer=encode(result))
            return result

    return answer


def steady(wall: Callable[[], float], monotonic: Callable[[], float]) -> Callable[[], float]:
    """Unix time as the wall clock told it once, carried on by the monotonic one.

    A wall clock that is set in the night, forward or back, ends no night and forgets no answer. The time a machine
    sleeps is not counted where its monotonic clock stands still then.
    """
    offset = wall() - monotonic()
    return lambda: monotonic() + offset


class Board:
    """The rules over the ledger, for one swarm. Clocks are handed in so that a simulation can own time."""

    def __init__(
        self,
        ledger: Ledger,
        tag: str,
        program: Callable[[], str] = str,
        now: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self.ledger, self.tag, self.program, self.monotonic = ledger, tag, program, monotonic
        self.now = now or steady(time.time, monotonic)
        grace = monotonic() + LEASE  # whoever held a lease before a restart gets the whole of it again
        self.spent: dict[str, int] = {}  # who has no idea left, and how many verdicts they knew when they said so
        self.resting: dict[str, float] = {}  # since when the agents that have nothing to run have nothing
        self.leases = {row["agent"]: grace for row in ledger.rows("SELECT agent FROM agents WHERE tag = ?", tag)}

    @property
    def swarm(self):
        return self.ledger.one("SELECT * FROM swarms WHERE tag = ?", self.tag)

    # -- leases ------------------------------------------------------------------------------------------------

    @once
    def join(self, agent: str) -> int:
        """Gives the agent a new fence. Whoever acted under its name before is refused from now on."""
        close_others(self.ledger, self.tag)
        claims.free(self.ledger, self.tag, agent, "claimed")
        spending.presume(self.ledger, self.tag, agent)
        self.ledger.execute("UPDATE agents SET joined = ? WHERE tag = ? AND agent = ?", self.now(), self.tag, agent)
        fence = self._move_fence(agent)
        self.leases[agent] = self.monotonic() + LEASE
        return fence

    def renew(self, agent: str, fence: int) -> str:
        """Keeps the lease alive; gives the stop word ("", "drain" or "now"), so that a stop is seen in time."""
        self._check(agent, fence)
        self.leases[agent] = self.monotonic() + LEASE
        return self.ledger.one("SELECT stop FROM swarms WHERE tag = ?", self.tag)["stop"]

    @once
    def leave(self, agent: str, fence: int) -> None:
        """The agent has ended in peace: its lease ends with it, and its drafts wait for its return."""
        self._check(agent, fence)
        claims.free(self.ledger, self.tag, agent, "claimed")
        trials.lose_running(self.ledger, self.swarm, agent, self.now())
        spending.presume(self.ledger, self.tag, agent)
        self._move_fence(agent)
        del self.leases[agent]

    @once
    def retire(self, agent: str, fence: int) -> None:
        """The agent goes for a while, as its GPU is faulty: others may have all that it held."""
        self._check(agent, fence)
        self._take_back(agent, "its GPU rests; what it held is free again")
        del self.leases[agent]

    def expire(self) -> list[str]:
        """Takes back what agents held whose lease ran out: unstarted ideas are free, running runs are lost."""
        late = [agent for agent, until in self.leases.items() if until < self.monotonic()]
        for agent in late:
            with self.ledger.transaction():
                self._take_back(agent, "its lease ran out; what it held is free again")
            del self.leases[agent]
        self.ledger.execute("DELETE FROM answers WHERE at < ?", self.now() - MEMORY)
        return late

    def _take_back(self, agent: str, why: str) -> None:
        freed = claims.free(self.ledger, self.tag, agent, "claimed", "drafted")
        lost = trials.lose_running(self.ledger, self.swarm, agent, self.now())
        spending.presume(self.ledger, self.tag, agent)
        self._move_fence(agent)
        if freed or lost:
            self._tell_event(agent, "lost", why)

    def _check(self, agent: str, fence: int) -> None:
        current = self.ledger.value("SELECT fence FROM agents WHERE tag = ? AND agent = ?", self.tag, agent)
        if current != fence or agent not in self.leases:
            raise Fenced(f"{agent} acts under lease {fence}, but {current} is the current one")

    def _move_fence(self, agent: str) -> int:
        """The agent's next fence; KeyError for one that has no seat in this swarm."""
        self.ledger.execute("UPDATE agents SET fence = fence + 1 WHERE tag = ? AND agent = ?", self.tag, agent)
        return self.ledger.one("SELECT fence FROM agents WHERE tag = ? AND agent = ?", self.tag, agent)["fence"]

    # -- from idea to edit -------------------------------------------------------------------------------------

    def wants_draft(self, agent: str) -> bool:
        """Whether another idea of the agent's is welcome: none waits for its GPU, and no limit is near."""
        return not (self._limit() or scheduler.draft_of(self.ledger, self.tag, agent))

    def briefing(self, agent: str) -> Briefing:
        """What the agent's researcher should know now."""
        program = self.program()
        with self.ledger.reading():
            return brief(self.ledger, self.swarm, agent, program)

    def dossier(self, experiment: str) -> Dossier | None:
        """One judged experiment looked at closely; None where there is none of that id."""
        with self.ledger.reading():
            return dossier(self.ledger, self.swarm, experiment)

    def source(self, sha: str) -> Source:
        return load_source(self.ledger, sha)

    @once
    def claim(self, agent: str, fence: int, idea: Idea, position: int) -> Claim | Duplicate | Stop:
        """The exclusive right to try the idea from trunk position `position`; or who has it; or that it is too late."""
        self._check(agent, fence)
        claims.free(self.ledger, self.tag, agent, "claimed")
        over = self._limit()
        if over:
            return Stop(over)
        return claims.claim(self.ledger, self.swarm, agent, fence, idea, position, self.now())

    @once
    def enter(self, claim: Claim, code: Code, like: str = "") -> Entered | Duplicate:
        """Records the edited files, ready to run; or which experiment they repeat. Then the claim is gone.

        `like` is an experiment whose change this one is very like, found among `neighbours`.
        """
        self._check_held(claim.agent, claim.fence, claim.experiment, "claimed")
        ledger, swarm = self.ledger, self.swarm
        same = (
            claims.same_code(ledger, swarm, code.fingerprint, claim.experiment)
            or claims.same_change(ledger, swarm, claim, code.changes)
            or claims.like_change(ledger, swarm, claim, like)
        )
        if same:
            abandon(ledger, claim.experiment, f"same {same.gate} as {same.of}")
            text = f"{claim.idea.title}: {same.told.splitlines()[0]}"
            self._tell_event(claim.agent, "duplicate", text, claim.experiment)
            return same
        sha = claims.set_code(ledger, swarm, claim.experiment, code)
        self.ledger.execute("UPDATE experiments SET state = 'drafted' WHERE id = ?", claim.experiment)
        return Entered(claim.experiment, sha)

    def neighbours(self) -> tuple[Change, ...]:
        """What a new change is to be compared with; the caller does it, for it takes longer than a transaction may."""
        return claims.neighbours(self.ledger, self.swarm["key"])

    @once
    def release(self, claim: Claim, reason: str) -> None:
        """Gives the claim back: no edit came of it."""
        self._check_held(claim.agent, claim.fence, claim.experiment, "claimed")
        abandon(self.ledger, claim.experiment, reason)

    def exhausted(self, agent: str, fence: int, known: int, why: str) -> None:
        """The agent has no idea left, knowing `known` verdicts. Where that goes for all, and nothing is under way that
        could give another verdict, nothing is left to try, which is a limit like others.
        """
        self._check(agent, fence)
        self.spent[agent] = known
        with self.ledger.transaction():
            judged = self.ledger.value("SELECT count(*) FROM experiments WHERE state = 'judged' AND baseline = 0")
            all_spent = all(self.spent.get(other) == judged for other in self.leases)
            if (
                all_spent
                and not self._limit()
                and not scheduler.under_way(self.ledger, self.tag, frozenset(self.leases))
            ):
                told = printable(f"nothing is left to try: {why}")
                self.ledger.execute("UPDATE swarms SET reason = ? WHERE tag = ?", told, self.tag)
                self._tell_event("head", "warning", told)

    def _limit(self) -> str:
        """Why no further idea is wanted, or ""."""
        return limit(self.ledger, self.swarm, len(self.leases), self.now(), drafting=True)

    def _check_held(self, agent: str, fence: int, experiment: str, *states: str) -> None:
        """Fenced where the lease, or the experiment in one of these states, is not the agent's any more."""
        self._check(agent, fence)
        row = self.ledger.one("SELECT owner, state FROM experiments WHERE id = ?", experiment)
        if row["owner"] != agent or row["state"] not in states:
            raise Fenced(f"{experiment} is not {agent}'s to change: it is {row['state']}, by {row['owner']}")

    # -- from edit to verdict ----------------------------------------------------------------------------------

    @once
    def next_work(self, agent: str, fence: int, mending: bool = False) -> Work:
        """What the agent's GPU should do now. Asking again means that whatever it ran before is lost.

        While it is `mending` its experiment, that is what neither continues it nor starts another.
        """
        self._check(agent, fence)
        late = self.monotonic() - self.resting.setdefault(agent, self.monotonic())
        found = scheduler.next_work(
            self.ledger, self.swarm, agent, fence, frozenset(self.leases), self.now(), late, mending
        )
        if not isinstance(found, Rest):
            del self.resting[agent]
        return found

    @once
    def rebase(self, agent: str, fence: int, order: Rebase, code: Code | None) -> None:
        """The experiment continues on the newest trunk as `code`; None: the edit conflicts with what was won."""
        self._check_held(agent, fence, order.experiment, "drafted", "testing")
        same = claims.same_code(self.ledger, self.swarm, code.fingerprint, order.experiment) if code else None
        if code is None or same:
            reason = f"same code as {same.of} after the trunk moved" if same else "conflicts with what the trunk won"
            trials.give_up(self.ledger, self.swarm, order.experiment, reason, self.now())
            return
        claims.set_code(self.ledger, self.swarm, order.experiment, code)
        self.ledger.execute(
            "UPDATE experiments SET parent = ?, position = ? WHERE id = ?",
            *(order.onto, order.position, order.experiment),
        )

    @once
    def mend(self, agent: str, fence: int, experiment: str, code: Code | None) -> None:
        """The answer to Repair: new code that runs next, or None: the crash stands.

        Too late, it changes nothing: where the time was up first, the crash stands already.
        """
        self._check(agent, fence)
        if self.ledger.value("SELECT state FROM experiments WHERE id = ?", experiment) == "judged":
            return
        self._check_held(agent, fence, experiment, "testing")
        if code is None or claims.same_code(self.ledger, self.swarm, code.fingerprint, experiment):
            trials.let_stand(self.ledger, self.swarm, experiment, self.now())
            return
        claims.set_code(self.ledger, self.swarm, experiment, code)
        self.ledger.execute("UPDATE experiments SET repairs = repairs + 1 WHERE id = ?", experiment)

    @once
    def record(self, agent: str, fence: int, run: Run) -> Verdict | None:
        """Stores the run, once, and judges its experiment. A result that comes too late is stored and not counted."""
        self._check(agent, fence)
        return trials.record(self.ledger, self.swarm, agent, run, self.now())

    # -- what thinking costs -----------------------------------------------------------------------------------

    @once
    def reserve(self, agent: str, model: str, usd: float, tokens: int) -> int | str:
        """Sets the worst case of a model's call aside; see `purse.reserve`."""
        return spending.reserve(self.ledger, self.swarm, agent, model, usd, tokens, self.now())

    @once
    def settle(self, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None:
        """What the call has cost in truth, and its tokens."""
        spending.settle(self.ledger, receipt, usd, prompt, cached, output)

    def money_left(self) -> float:
        """USD that can still be reserved; infinite without a limit."""
        return spending.left(self.ledger, self.swarm)

    # -- people and the head -----------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """A word from people: in every briefing from now on."""
        with self.ledger.transaction():
            self.ledger.insert("notes", tag=self.tag, at=self.now(), text=printable(text))
            self._tell_event("you", "told", text)

    def stop(self, word: str) -> None:
        """Asks the swarm to end: "drain" (finish what runs) or "now". "now" is never taken back to "drain"."""
        self.ledger.execute("UPDATE swarms SET stop = ? WHERE tag = ? AND stop != 'now'", word, self.tag)

    def warn(self, agent: str, text: str) -> None:
        """Something people should see, though the swarm goes on."""
        self._tell_event(agent, "warning", text)

    def _tell_event(self, agent: str, kind: str, text: str, experiment: str | None = None) -> None:
        self.ledger.insert(
            "events",
            tag=self.tag,
            at=self.now(),
            agent=agent,
            kind=kind,
            text=printable(text),
            experiment=experiment,
        )

    def projected(self, commits: dict[str, str]) -> None:
        """Notes which commits the history made: {experiment id: sha}."""
        with self.ledger.transaction():
            note_commits(self.ledger, commits)

    def end(self, status: str, reason: str = "") -> None:
        """The swarm is over (or interrupted): nobody holds a lease any more, and nothing runs."""
        with self.ledger.transaction():
            for agent in self.leases:
                trials.lose_running(self.ledger, self.swarm, agent, self.now())
            spending.presume(self.ledger, self.tag)
            self.ledger.execute(
                "UPDATE swarms SET status = ?, reason = ?, ended = ? WHERE tag = ?",
                *(status, reason, self.now(), self.tag),
            )
            self._tell_event("swarm", status, reason or status)
        self.leases.clear()
