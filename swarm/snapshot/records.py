"""One consistent picture of a swarm, read from the ledger and live.json: what every view is drawn from."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from swarm.judge.closing import Headline
from swarm.judge.ladder import Ladder
from swarm.records import Outcome


class AgentView(Struct, frozen=True):
    """One row of the leaderboard. Times are seconds; `gain` is the agent's best kept gain over the baseline."""

    agent: str  # "gpu0"
    branch: str  # "autoresearch/apr5-gpu0"
    device: str  # "cpu", "cuda:3 NVIDIA H200", ...
    researcher: str
    state: str  # starting, training, measuring, drafting, resting, stopped, lost, fenced
    note: str = ""  # one line about the state, where it needs one
    standin: str = ""  # where the sweep thinks in the researcher's place: why
    experiment: str | None = None
    title: str = ""
    purpose: str = ""
    step: int | None = None
    loss: float | None = None
    seconds: float = 0.0  # counted training seconds of the running experiment
    budget: float = 0.0
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    keep: int = 0
    discard: int = 0
    crash: int = 0
    gpu_load: float | None = None  # 0..1
    gpu_memory_gb: float | None = None
    gpu_watts: float | None = None
    usd: float = 0.0  # what its researcher has spent
    tokens: int = 0


class KnownView(Struct, frozen=True):
    """What somebody elsewhere found out about such an idea."""

    what: str
    source: str
    gain: float | None  # there, in units of the metric; None where nobody says
    estimated: bool  # reckoned from what the source tells, which measured no such gain


class ExperimentView(Struct, frozen=True):
    """One experiment.

    `value` is its code's one number, the plain mean of `value_n` runs: all of that code, or where there are several
    fresh ones (the closing wave's), these alone. `gain` is the judged gain over its parent (positive is better), by
    values corrected for GPUs and steps; `plain_gain` is the same of the values as they were measured.
    """

    id: str
    agent: str
    title: str
    category: str
    state: str  # claimed, drafted, testing, judged, abandoned
    status: str | None  # keep, discard, crash
    rung: str
    rationale: str = ""
    commit: str | None = None  # full sha
    parent: str | None = None  # full sha of the parent's commit
    position: int = 0  # on the trunk: of the parent while tested, of itself once kept
    value: float | None = None
    gain: float | None = None
    low: float | None = None  # 95% interval of the gain
    high: float | None = None
    n: int = 0
    peak_vram_mb: float | None = None
    reason: str = ""
    failure: str | None = None
    audited: bool = False  # the referee measured every number of it
    sandboxed: bool = False  # and its code never ran outside a sandbox
    created: float = 0.0  # unix seconds
    judged: float | None = None
    baseline: bool = False
    quarantine: str = ""  # why it may not be ranked: caught cheating after it was kept, or built on what was
    restores: str | None = None  # the experiment whose code it brought back: a step of the trunk, and no idea
    outcome: Outcome | None = None  # None before the verdict, and of imported results
    real: float | None = None  # the chance that a step is a real gain, as all runs until now say
    value_n: int = 0
    fresh: bool = False  # the value is of fresh runs alone
    plain_gain: float | None = None
    novelty: str = ""  # by prior art: new, known (it paid elsewhere), known-negative; "" where there is none
    known: KnownView | None = None  # what prior art says of it most of all


class RunView(Struct, frozen=True):
    """One run (one attempt of it)."""

    id: str
    attempt: int
    experiment: str
    agent: str
    purpose: str
    seed: int
    state: str  # running, measured, crashed, lost
    sha: str | None  # commit of the measured code, or its source sha while that has no commit
    parent: str | None
    metric: float | None
    status: str | None  # keep, discard, crash of its experiment; None while undecided
    seconds: float | None
    description: str
    started: float
    failure: str | None = None
    audited: bool | None = None  # None without a number
    sandboxed: bool | None = None  # None while it runs, and where nobody knows how it ended
    hidden: float | None = None  # the metric on the hidden split
    steps: float | None = None
    corrected: float | None = None  # the metric as an average GPU would have measured it, in the usual steps


class TrunkView(Struct, frozen=True):
    """One step of the trunk: position 0 is the baseline."""

    position: int
    experiment: str
    title: str
    value: float | None  # plain mean of all runs of this state, or, where there are several, of its fresh ones
    n: int
    gain: float | None  # over the baseline
    low: float | None
    high: float | None
    at: float  # unix seconds
    commit: str | None = None
    corrected: float | None = None  # the same mean, corrected for GPUs and steps
    fresh: bool = False


class ConfirmationView(Struct, frozen=True):
    """One strict test on fresh seeds: `experiment` against `rival`. A gain above 0 is better in any direction. It is
    the plain one of its runs; where a correction for GPUs and steps changed it, `corrected_gain` decided."""

    experiment: str
    title: str
    rival: str
    rival_title: str
    asked: str  # by whom: "swarm", "closing" (the closing wave), "people" (the verb confirm)
    state: str  # open, confirmed, unconfirmed
    wanted: int  # fresh runs of each arm
    gain: float | None
    low: float | None
    high: float | None
    p: float | None  # one-sided
    n: int | None
    m: int | None
    began: float
    ended: float | None
    hidden: Headline | None = None  # the same runs on the hidden split, which decided nothing
    corrected_gain: float | None = None


class LadderView(Struct, frozen=True):
    """One experiment beside its rival at several budgets, sign-normalised: lower is better in it."""

    experiment: str
    title: str
    rival: str
    ladder: Ladder


