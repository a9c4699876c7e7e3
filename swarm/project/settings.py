"""How a swarm is launched: one frozen Config, from defaults < [tool.swarm] < SWARM_* variables < flags."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from swarm.errors import UsageError
from swarm.judge.decide import DEFAULT, read_policy
from swarm.project.durations import Hours, Seconds, write_duration
from swarm.project.flags import flag
from swarm.project.project import project_keys
from swarm.project.researcher_options import SHORTHANDS, read_options
from swarm.project.values import read_value, unit_of
from swarm.text import one_line, printable

TAG = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
SANDBOXES = ("auto", "require", "off")
TRIALS = ("auto", "always", "off")
DEVICES = ("auto", "cuda", "mps", "cpu", "sim")
NO_SETTINGS = {  # variables of the swarm's own processes, which a launch from within one of them may inherit
    "SWARM_SEED": "the seed of a run: the runner sets it, the training reads it",
    "SWARM_RUN_DIR": "the folder of a run's artifacts: the runner sets it, training and referee write there",
    "SWARM_START": "seconds of a run's start that are no training: the runner sets it, the harness reads it",
    "SWARM_THREADS": "torch threads of a run: the runner sets it, the training reads it",
    "SWARM_GUARD": "the folder of a run's guard, by which it is found again",
    "SWARM_HEAD": "the head under which a process was started, and with which it ends",
    "SWARM_CHAOS": "the folder of the faults that `swarm chaos` hurts its swarm with",
}


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of `launch`. Each field is a flag (`--max-experiments`), a key of [tool.swarm] and a variable
    (`SWARM_MAX_EXPERIMENTS`)."""

    tag: str | None = None  # the swarm's name; default: today, as nov20
    gpus: str | None = None  # "8" for a number of GPUs, "0,1,5" for these
    agents: int | None = None  # number of agents where there are no GPUs
    device: str = "auto"
    hours: Hours | None = None
    max_experiments: int | None = None
    max_usd: float = 20.0  # for models, all agents together
    max_tokens: int | None = None  # of all prompts and answers together
    budget: Seconds | None = None  # of training per run; default: the project's
    researcher: str = "auto"
    think_limit: Seconds = 1200.0  # how long a researcher may think about one step
    option: Mapping[str, str] = field(default_factory=dict)  # those of single researchers; each knows its own
    policy: str = DEFAULT
    ablation: bool = True  # at the swarm's end each step of the leader is left out in turn, to see what matters
    futility: bool = True  # hopeless runs end half way, once the swarm's own curves show that hardly a winner is lost
    sandbox: str = "auto"  # or require, off
    trial: str = "auto"  # the untouched code runs once before a swarm is founded; or always, off
    researcher_seed: int = 0  # of the researchers' choices; runs get theirs from the board
    from_tag: str | None = None
    resume: bool = False
    detach: bool = False
    dry_run: bool = False
    address: str | None = None
    wait: Seconds = 900.0  # how long a cluster gets to bring its GPUs
    gpu_usd_per_hour: float | None = None
    notify: str | None = None  # URL of a webhook, or of a ntfy topic
    push: str | None = None  # a git remote that gets the swarm's branches and experiments
    track: str | None = None  # an experiment tracker that gets a copy of every judged experiment

    def check(self, names: Mapping[str, str] | None = None) -> Config:
        """The config; UsageError at the first value that makes no sense, under its name in `names`, else its flag."""
        called = {name: flag(name) for name in FIELDS} | dict(names or {})
        if self.tag is not None and not TAG.fullmatch(self.tag):
            raise _refusal(called["tag"], self.tag, "use small letters, digits and '-', at most 31 of them, as in apr5")
        if self.tag is not None and "-gpu" in self.tag:
            raise _refusal(called["tag"], self.tag, "'-gpu' is how the branches of agents are called: choose another")
        for name, choices in (("sandbox", SANDBOXES), ("device", DEVICES), ("trial", TRIALS)):
            if (value := getattr(self, name)) not in choices:
                raise _refusal(called[name], value, f"it is one of {', '.join(choices)}")
        if self.gpus is not None and self.agents is not None:
            raise UsageError(f"{called['gpus']} and {called['agents']} exclude each other: there is one agent per GPU")
        if self.gpus is not None and not re.fullmatch(r"\d+(,\d+)*", self.gpus):
            raise _refusal(called["gpus"], self.gpus, "give a number of GPUs (8) or their indices (0,1,5)")
        if self.gpus is not None and "," not in self.gpus and not self.gpus.strip("0"):
            raise _refusal(
                called["gpus"], self.gpus, "it is a number of GPUs; one by its index is CUDA_VISIBLE_DEVICES=0"
            )
        read_policy(self.policy)
        for name in ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and not 0 < value <= MOST:
                raise UsageError(f"{called[name]} {value:g}: it must be above 0, and at most {MOST:g}")
        for name, value in (("agents", str(self.agents or "")), ("gpus", self.gpus or "")):
            if any(len(number) > 9 or int(number or 0) > MOST_AGENTS for number in value.split(",")):
                raise _refusal(called[name], value, f"a swarm has at most {MOST_AGENTS} agents")
        if not 0 <= self.wait < math.inf:
            raise UsageError(f"{called['wait']} {self.wait:g}: it must not be below 0")
        if self.resume and self.tag is None:
            raise UsageError("--resume needs the tag to go on with: --tag TAG --resume")
        if self.resume and self.from_tag:
            raise UsageError("--resume goes on with a swarm, --from starts a new one: give one of them")
        return self


