"""The findings board: who may try what, what was measured, what it means. A plain class; one process owns it.

A call that changes something takes a request id, and an agent's its fence (the number of its lease). The answer is
stored under that id in the same transaction, so a call that is repeated because its answer got lost gets the same
answer. Only what may be done twice (`renew`, `exhausted`, `stop`, `projected`) goes without.
A caller whose lease was given to somebody else is refused with `Fenced`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from swarm.board import ablations, claims, person, scheduler, spending, trials
from swarm.board.briefing import brief, dossier
from swarm.board.findings import page_before
from swarm.board.limits import Limit, limit
from swarm.errors import Fenced
from swarm.ledger import agents, experiments, payments, swarms, transitions
from swarm.ledger.answers import forget_answers, store_answer, stored_answer
from swarm.ledger.database import Ledger
from swarm.ledger.events import EXHAUSTED, add_note
from swarm.ledger.experiments import experiment
from swarm.ledger.rows import ExperimentState, SwarmRow
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import Transaction, of_swarm
from swarm.ledger.transitions import abandon
from swarm.records import (
    Briefing,
    Change,
    Claim,
    Code,
    Dossier,
    Duplicate,
    Entered,
    Finding,
    Idea,
    LeaveOut,
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
_NEVER_ASKED = object()


def once(method: Callable[..., Any]) -> Callable[..., Any]:
    """Runs the method in one transaction with its stored answer: the same `request` always gets the same answer.

    Only a call from the board's own process, which cannot get lost on its way, may be made without one.
    """

    @functools.wraps(method)
    def answer(self: Board, *args: Any, request: str = "", **kwargs: Any) -> Any:
        with self.ledger.transaction():
            if not request:
                return method(self, *args, **kwargs)
            stored = stored_answer(self.ledger, request, _NEVER_ASKED)
            if stored is not _NEVER_ASKED:
                return stored
            result = method(self, *args, **kwargs)
            store_answer(self.ledger, request, result, self.now())
            return result

    return answer


def steady(wall: Callable[[], float], monotonic: Callable[[], float]) -> Callable[[], float]:
    """Unix time as the wall clock gave it once, carried on by the monotonic one.

    A wall clock that is set while a swarm runs, forward or back, ends no swarm and forgets no answer. The time a
    machine sleeps is not counted where its monotonic clock stands still then.
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
        self.leases = {row.agent: grace for row in agents.agents(ledger, tag)}

    @property
    def swarm(self) -> SwarmRow:
        return of_swarm(self.ledger, self.tag).swarm

    def _now(self) -> Transaction:
        """What the rules act through: the swarm's row as it stands now, and the time."""
        return of_swarm(self.ledger, self.tag, self.now())

    @property
    def _alive(self) -> frozenset[str]:
        return frozenset(self.leases)

    # -- leases ------------------------------------------------------------------------------------------------

    @once
    def join(self, agent: str) -> int:
        """Gives the agent a new fence. Whoever acted under its name before is refused from now on."""
        tx = self._now()
        swarms.close_others(self.ledger, self.tag)
        claims.free(tx, agent, "its agent began anew", ExperimentState.CLAIMED)
        payments.presume(self.ledger, self.tag, agent)
        agents.note_joined(tx, agent)
        fence = agents.move_fence(self.ledger, self.tag, agent)
        self.leases[agent] = self.monotonic() + LEASE
        return fence

    def renew(self, agent: str, fence: int) -> str:
        """Keeps the lease alive; gives the stop word ("", "drain" or "now"), so that a stop is seen in time."""
        self._check(agent, fence)
        self.leases[agent] = self.monotonic() + LEASE
        return swarms.stop_word(self.ledger, self.tag)

    @once
    def leave(self, agent: str, fence: int) -> None:
        """The agent has ended in peace: its lease ends with it, and its drafts wait for its return."""
        self._check(agent, fence)
        tx = self._now()
        claims.free(tx, agent, "its agent ended", ExperimentState.CLAIMED)
        trials.lose_running(tx, agent)
        payments.presume(self.ledger, self.tag, agent)
        agents.move_fence(self.ledger, self.tag, agent)
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
        forget_answers(self.ledger, self.now() - MEMORY)
        return late

    def _take_back(self, agent: str, why: str) -> None:
        tx = self._now()
        freed = claims.free(tx, agent, why, ExperimentState.CLAIMED, ExperimentState.DRAFTED)
        lost = trials.lose_running(tx, agent)
        payments.presume(self.ledger, self.tag, agent)
        agents.move_fence(self.ledger, self.tag, agent)
        if freed or lost:
            tx.event(agent, "lost", why)

    def _check(self, agent: str, fence: int) -> None:
        """Fenced where the lease is not the agent's any more."""
        current = agents.fence_of(self.ledger, self.tag, agent)
        if current != fence or agent not in self.leases:
            raise Fenced(f"{agent} acts under lease {fence}, but {current} is the current one")

    # -- from idea to edit -------------------------------------------------------------------------------------

    def wants_draft(self, agent: str) -> bool:
        """Whether another idea of the agent's is welcome: none waits for its GPU, and no limit is near."""
        tx = self._now()
        return not (self._limit(tx) or experiments.draft_of(tx, agent))

    def briefing(self, agent: str) -> Briefing:
        """What the agent's researcher should know now."""
        program = self.program()
        with self.ledger.reading():
            return brief(self._now(), agent, program)

    def dossier(self, experiment: str) -> Dossier | None:
        """One judged experiment looked at closely; None where there is none of that id."""
        with self.ledger.reading():
            return dossier(self._now(), experiment)

    def history(self, before: str) -> tuple[Finding, ...]:
        """A page of the findings that are older than this experiment's, newest first; () where none is."""
        with self.ledger.reading():
            return page_before(self._now(), before)

    def source(self, sha: str) -> Source:
        return load_source(self.ledger, sha)

    @once
    def claim(self, agent: str, fence: int, idea: Idea, position: int) -> Claim | Duplicate | Stop:
        """The exclusive right to try the idea from trunk position `position`; or who has it; or that it is too late."""
        self._check(agent, fence)
        tx = self._now()
        claims.free(tx, agent, "its agent claimed another idea", ExperimentState.CLAIMED)
        over = self._limit(tx)
        return Stop(over.why) if over else claims.claim(tx, agent, fence, idea, position)

    @once
    def enter(self, claim: Claim, code: Code, like: str = "") -> Entered | Duplicate:
        """Records the edited files, ready to run; or which experiment they repeat. Then the claim is gone.

        `like` is an experiment whose change this one is very like, found among `neighbours`.
        """
        self._check_held(claim.agent, claim.fence, claim.experiment, ExperimentState.CLAIMED)
        tx = self._now()
        same = (
            claims.same_code(tx, code.fingerprint, claim.experiment)
            or claims.same_change(tx, claim, code.changes)
            or claims.like_change(tx, claim, like)
        )
        if same:
            abandon(self.ledger, claim.experiment, f"same {same.gate} as {same.of}")
            text = f"{claim.idea.title}: {same.explanation.splitlines()[0]}"
            tx.event(claim.agent, "duplicate", text, claim.experiment)
            return same
        sha = transitions.set_code(tx, claim.experiment, code)
        transitions.set_drafted(tx, claim.experiment)
        return Entered(claim.experiment, sha)

    def neighbours(self) -> tuple[Change, ...]:
        """What a new change is to be compared with; the caller does it, for it takes longer than a transaction may."""
        return claims.neighbours(self.ledger, self.swarm.key)

    @once
    def release(self, claim: Claim, reason: str) -> None:
        """Gives the claim back: no edit came of it."""
        self._check_held(claim.agent, claim.fence, claim.experiment, ExperimentState.CLAIMED)
        abandon(self.ledger, claim.experiment, reason)

    def exhausted(self, agent: str, fence: int, known: int, why: str) -> None:
        """The agent has no idea left, knowing `known` verdicts. Where that goes for all, and nothing is under way that
        could give another verdict, nothing is left to try, which is a limit like others.
        """
        self._check(agent, fence)
        self.spent[agent] = known
        with self.ledger.transaction():
            tx, judged = self._now(), experiments.judged_ideas(self.ledger)
            all_spent = all(self.spent.get(other) == judged for other in self.leases)
            if all_spent and not self._limit(tx) and not scheduler.under_way(tx, self._alive):
                reason = printable(f"nothing is left to try: {why}")
                swarms.set_reason(tx, reason)
                tx.event("head", EXHAUSTED, reason)

    def _limit(self, tx: Transaction) -> Limit | None:
        """Why no further idea is wanted; None where one is."""
        return limit(tx, len(self.leases), drafting=True)

    def _check_held(self, agent: str, fence: int, name: str, *states: ExperimentState) -> None:
        """Fenced where the lease, or the experiment in one of these states, is not the agent's any more."""
        self._check(agent, fence)
        row = experiment(self.ledger, name)
        if row.owner != agent or row.state not in states:
            raise Fenced(f"{name} is not {agent}'s to change: it is {row.state}, by {row.owner}")

    # -- from edit to verdict ----------------------------------------------------------------------------------

    @once
    def next_work(self, agent: str, fence: int, mending: bool = False) -> Work:
        """What the agent's GPU should do now. Asking again means that whatever it ran before is lost.

        While it is `mending` its experiment, that is what neither continues it nor starts another.
        """
        self._check(agent, fence)
        late = self.monotonic() - self.resting.setdefault(agent, self.monotonic())
        found = scheduler.next_work(self._now(), agent, fence, self._alive, late, mending)
        if not isinstance(found, Rest):
            del self.resting[agent]
        return found

    @once
    def rebase(self, agent: str, fence: int, order: Rebase, code: Code | None) -> None:
        """The experiment continues on the newest trunk as `code`; None: the edit conflicts with what was won."""
        self._check_held(agent, fence, order.experiment, ExperimentState.DRAFTED, ExperimentState.TESTING)
        tx = self._now()
        same = claims.same_code(tx, code.fingerprint, order.experiment) if code else None
        if code is None or same:
            reason = f"same code as {same.of} after the trunk moved" if same else "conflicts with what the trunk won"
            trials.give_up(tx, order.experiment, reason)
            return
        transitions.set_code(tx, order.experiment, code)
        transitions.set_parent(tx, order.experiment, order.onto, order.position)

    @once
    def left_out(
        self, agent: str, fence: int, order: LeaveOut, made: Source | None, steps: tuple[str, ...], fault: str
    ) -> None:
        """The answer to LeaveOut: the code and all that it leaves out; with a `fault`, why it may not run."""
        self._check(agent, fence)
        ablations.enter(self._now(), order, made, steps, fault)

    @once
    def mend(self, agent: str, fence: int, experiment: str, code: Code | None) -> None:
        """The answer to Repair: new code that runs next, or None: the crash stands.

        Too late, it changes nothing: where the time was up first, the crash stands already.
        """
        self._check(agent, fence)
        tx = self._now()
        if experiments.experiment(self.ledger, experiment).state is ExperimentState.JUDGED:
            return
        self._check_held(agent, fence, experiment, ExperimentState.TESTING)
        if code is None or claims.same_code(tx, code.fingerprint, experiment):
            trials.let_stand(tx, experiment)
            return
        transitions.set_code(tx, experiment, code)
        transitions.count_repair(tx, experiment)

    @once
    def record(self, agent: str, fence: int, run: Run) -> Verdict | None:
        """Stores the run, once, and judges its experiment. A result that comes too late is stored and not counted."""
        self._check(agent, fence)
        return trials.record(self._now(), agent, run)

    # -- what thinking costs -----------------------------------------------------------------------------------

    @once
    def reserve(self, agent: str, model: str, usd: float, tokens: int) -> int | str:
        """Sets the worst case of a model's call aside; see `spending.reserve`."""
        return spending.reserve(self._now(), agent, model, usd, tokens)

    @once
    def settle(self, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None:
        """What the call has cost in truth, and its tokens."""
        payments.settle(self.ledger, receipt, usd, prompt, cached, output)

    def money_left(self) -> float:
        """USD that can still be reserved; infinite without a limit."""
        return spending.left(self._now())

    # -- people and the head -----------------------------------------------------------------------------------

    @once
    def tell(self, text: str) -> None:
        """A word from people: in every briefing from now on."""
        tx = self._now()
        add_note(tx, text)
        tx.event("you", "told", text)

    @once
    def decide(self, word: str, name: str, why: str = "") -> None:
        """A person's word on an experiment: "accept" what is held, or "reject" what was kept, for a reason.

        Where the experiment is none for that word any more, people are told so.
        """
        tx = self._now()
        refused = person.accept(tx, name) if word == "accept" else person.reject(tx, name, why)
        if refused:
            tx.event("you", "warning", refused, name)

    def stop(self, word: str) -> None:
        """Asks the swarm to end: "drain" (finish what runs) or "now". "now" is never taken back to "drain"."""
        swarms.ask_to_stop(self.ledger, self.tag, word)

    @once
    def warn(self, agent: str, text: str) -> None:
        """Something people should see, though the swarm goes on."""
        self._now().event(agent, "warning", text)

    def projected(self, commits: dict[str, str]) -> None:
        """Notes which commits the history made: {experiment id: sha}."""
        with self.ledger.transaction():
            transitions.set_commits(self.ledger, commits)

    @once
    def end(self, status: str, reason: str = "") -> None:
        """The swarm is over (or interrupted): nobody holds a lease any more, and nothing runs."""
        tx = self._now()
        for agent in self.leases:
            trials.lose_running(tx, agent)
        payments.presume(self.ledger, self.tag)
        swarms.end(tx, status, reason)
        tx.event("swarm", status, reason or status)
        self.leases.clear()
