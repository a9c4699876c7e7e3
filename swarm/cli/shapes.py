"""The shape of what each verb prints with --json. docs/json.md is made from it, and tests hold real output against it.

A new verb with --json gets a class here and a line in SHAPES; then `python -m swarm.cli.json_docs > docs/json.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from swarm.judge.closing import Headline
from swarm.judge.ladder import LadderRung
from swarm.launch.estimate import Estimate
from swarm.launch.trial import EditableFile, GuardReading, Repeat
from swarm.ledger.overview import SwarmInShort
from swarm.snapshot.records import (
    AblationView,
    AgentView,
    ConfirmationView,
    ExperimentView,
    RunView,
    Snapshot,
    SwarmView,
    TrunkView,
)
from swarm.views.status import COPIED as STATUS_COPIES


class Launched(TypedDict):
    """`launch --detach --json` and `resume --detach --json`: a swarm that runs on its own."""

    tag: str
    pid: int  # of the process that leads it
    log: str  # the file that it writes to


class Limits(TypedDict):
    """What ends a swarm; null where nothing was said."""

    hours: float | None
    max_experiments: int | None
    max_usd: float | None  # for models, all agents together
    max_tokens: int | None


class PlannedAgent(TypedDict):
    """One agent of a plan, and where it works."""

    agent: str
    researcher: str
    device: str  # cpu, cuda, mps, sim
    index: int
    cores: list[int]  # all where empty
    threads: int
    memory_mb: float | None  # its share of the host's; no limit where null


class SandboxPlan(TypedDict):
    """What keeps edited code from the rest of the machine."""

    asked: str  # auto, require, off
    used: str | None  # bubblewrap or landlock; null where edited code has your rights
    why_not: str | None  # for people


class TrialSeconds(TypedDict):
    """How long the trial run took, in seconds."""

    whole: float
    to_first_heartbeat: float | None
    training: float | None
    referee: float | None


class TrialTold(TypedDict):
    """What the trial run of the untouched code showed."""

    metric: float | None
    found: dict[str, float | str | None]  # every name that it printed with its newest value
    seconds: TrialSeconds
    guards: list[GuardReading]
    checks: bool | None  # whether the project's checks ended well; null where there are none
    editable: list[EditableFile]
    repeats: list[Repeat]  # what more runs gave
    repeatability: str  # exact, seeded, noisy, unsure, unknown
    seed: int
    started: float  # unix seconds
    log: str


class PlanTold(TypedDict):
    """`launch --dry-run --json` and `resume --dry-run --json`: the plan, as values. Nothing was started."""

    tag: str
    resumes: bool
    root: str  # the project's folder
    folder: str  # where the swarm's files will be
    base_commit: str  # full sha of the code that all ideas start from
    metric: str
    direction: str  # lower or higher
    audited: bool  # whether a referee measures the metric, and not edited code itself
    command: list[str]  # {python} stands for the project's interpreter
    referee: list[str]
    editable: list[str]
    fixed: list[str]
    program: str  # the file that tells researchers of the problem
    guards: dict[str, str]
    checks: list[str]
    include: list[str]
    readable: list[str]
    pass_env: list[str]
    network: bool
    origins: dict[str, str]  # of each key that the settings do not give: where it was found
    came_from: dict[str, str]  # of each value and setting: a file, a flag, a variable, or default
    budget_seconds: float  # of training per run
    timeout_seconds: float | None  # of a whole run; null: it follows from the untouched code
    policy: str
    limits: Limits
    device: str
    agents: list[PlannedAgent]
    researchers: dict[str, str]  # by agent
    sandbox: SandboxPlan
    estimate: Estimate  # of a quiet machine
    missing: list[str]  # what must be done before a launch, for people; empty where nothing
    demonstration: str  # why edited code could read what it is measured on; empty where it cannot
    trial: TrialTold | None


class StatusMore(TypedDict):
    """`status --json`: where a swarm stands."""

    keep: int
    discard: int
    crash: int
    invalid: int
    duplicate: int
    failures: dict[str, int]  # runs without a number, by kind
    agents: int
    experiments: int  # with a verdict, without the baseline
    steps: int  # that the trunk's newest state consists of
    kept: int  # of these, those that are claimed to be gains
    experiments_per_hour: float | None  # by the newest verdicts; of a swarm that has ended, by all
    seconds_left: float | None  # until it ends by itself, estimated; null where it runs until told, or nobody knows
    money_seconds: float | None  # how long the money for models lasts at the pace until now
    hidden_split: bool
    hidden: Headline | None  # the closing runs on the hidden split
    best_gain: float | None
    best_interval: list[float | None] | None  # 95%
    agent_list: list[AgentView]
    experiment_list: list[ExperimentView]
    trunk: list[TrunkView]
    confirmations: list[ConfirmationView]
    runs: list[RunView]
    nights: list[ComparableSwarm]
    notes: list[Note]  # what people told


class ComparableSwarm(TypedDict):
    """A swarm of the repository beside the one that was asked about."""

    comparable: bool  # whether the two may be ranked


class Note(TypedDict):
    """What somebody told the researchers."""

    at: float
    text: str


class Shown(TypedDict):
    """`show ID --json`: one experiment."""

    verdict: str  # for people
    confirmations: list[ConfirmationView]
    runs: list[RunView]
    patch: str
    patch_against: str  # what the patch is against, for people
    clock: dict[str, float | str] | None  # seconds before, while and after its clock, and what counted them
    parents_clock: dict[str, float | str] | None


class Reported(TypedDict):
    """`report --json`: the files that were written."""

    tag: str
    headline: str  # for people
    report: str
    picture: str
    page: str  # report.html


class Finding(TypedDict):
    """`doctor --json`: a list of these."""

    name: str
    ok: bool | None  # null: worth knowing, and no fault
    told: str
    remedy: str


class Told(TypedDict):
    """`tell --json`."""

    tag: str
    told: str


class Stopped(TypedDict):
    """`stop --json`, once the swarm has ended; with --no-wait at once."""

    tag: str
    status: str


class Attached(TypedDict):
    """`attach --json`: the tmux session that was opened."""

    session: str
    windows: list[str]


class Compared(TypedDict):
    """`confirm ID --json`. The interval is the 95% one of the gain, p-values are two-sided."""

    experiment: str
    against: str
    metric: str
    direction: str
    budget: float
    n: int  # runs of each arm
    mean: float
    std: float
    rival_mean: float
    rival_std: float
    gain: float
    low: float
    high: float
    t_p: float
    wilcoxon_p: float
    outcome: str  # better, worse, inconclusive
    verdict: str  # for people


class Climbed(TypedDict):
    """`confirm ID --budgets ... --json`: both at several budgets, means in the metric's own direction, gains above 0
    better."""

    experiment: str
    against: str
    metric: str
    direction: str
    rungs: list[LadderRung]
    verdict: str  # holds, shrinks, gone, unclear


class AblatedMore(TypedDict):
    """`ablate TAG --json`: which steps of the leader matter. Gains above 0 are better."""

    tag: str
    metric: str
    direction: str
    verdict: str  # for people


class Capsuled(TypedDict):
    """`capsule ID --json`: what was written, and what it promises: a mean with its 95% interval."""

    capsule: str
    experiment: str
    mean: float
    low: float
    high: float


class Expected(TypedDict):
    """What a capsule promises."""

    mean: float
    low: float
    high: float
    gain: float


class VerifiedTold(TypedDict):
    """`verify CAPSULE --json`: what it promises, and what was measured here."""

    experiment: str
    metric: str
    direction: str
    expected: Expected
    mean: float
    baseline: float  # of the untouched code, here
    gain: float
    low: float
    high: float
    n: int  # runs of each arm
    differs: list[str]  # of machine and data; where any does, only the gain is compared
    shifted: bool  # the untouched code measures otherwise here, as on a busy machine: only the gain is compared
    key: dict[str, Any]  # what this machine's results can be compared with
    claim: str  # for programs: holds, does not hold, unclear


class Decided(TypedDict):
    """`accept ID --json` and `reject ID --json`."""

    tag: str
    experiment: str
    decided: str  # accept, reject


class Keep(TypedDict):
    """One keep of a judged record."""

    line: int
    description: str
    value: float
    claimed: float
    gain: float
    low: float
    high: float
    real: float  # the chance that it is a gain


class Judged(TypedDict):
    """A record, judged under one noise."""

    sigma: float
    experiments: int
    keeps: list[Keep]
    likely: int  # keeps that are more likely than not real
    expected: float  # real gains among the keeps
    recorded: float
    level: float  # where the last state truly is
    low: float
    high: float
    overstated: float | None


class JudgedRecords(TypedDict):
    """`judge --json`: one judgement, or one for each noise that may be."""

    file: str
    metric: str
    direction: str
    judged: list[Judged]


class ReplayedExperiment(TypedDict):
    """One experiment under another policy."""

    experiment: str
    description: str
    kept: bool  # by the swarm itself
    status: str | None  # what the policy decides; null where it asks for runs that were not made
    gain: float | None
    reason: str  # for people
    allowed: bool  # whether both trunks were the same until then


class ReplayedSwarm(TypedDict):
    """`replay TAG --json`: a swarm's runs, judged by another policy."""

    tag: str
    policy: str  # that the swarm ran under
    replayed: str
    parts_at: str | None  # the experiment from which on the runs no longer allow it; null where all do
    why: str  # for people
    experiments: list[ReplayedExperiment]


