"""The rows of the ledger as frozen records, and their states. Outside this room a row is always one of these.

Annotations here are types, not text: every field is read as its own says, and text would have to be compiled first.
"""

import functools
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from msgspec import Struct

from swarm.judge.confirm import around
from swarm.records import CATEGORIES, Failure, Idea, Outcome, Purpose, Rung, Status

R = TypeVar("R", bound=Struct)


class ExperimentState(StrEnum):
    """Where an experiment is. It goes one way, and ends as judged or abandoned."""

    CLAIMED = "claimed"  # an idea without code
    DRAFTED = "drafted"  # has its code, waits for its GPU
    TESTING = "testing"  # its runs are made
    JUDGED = "judged"
    ABANDONED = "abandoned"  # as if it had never been thought of


STARTED = (ExperimentState.TESTING, ExperimentState.JUDGED)  # ideas that count toward a swarm's limit


class RunState(StrEnum):
    """Where one attempt at a run is."""

    RUNNING = "running"
    MEASURED = "measured"
    CRASHED = "crashed"
    CHECKED = "checked"  # it ran the project's checks: its failure says whether they failed
    LOST = "lost"  # through no fault of its idea: the next attempt is made


class SwarmRow(Struct, frozen=True):
    """One swarm: what it was launched with, and how far it is. Times are unix seconds."""

    tag: str
    started: float
    ended: float | None
    status: str  # running, finished, stopped, failed, interrupted
    stop: str  # "", or what was asked for: drain, now
    base_commit: str
    base_source: str
    from_tag: str | None
    key: str  # the comparability key
    device: str
    metric: str
    direction: str  # lower, higher
    policy: str
    researcher: str
    budget: float  # seconds of training per run
    deadline: float | None
    max_experiments: int | None
    max_usd: float | None
    max_tokens: int | None
    sigma_prior: float | None
    sigma: float | None
    reason: str
    settings: Mapping[str, Any]
    measured: int  # runs that gave a number, the closing ones among them
    measured_seconds: float  # what these took
    closing: int

    @property
    def sign(self) -> int:
        """What a metric is multiplied with, so that lower is better."""
        return 1 if self.direction == "lower" else -1

    @property
    def categories(self) -> tuple[str, ...]:
        """What ideas for this project can be about."""
        return tuple(self.settings.get("categories", CATEGORIES))

    def researcher_of(self, agent: str) -> str:
        """Who thinks for the agent: its part of the mix, or what the swarm as a whole says."""
        return self.settings.get("researchers", {}).get(agent, self.researcher)


class AgentRow(Struct, frozen=True):
    """One agent of a swarm. `position` is where its branch stands on the trunk, `seconds` what its GPU has worked."""

    tag: str
    agent: str
    device: str
    category: str
    fence: int
    position: int
    joined: float | None
    seconds: float


class TrunkStep(Struct, frozen=True):
    """One step of the trunk; position 0 is the baseline, and has no experiment."""

    tag: str
    position: int
    source: str
    experiment: str | None
    at: float