class AblationStepView(Struct, frozen=True):
    """One step of the leader's line: its gain in the final stack with the 95% interval; null where it is not known."""

    experiment: str
    title: str
    gain: float | None
    low: float | None
    high: float | None
    runs: int  # of the code without it; 0 where there were none left
    dropped: bool  # it does not matter
    together: tuple[str, ...]  # steps that only go with it
    undone: bool  # later steps took it back: the code without it is the full one


class AblationView(Struct, frozen=True):
    """Which steps of the leader matter. `loss` is what the code without the others measured worse on fresh seeds."""

    experiment: str  # the leader
    asked: str  # by whom: "swarm" at its end, "people" (the verb ablate)
    steps: tuple[AblationStepView, ...]  # oldest first
    minimal: str | None  # sha of the source without what does not matter; null where all of it matters
    verified: bool  # fresh runs show no loss of the minimal code
    loss: float | None
    low: float | None
    high: float | None
    pairs: int  # of fresh runs
    lines: int  # that the whole patch removes and adds
    minimal_lines: int
    ended: float


class SwarmView(Struct, frozen=True):
    """One swarm of the repository in short. `differs` names what keeps its results from being compared with those of
    the snapshot's own swarm; empty where they may be. `baseline` and `best` (the newest trunk) are plain means."""

    tag: str
    key: str  # the comparability key
    device: str
    budget: float
    status: str
    experiments: int
    keep: int  # verdicts
    kept: int  # steps of the trunk's newest state that are claimed to be gains
    baseline: float | None
    best: float | None
    differs: tuple[str, ...] = ()


class EndRuns(Struct, frozen=True):
    """The runs with which a swarm that found anything ends: steps in doubt once more, its leader and the baseline on
    fresh seeds, then the leader without its steps."""

    doubts: int  # runs of steps in doubt that are still to come
    wanted: int  # closing runs of leader and baseline together
    done: int  # of these, those that have ended
    begun: bool  # whether they are being made now
    ablated: int = 0  # runs of its ablation that have ended
    room: int = 0  # runs that its ablation may take; 0 before it begins


class Event(Struct, frozen=True):
    """One line for a pipe, a log, a notification."""

    at: float
    agent: str
    kind: str  # keep, discard, crash, near miss, baseline, told, started, stopped, warning, ...
    text: str
    experiment: str | None = None


class Snapshot(Struct, frozen=True):
    """The whole picture of one swarm at `now`."""

    tag: str
    now: float
    started: float
    ended: float | None
    status: str  # "starting", "running", "draining", "finished", "stopped", "failed", "interrupted"
    folder: str  # where the files are
    branch: str  # the trunk
    metric: str
    direction: str  # "lower" or "higher"
    policy: str
    researcher: str
    device: str  # accelerator model, as in the comparability key
    budget: float
    deadline: float | None  # unix seconds
    limits: str  # for people: "8 h, 200 experiments, $20"
    baseline: float | None
    sigma: float | None
    best: float | None  # the newest trunk state's mean
    champion: str | None  # experiment id, None while the baseline leads
    headline: Headline | None = None  # the leader's closing runs, sign-normalised: lower is better in it; plain means
    corrected: Headline | None = None  # the same corrected for GPUs and steps, where that changes it
    hidden: Headline | None = None  # the same of the hidden split, plain
    hidden_split: bool = False  # whether this project can measure one
    kept_from: float = 0.5  # chance of a real gain from which on a step of the trunk is called kept
    agents: tuple[AgentView, ...] = ()
    trunk: tuple[TrunkView, ...] = ()
    experiments: tuple[ExperimentView, ...] = ()  # oldest first, without abandoned ones
    runs: tuple[RunView, ...] = ()  # oldest first
    confirmations: tuple[ConfirmationView, ...] = ()  # oldest first
    events: tuple[Event, ...] = ()  # oldest first
    notes: tuple[tuple[float, str], ...] = ()  # what people said
    counts: Mapping[str, int] = field(default_factory=dict)  # keep, discard, crash, invalid, duplicate
    spent_usd: float = 0.0
    reserved_usd: float = 0.0  # the worst case of calls in flight, beside what is spent
    spend_limit_usd: float | None = None
    tokens: int = 0  # of models' prompts and answers
    token_limit: int | None = None
    cache_share: float | None = None  # of the prompts' tokens, 0..1
    gpu_hours: float = 0.0
    train_share: float | None = None  # trainer start to referee end, over wall time; fillers are idle time
    warnings: tuple[str, ...] = ()
    swarms: tuple[SwarmView, ...] = ()  # all of the repository, by comparability key, this one's first
    categories: tuple[str, ...] = ()  # what ideas for this project can be about
    opened: tuple[str, ...] = ()  # what runs could access because the project asks for it: the network, variables
    demonstration: str = ""  # why edited code could read what it is measured on
    saturated: bool = False  # the newest edits cannot be distinguished (swarm/judge/saturation.py)
    noiseless: bool = False  # equal code gives equal numbers, so that one run decides
    ladders: tuple[LadderView, ...] = ()  # of `confirm --budgets`
    ablation: AblationView | None = None  # of the leader: which of its steps matter
    lost_policy: str = ""  # that the policy it was launched with did not hold, for people
    max_experiments: int | None = None  # its limit
    usual_seconds: float | None = None  # what a run takes; None while none has given a number
    end_runs: EndRuns | None = None  # None where there is nothing to close, and of a swarm that has ended
    standing: tuple[str, ...] = ()  # the experiments whose edits the trunk's newest state consists of, oldest first

    @property
    def is_led(self) -> bool:
        """Whether its head lives: it can be told something, and stopped."""
        return self.status in ("starting", "running", "draining")