class AsideTold(TypedDict):
    """A line that was not understood with certainty."""

    line: int
    text: str
    reason: str


class Imported(TypedDict):
    """`import --json`: a list of these, one for each file."""

    file: str
    imported: int
    known: int  # already
    aside: list[AsideTold]


class Written(TypedDict):
    """`init --skill --json`."""

    written: list[str]  # files


class FromExample(TypedDict):
    """`init --example NAME --json`."""

    example: str
    written: list[str]  # files


class Answer(TypedDict):
    """A key of a project that `init` settled."""

    value: Any
    origin: str


class TriedRun(TypedDict):
    """The run that `init` made."""

    seconds: float
    printed: dict[str, float | str | None]


class Begun(TypedDict):
    """`init --json`."""

    project: dict[str, Answer]
    written: list[str]  # files
    run: TriedRun | None


class VerbStart(TypedDict):
    """How long one verb takes to start and answer."""

    ratio: float  # to `python -c pass`
    seconds: float
    aim: float


class Startup(TypedDict):
    """`bench --startup --json`."""

    bare_seconds: float
    verbs: dict[str, VerbStart]


class Fitted(TypedDict):
    """One number that was fitted, with its 95% interval."""

    value: float
    low: float
    high: float


class FittedShape(TypedDict):
    """What edits do in a project. Sizes are in the metric's units."""

    gain_share: Fitted
    loss_share: Fitted
    mean_gain: Fitted
    mean_loss: Fitted
    sigma: Fitted
    offset_sigmas: Fitted | None  # how far GPUs lie apart; null where no code ran on two