class ExperimentRow(Struct, frozen=True):
    """One experiment, from its claim to its verdict."""

    id: str
    tag: str
    agent: str  # whose branch and results.tsv it belongs to
    owner: str  # who tests it: another agent where the first one is gone
    sequence: int
    baseline: bool
    state: ExperimentState
    key: str
    intent: str
    title: str
    rationale: str
    category: str
    knobs: Mapping[str, float | int | str | bool]
    parent: str  # source it started from
    position: int  # of the parent on the trunk; of itself once it is kept
    source: str | None
    added_size: int
    again: str
    diff: str
    refresh: bool
    repairs: int
    status: Status | None
    rung: Rung
    gain: float | None
    se: float | None
    n: int
    outcome: Outcome | None  # of imported results None, and before the verdict, but where only checks are missing
    failure: Failure | None
    reason: str
    created: float
    started: float | None
    judged: float | None
    verdict: int | None  # its number in the order of the swarm's verdicts
    commit_sha: str | None
    restores: str | None
    quarantine: str
    real: (
        float | None
    )  # the chance that it is a real gain, as all runs until now say; None where nobody reckons with it
    real_at_verdict: float | None

    @property
    def idea(self) -> Idea:
        return Idea(self.title, self.rationale, self.category, self.knobs, self.again)

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The 95% interval around the judged gain, the gain itself where equal code gives equal numbers; None and None
        where nothing gives one."""
        if self.gain is None or self.se is None or not math.isfinite(self.se):
            return None, None
        return around(self.gain, self.se)


class RunRow(Struct, frozen=True):
    """One attempt at a run. `value` is None without a number; the whole result is read with `runs.newest_run_of`."""

    id: str
    attempt: int
    tag: str
    experiment: str
    agent: str
    purpose: Purpose
    seed: int
    source: str
    parent: str
    state: RunState
    started: float
    seconds: float | None
    training_seconds: float | None
    value: float | None
    steps: float | None
    audited: bool | None
    sandboxed: bool | None
    peak_vram_mb: float | None
    failure: Failure | None
    confirmation: int | None


class ConfirmationRow(Struct, frozen=True):
    """One strict test: `experiment` (its code `source`) against `rival_experiment` (`rival`)."""

    id: int
    tag: str
    experiment: str
    source: str
    rival_experiment: str
    rival: str
    asked: str
    wanted: int  # fresh runs of each arm
    state: str
    gain: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int | None
    m: int | None
    began: float
    ended: float | None


class AblationRow(Struct, frozen=True):
    """One ablation of the leader `experiment` (its code `source`): every step of its line left out in turn. `minimal`
    is the code without what does not matter, and `loss` what it measured worse on `pairs` fresh seeds."""

    id: int
    tag: str
    experiment: str
    source: str
    asked: str  # swarm, people
    room: int | None  # runs that it may take
    level: float | None  # of the leader beforehand, lower is better
    deviation: float | None
    shares: str  # of effects, as the swarm learned them: JSON
    state: str  # open, ended, void
    minimal: str | None
    loss: float | None
    low: float | None
    high: float | None
    pairs: int
    verified: bool
    began: float
    ended: float | None


class AblationStepRow(Struct, frozen=True):
    """One step of the line: the code before and after it, its gain (x, with error s, in sigmas) as it was put on, and
    its gain in the final stack once that is known. `together` names the steps that go with it, with blanks between."""

    ablation: int
    place: int
    experiment: str
    before: str
    source: str
    x: float | None
    s: float | None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    runs: int = 0
    dropped: bool = False
    together: str = ""


class AblationCodeRow(Struct, frozen=True):
    """One code: without the `wanted` steps, and so without all `steps` (names with blanks between). A `fault` says why
    it may not run."""

    ablation: int
    number: int
    wanted: str
    steps: str
    source: str | None
    fault: str
    verifies: bool


class EventRow(Struct, frozen=True):
    """One line for whoever watches."""

    id: int
    at: float
    agent: str
    kind: str
    text: str
    experiment: str | None


TABLES: Mapping[type[Struct], str] = {
    SwarmRow: "swarms",
    AgentRow: "agents",
    TrunkStep: "trunk",
    ExperimentRow: "experiments",
    RunRow: "runs",
    ConfirmationRow: "confirmations",
    AblationRow: "ablations",
    AblationStepRow: "ablation_steps",
    AblationCodeRow: "ablation_codes",
    EventRow: "events",
}


@functools.cache
def select(kind: type[Struct], sql: str) -> str:
    """The whole statement that reads records of that kind; see `Ledger.records`."""
    joined = sql.startswith("FROM ")
    prefix = "t." if joined else ""
    columns = ", ".join(f"{prefix}{name}" for name in kind.__struct_fields__)
    return f"SELECT {columns} {sql}" if joined else f"SELECT {columns} FROM {TABLES[kind]} {sql}"


def read(kind: type[R], row: Any) -> R:
    """The record of a row that was selected with `select`."""
    values = list(row)
    for index, convert in _conversions(kind):
        if values[index] is not None:
            values[index] = convert(values[index])
    return kind(*values)


@functools.cache
def _conversions(kind: type[Struct]) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
    """The fields that SQLite has in another form: enums and JSON (both text), and truth values (0 and 1)."""
    found = ((index, _conversion(kind.__annotations__[name])) for index, name in enumerate(kind.__struct_fields__))
    return tuple((index, convert) for index, convert in found if convert)


def _conversion(hint: Any) -> Callable[[Any], Any] | None:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if bool in options:
        return bool
    if any(typing.get_origin(option) is Mapping for option in options):
        return _settings if Any in typing.get_args(options[0]) else json.loads
    if float in options:
        return _real
    enums = [option for option in options if isinstance(option, type) and issubclass(option, StrEnum)]
    return {word.value: word for word in enums[0]}.__getitem__ if enums else None


def _real(value: Any) -> Any:
    if not isinstance(value, (float, int)):  # SQLite keeps in any column what it is given
        raise TypeError(f"{value!r:.40} is no number")
    return value


@functools.lru_cache(maxsize=8)  # they are read at every call of the board
def _settings(text: str) -> Mapping[str, Any]:
    return types.MappingProxyType(json.loads(text))
