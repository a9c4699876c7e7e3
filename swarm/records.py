"""The nouns of the swarm, as frozen values. Everything that crosses a border between rooms is one of these.

Two conventions hold everywhere. A missing metric is None, never 0 and never NaN. And the text of the editable
files is a `Source`: what an experiment is *about* is its source, so runs, parents and the trunk all point at one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

# What ideas for the training of a language model are about, in the order in which agents are dealt them. Another
# project has categories of its own, which its swarm was launched with.
CATEGORIES = (
    "architecture",
    "learning rate",
    "schedule",
    "batch",
    "optimizer",
    "attention",
    "activation",
    "initialization",
    "regularization",
    "embedding",
    "normalization",
)


class Purpose(StrEnum):
    """Why a run is made."""

    BASELINE = "baseline"  # the untouched code, on every GPU: gives sigma and the GPU's offset
    FIRST = "first"  # an experiment's first run
    REPLICATE = "replicate"  # the same experiment again, because it looked better than its parent
    REFRESH = "refresh"  # the parent again, so that it is known as well as its challenger
    CONFIRM = "confirm"  # a candidate for champion on fresh seeds
    CLOSING = "closing"  # champion and baseline at the swarm's end: the headline
    ABLATE = "ablate"  # the leader's code without some of its steps, and that code itself beside it
    CHECK = "check"  # the project's own checks on code that would be kept: it trains nothing and gives no number
    FILLER = "filler"  # the leader again, while the next idea is late: ended as soon as that is there


class Failure(StrEnum):
    """Why a run gave no number. Infrastructure failures and stalls say nothing about the idea: they are rerun."""

    OOM = "oom"
    NAN = "nan"
    DIVERGED = "diverged"
    TIMEOUT = "timeout"
    STALL = "stall"
    CODE = "code"
    CHECKS = "checks"  # a command among the project's checks did not exit with 0
    INVALID = "invalid"
    INFRASTRUCTURE = "infrastructure"
    CONTENTION = "contention"  # measured, and not believed: fewer steps than other runs of the same code
    INTERRUPTED = "interrupted"
    FUTILE = "futile"  # ended half way: so far behind its parent on the same seed, no run here ended better

    @property
    def blames_the_idea(self) -> bool:
        return self not in (Failure.STALL, Failure.INFRASTRUCTURE, Failure.CONTENTION, Failure.INTERRUPTED)


class Check(StrEnum):
    """Which check found a run invalid, where that decides what becomes of it."""

    CLOCK = "clock"  # it trained longer than its budget, or counted its seconds wrong


class Status(StrEnum):
    """The word in results.tsv."""

    KEEP = "keep"
    DISCARD = "discard"
    CRASH = "crash"


class Outcome(StrEnum):
    """What a verdict came to, and why: decisions read this, people read the reason."""

    UNDECIDED = "undecided"  # more runs are asked for
    UNCHECKED = "unchecked"  # undecided: it would be kept, and the project's checks are asked for first
    BASELINE = "baseline"  # the untouched code
    GAINED = "gained"  # kept: better than its parent
    SIMPLER = "simpler"  # kept: less code, and no worse
    LARGE = "large"  # kept: it gained, and more than is taken from a number that only its own code printed
    REJECTED = "rejected"  # kept or held once; a person said no
    RESTORED = "restored"  # kept: the code of an earlier step, as the steps after it turned out to be worse
    NO_GAIN = "no gain"
    NEAR_MISS = "near miss"  # out of runs before it could be distinguished from its parent
    UNBELIEVED = "unbelieved"  # so large a gain was believed only from a referee: stands in old ledgers only
    HELD = "held"  # a referee measured so large a gain, and no honest edit makes one: it waits for a person
    GIVEN_UP = "given up"  # ended before it was decided: the time was up, or its edit fits the trunk no more
    NO_EFFECT = "no effect"  # its losses are its parent's: the edit changed nothing
    BROKE_GUARD = "broke a guard"
    CRASHED = "crashed"
    FUTILE = "futile"  # its first run was ended half way, as hopeless: it has no number

    @property
    def is_near_miss(self) -> bool:
        """Whether the idea may still be a good one: nothing was decided about it."""
        return self in (Outcome.NEAR_MISS, Outcome.UNBELIEVED, Outcome.GIVEN_UP)


class Rung(StrEnum):
    """The ladder of evidence."""

    SEEN = "seen"  # one run
    CARRIED = "carried"  # on the trunk, as a gain is to be expected of it
    KEPT = "kept"  # on the trunk, and at least as likely a real gain as none
    CONFIRMED = "confirmed"  # better on fresh seeds
    CHAMPION = "champion"  # the best of the confirmed
    UNDONE = "undone"  # kept once; later runs showed a loss, and the trunk went back
    INVALID = "invalid"  # kept once; a later run was caught cheating, or a person took it back
    TAINTED = "tainted"  # built on what was caught: its number says nothing

    @property
    def is_flagged(self) -> bool:
        """Whether it was caught itself, or built on what was: no code of it may stand on the trunk."""
        return self in (Rung.INVALID, Rung.TAINTED)


# ---------------------------------------------------------------------------------------------------------------
# What is researched


class Source(Struct, frozen=True):
    """The editable files' whole content at one state. `sha` is its identity everywhere in the ledger."""

    files: Mapping[str, bytes]

    @property
    def sha(self) -> str:
        digest = hashlib.sha256()
        for path, content in sorted(self.files.items()):
            digest.update(f"{path}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    def edited(self, edit: Edit) -> Source:
        return Source({**self.files, **edit.files})

    def edit_from(self, parent: Source) -> Edit:
        """What made this code of `parent`; nothing of it deleted a file."""
        return Edit({path: content for path, content in self.files.items() if parent.files.get(path) != content})


class Idea(Struct, frozen=True):
    """A thought before any edit.

    `knobs` are the declared new values, where the idea is nothing but numbers. `again` says why it should run although
    it, or something very like it, was tried before: without it, that is refused.
    """

    title: str
    rationale: str = ""
    category: str = "other"
    knobs: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    again: str = ""


class Edit(Struct, frozen=True):
    """New content of one or more editable files; some may be new. `deleted` are those that are gone, as none may be."""

    files: Mapping[str, bytes]
    deleted: tuple[str, ...] = ()


class Code(Struct, frozen=True):
    """An edited source as the board looks at it (swarm/novelty/code.py makes it).

    `fingerprint` is of what the whole code means, `changes` of how it differs from its parent, whatever that is: by
    what stands before what was added, and by what follows. `diff` shows the change, `added` is how much the code grew.
    """

    source: Source
    fingerprint: str
    added: int
    changes: tuple[str, ...]
    diff: str


class Change(Struct, frozen=True):
    """An experiment's change and its words, to be compared with others'."""

    experiment: str
    diff: str
    words: str


# ---------------------------------------------------------------------------------------------------------------
# What the board answers


class Claim(Struct, frozen=True):
    """An agent's exclusive, expiring right to an idea, starting from trunk position `position` (source `parent`)."""

    experiment: str
    agent: str
    fence: int
    idea: Idea
    parent: str
    position: int


class Duplicate(Struct, frozen=True):
    """The idea, or its code, was tried or is being tried: `of` tells by whom and what came of it."""

    of: str
    gate: str  # "idea", "code", "change" or "likeness"
    explanation: str  # the earlier experiment with its result, for whoever would repeat it


class Entered(Struct, frozen=True):
    """The edit is recorded and waits for the GPU."""

    experiment: str
    source: str


class Checkpoint(Struct, frozen=True):
    """A run whose mean training loss from `begin` to `end` (counted seconds) lies above `most` is ended there."""

    begin: float
    end: float
    most: float


class Measure(Struct, frozen=True):
    """Work: train `source` once. `run` and `attempt` name the run; a repeated attempt is a new one. What comes out
    better than `bar` may be kept for it, and is checked more closely by a referee. At the first of the `checkpoints`
    that it fails it is ended, as futile."""

    run: str
    attempt: int
    experiment: str
    title: str
    purpose: Purpose
    seed: int
    source: str
    parent: str
    budget: float
    bar: float | None = None
    checkpoints: tuple[Checkpoint, ...] = ()


class Rebase(Struct, frozen=True):
    """Work: the trunk moved. Carry the experiment's edit (`base` -> `source`) over to `onto` and tell the board."""

    experiment: str
    idea: Idea
    base: str
    source: str
    onto: str
    position: int


class Repair(Struct, frozen=True):
    """Work: the experiment crashed for a plain reason. Mend its edit once, or give it up."""

    experiment: str
    idea: Idea
    parent: str
    source: str
    run: Run


class LeaveOut(Struct, frozen=True):
    """Work: make the code that the line comes to without the `wanted` steps, and tell the board. The line's steps are
    (experiment, code before, code after), oldest first. What `verifies` is only made to be run on fresh seeds."""

    ablation: int
    wanted: tuple[str, ...]
    line: tuple[tuple[str, str, str], ...]
    verifies: bool = False


class Rest(Struct, frozen=True):
    """Nothing to run right now; ask again when the draft is ready or after `seconds`."""

    reason: str
    seconds: float = 1.0


class Stop(Struct, frozen=True):
    """The swarm ends for this agent, and why."""

    reason: str


Work = Measure | Rebase | Repair | LeaveOut | Rest | Stop


# ---------------------------------------------------------------------------------------------------------------
# What a run gives


class Metrics(Struct, frozen=True):
    """The numbers of one finished run. `value` is the primary metric; `audited` means that the referee measured it.

    `hidden` is the metric on a second split, of confirmations and closing runs: reported to people, and nothing else.
    """

    value: float
    audited: bool
    peak_vram_mb: float | None = None
    training_seconds: float | None = None
    values: Mapping[str, float | int | str | None] = field(default_factory=dict)  # everything in the summary block
    hidden: float | None = None
    measured: tuple[str, ...] = ()  # names of values that were measured from outside, whatever was printed


class Run(Struct, frozen=True):
    """One training process, finished: exactly one of `metrics` and `failure` is set.

    A run of the project's checks has a failure, or neither: then they passed.
    """

    run: str
    attempt: int
    started: float  # unix seconds
    seconds: float  # wall seconds, trainer start to referee end
    training_seconds: float  # wall seconds of the trainer process alone
    metrics: Metrics | None = None
    failure: Failure | None = None
    reason: str = ""  # one line for people: what went wrong, or was odd about a run that gave its number
    log_tail: str = ""
    log: str = ""  # path of the whole log, on the host that ran it
    trace: tuple[float | None, ...] = ()  # training losses, at most 64 of them, evenly spaced
    curve: tuple[tuple[float, float], ...] = ()  # (counted seconds, mean training loss until then), a few of them
    sandboxed: bool = False  # the edited code ran in a sandbox (swarm/execution/sandbox/sandbox.py)
    check: Check | None = None  # of an invalid run: what found it so
    own_word: bool = False  # nobody but the run itself blames the machine: neither guard, driver, kernel nor disk


class Progress(Struct, frozen=True):
    """Where a running training process is."""

    phase: str  # "starting", "training", "measuring"
    step: int | None = None
    loss: float | None = None
    tokens: int | None = None
    seconds: float = 0.0  # counted training seconds
    elapsed: float = 0.0  # wall seconds since the start


# ---------------------------------------------------------------------------------------------------------------
# What is known


class Verdict(Struct, frozen=True):
    """The judge's word. `status` is None while more runs are asked for; a gain above 0 is better in any direction."""

    status: Status | None
    gain: float | None
    se: float | None
    n: int
    reason: str  # for people
    outcome: Outcome
    rung: Rung = Rung.SEEN
    refresh: bool = False  # before the next replicate the parent deserves another run
    real: float | None = None  # the chance that the gain is a real one, where the policy reckons with it


class Finding(Struct, frozen=True):
    """What an experiment taught, with its evidence: the gain over its parent, 95% interval, number of runs."""

    experiment: str
    agent: str
    title: str
    category: str
    status: str
    rung: str
    reason: str
    knobs: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    value: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    position: int = 0
    comparable: bool = True  # measured under this swarm's comparability key
    standing: str = ""  # kept, refuted, unproven, near miss, no-op or crashed (swarm/board/repeats.py)
    reopened: bool = False  # the trunk has changed since in a way that could matter to it


class Dossier(Struct, frozen=True):
    """One judged experiment looked at closely: what it changed, and how it trained beside its parent."""

    finding: Finding
    rationale: str
    before: Source
    after: Source
    run: Run | None = None  # its newest one that gave a result, be it a crash
    parent: Run | None = None  # the newest measured one of its parent's code, on the same GPU if there is one


class Prior(Struct, frozen=True):
    """What somebody elsewhere found out about an idea (swarm/project/prior.py): a hint, and never evidence."""

    what: str
    source: str
    category: str = "other"
    gain: float | None = None  # in the metric's units, above 0 is better; None where nobody says
    estimated: bool = False  # the source measured no such gain: whoever wrote the record reckoned it
    terms: tuple[str, ...] = ()  # of each, one word between its | stands in an idea like it
    turn: tuple[tuple[str, str], ...] = ()  # knobs, and which way an idea like it turns them: up, down, any
    metric: str = ""
    device: str = ""  # cuda, mps or cpu; "" where it does not matter
    scale: str = ""
    hardware: str = ""
    where: str = ""


class Briefing(Struct, frozen=True):
    """All that a researcher knows before it has an idea."""

    tag: str
    agent: str
    parent: Source
    position: int  # of the parent on the trunk; 0 is the untouched baseline
    metric: str
    direction: str
    budget: float
    baseline: float | None
    best: float | None
    sigma: float | None
    program: str  # program.md, read anew
    findings: tuple[Finding, ...] = ()  # newest first
    live: tuple[tuple[str, Idea], ...] = ()  # (agent, idea) being drafted or tested now
    notes: tuple[str, ...] = ()  # what people said
    category: str = ""  # where this agent should look first
    untried: tuple[str, ...] = ()  # categories without an experiment
    refused: tuple[str, ...] = ()  # why this agent's last proposals were refused, newest last
    device: str = "cpu"
    tally: tuple[tuple[str, str, int], ...] = ()  # (category, status, number) of all experiments there ever were
    plateau: bool = False
    last: Dossier | None = None  # this agent's newest verdict
    experiment: str = ""  # the id of the idea's experiment, once it has one: for an edit and a repair
    prior: tuple[Prior, ...] = ()  # what is known elsewhere, and untested here until a finding says so