MOST = 1e15  # of any number: beyond it, sums and dates are none any more
MOST_AGENTS = 10_000
FIELDS = {item.name: item for item in dataclasses.fields(Config)}
HINTS = typing.get_type_hints(Config, include_extras=True)
ABOVE_ZERO = (
    *("hours", "max_experiments", "max_usd", "max_tokens", "think_limit", "budget", "agents", "gpu_usd_per_hour"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it came from, for `launch --dry-run`."""

    name: str
    value: Any
    origin: str

    @property
    def text(self) -> str:
        """The value as people write it."""
        unit = unit_of(HINTS.get(self.name))
        return "–" if self.value in (None, {}) else write_duration(self.value, unit) if unit else str(self.value)


def variable(name: str) -> str:
    return f"SWARM_{name.upper()}"


def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their names of today, whatever version wrote them."""
    options = {name: value for name, (value, _) in read_options(settings, str).items()}
    return {name: value for name, value in settings.items() if name not in SHORTHANDS} | {"option": options}


def read_config(
    flags: Mapping[str, Any], table: Mapping[str, Any], environ: Mapping[str, str], file: str = ""
) -> tuple[Config, tuple[Setting, ...]]:
    """The checked Config and the origin of each value. `flags` holds only what was typed; `table` is that of `file`,
    which is blamed for what is wrong in it."""
    accepted = {*FIELDS, *SHORTHANDS}
    said = file if file and not file.endswith("pyproject.toml") else " ".join(filter(None, (file, "[tool.swarm]")))
    for key in sorted(table.keys() - accepted):
        raise _unknown(f"{said} says", key, accepted | project_keys())
    known = {variable(name) for name in accepted} | NO_SETTINGS.keys()
    for key in sorted(name for name in environ if name.startswith("SWARM_") and name not in known):
        raise _unknown("the environment has", key, known)
    places: tuple[tuple[Mapping[str, Any], Callable[[str], str]], ...] = (  # the nearest to the user last
        (table, lambda name: f"{said} {name}"),
        ({name: environ[variable(name)] for name in accepted if variable(name) in environ}, variable),
        (flags, flag),
    )
    values, names, settings = {}, {}, []
    for name, field_ in FIELDS.items():
        if name == "option":
            found = {key: value for given, called in places for key, value in read_options(given, called).items()}
            values[name] = {key: value for key, (value, _) in found.items()}
            settings += [Setting(f"option.{key}", value, origin) for key, (value, origin) in found.items()]
            settings += [] if found else [Setting(name, {}, "default")]
            continue
        values[name], names[name], origin = field_.default, flag(name), "default"
        for given, called in places:
            if name in given:
                values[name], names[name] = given[name], called(name)
                origin = names[name].removesuffix(f" {name}")
        if origin != "default":
            values[name] = read_value(values[name], HINTS[name], names[name], from_text=True)
        settings.append(Setting(name, values[name], origin))
    return Config(**values).check(names), tuple(settings)


def _unknown(where: str, key: str, known: Iterable[str]) -> UsageError:
    near = difflib.get_close_matches(key, sorted(known), n=1)
    remedy = f"did you mean {near[0]}?" if near else "see `python -m swarm launch --help`"
    return UsageError(one_line(printable(f"{where} {key}, which is no setting: {remedy}")))


def _refusal(name: str, value: str, wanted: str) -> UsageError:
    return UsageError(f"{name} {value!r:.80}: {wanted}")


NOTIFY_SCHEMES = ("http", "https", "ntfy+http", "ntfy+https")


def check_url(url: str) -> None:
    """UsageError where nothing could be sent to `url`."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in NOTIFY_SCHEMES and parts.hostname and parts.port != 0
    except ValueError:  # an address that begins with [ and does not end, a port that is none
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(
            "--notify: give a URL, such as https://ntfy.sh/TOPIC, a webhook of Slack or Discord, or one of your own"
            " (ntfy+https://HOST/TOPIC for a ntfy server of your own)"
        )