class ForeseenPolicy(TypedDict):
    """The simulated swarms of one policy; `low` and `high` hold 95% of them."""

    policy: str
    gain: float  # true gain of the trunk, mean
    low: float
    high: float
    over_greedy: float | None  # the same ideas, paired
    se_over_greedy: float | None
    standing: float  # steps of the trunk at the end
    kept: float
    false_kept: float  # share of the kept that truly gain nothing
    ideas: float


class Foretold(TypedDict):
    """`simulate --from TAG --json`: the next swarm, simulated on what an earlier one showed."""

    source: str  # the tag or the file
    metric: str
    direction: str
    ideas: int  # with a number
    crashed: int
    fitted: FittedShape
    gpus: int
    hours: float
    run_seconds: float
    swarms: int  # of each policy
    policies: list[ForeseenPolicy]
    unknown: list[str]  # what this cannot know, for people


ALSO: Mapping[Any, tuple[Any, Sequence[str] | None]] = {  # what has the fields of a record too, all or these
    StatusMore: (Snapshot, STATUS_COPIES),
    Shown: (ExperimentView, None),
    ComparableSwarm: (SwarmView, None),
    AblatedMore: (AblationView, None),
}
SHAPES: Mapping[str, tuple[Any, ...]] = {  # what each verb may print
    "init": (Begun, FromExample, Written),
    "launch": (PlanTold, Launched),
    "resume": (PlanTold, Launched),
    "ls": (list[SwarmInShort],),
    "status": (StatusMore,),
    "show": (Shown,),
    "report": (Reported,),
    "tell": (Told,),
    "stop": (Stopped,),
    "doctor": (list[Finding],),
    "accept": (Decided,),
    "reject": (Decided,),
    "attach": (Attached,),
    "confirm": (Compared, Climbed),
    "ablate": (AblatedMore,),
    "capsule": (Capsuled,),
    "verify": (VerifiedTold,),
    "judge": (JudgedRecords,),
    "replay": (ReplayedSwarm,),
    "import": (list[Imported],),
    "bench": (Startup, dict[str, Any]),
    "simulate": (dict[str, Any], Foretold),
    "chaos": (dict[str, Any],),
}
