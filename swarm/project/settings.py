"""How a swarm is launched: one frozen Config, from defaults < [tool.swarm] < SWARM_* variables < flags."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from swarm.errors import UsageError
from swarm.judge.decide import read_policy

TAG = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
SANDBOXES = ("auto", "require", "off")
DEVICES = ("auto", "cuda", "mps", "cpu", "sim")


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of `launch`. Each field is a flag (`--max-experiments`), a key of [tool.swarm] and a variable
    (`SWARM_MAX_EXPERIMENTS`)."""

    tag: str | None = None  # the swarm's name; default: today, as nov20
    gpus: str | None = None  # "8" for a number of GPUs, "0,1,5" for these
    agents: int | None = None  # number of agents where there are no GPUs
    device: str = "auto"
    hours: float | None = None
    max_experiments: int | None = None
    max_usd: float = 20.0  # for models, all agents together
    max_tokens: int | None = None  # of all prompts and answers together
    budget: float | None = None  # seconds of training per run; default: the project's
    researcher: str = "auto"
    think_limit: float = 1200.0  # seconds a researcher may think about one step
    model: str | None = None
    command: str | None = None  # for the command researcher: any CLI that edits files in a folder
    command_env: str | None = None  # names of variables that it may see, with commas
    script: str | None = None  # for the scripted researcher
    think: float | None = None  # seconds it takes to think
    policy: str = "race"
    sandbox: str = "auto"  # or require, off
    researcher_seed: int = 0  # of the researchers' choices; runs get theirs from the board
    from_tag: str | None = None
    resume: bool = False
    detach: bool = False
    dry_run: bool = False
    address: str | None = None
    wait: str = "15m"  # how long a cluster gets to bring its GPUs
    gpu_usd_per_hour: float | None = None
    notify: str | None = None  # URL of a webhook, or of a ntfy topic
    push: str | None = None  # a git remote that gets the swarm's branches and experiments

    def check(self) -> Config:
        """The config itself; UsageError at the first value that makes no sense."""
        if self.tag is not None and not TAG.fullmatch(self.tag):
            raise UsageError(f"--tag {self.tag!r}: use small letters, digits and '-', at most 31 of them, as in apr5")
        if self.tag is not None and "-gpu" in self.tag:
            raise UsageError(f"--tag {self.tag!r}: '-gpu' is how the branches of agents are called; choose another tag")
        if self.sandbox not in SANDBOXES:
            raise UsageError(f"--sandbox {self.sandbox!r}: it is one of {', '.join(SANDBOXES)}")
        if self.device not in DEVICES:
            raise UsageError(f"--device {self.device!r}: it is one of {', '.join(DEVICES)}")
        if self.gpus is not None and self.agents is not None:
            raise UsageError("--gpus and --agents exclude each other: there is one agent per GPU")
        if self.gpus is not None and not re.fullmatch(r"\d+(,\d+)*", self.gpus):
            raise UsageError(f"--gpus {self.gpus!r}: give a number of GPUs (8) or their indices (0,1,5)")
        read_policy(self.policy)
        limits = ("hours", "max_experiments", "max_usd", "max_tokens", "think_limit")
        for name in (*limits, "budget", "agents", "gpu_usd_per_hour"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{flag(name)} {value:g}: it must be above 0, and finite")
        if self.think is not None and not 0 <= self.think < math.inf:
            raise UsageError(f"--think {self.think:g}: it must not be below 0")
        seconds(self.wait)
        if self.resume and self.tag is None:
            raise UsageError("--resume needs the tag to go on with: --tag TAG --resume")
        if self.resume and self.from_tag:
            raise UsageError("--resume goes on with a swarm, --from starts a new one: give one of them")
        return self


def seconds(text: str) -> float:
    """A duration such as 90s, 15m or 2h; a bare number is seconds."""
    read = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if read is None:
        raise UsageError(f"--wait {text}: give a time such as 90s, 15m or 2h")
    return float(read[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[read[2]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it came from, for `launch --dry-run`."""

    name: str
    value: Any
    origin: str


def flag(name: str) -> str:
    return {"from_tag": "--from"}.get(name, "--" + name.replace("_", "-"))


def read_config(
    flags: Mapping[str, Any], table: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[Config, tuple[Setting, ...]]:
    """The checked Config and the origin of each value. `flags` holds only what was typed; `table` is [tool.swarm]."""
    unknown = sorted(table.keys() - {field.name for field in dataclasses.fields(Config)})
    if unknown:
        raise UsageError(f"[tool.swarm] says {unknown[0]}, which is no setting: see `python -m swarm launch --help`")
    hints = typing.get_type_hints(Config)
    settings = []
    for field in dataclasses.fields(Config):
        name, variable = field.name, f"SWARM_{field.name.upper()}"
        if name in flags:
            settings.append(Setting(name, flags[name], flag(name)))
        elif variable in environ:
            settings.append(Setting(name, _parse(variable, environ[variable], hints[name]), variable))
        elif name in table:
            settings.append(Setting(name, _parse(name, table[name], hints[name]), "[tool.swarm]"))
        else:
            settings.append(Setting(name, field.default, "default"))
    return Config(**{s.name: s.value for s in settings}).check(), tuple(settings)


def _parse(name: str, value: Any, hint: Any) -> Any:
    """A value from the environment or a TOML file as the field's type."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for kind in kinds:
        if kind is bool and str(value).lower() in ("1", "true", "yes", "0", "false", "no"):
            return str(value).lower() in ("1", "true", "yes")
        if kind in (int, float, str):
            try:
                return kind(str(value))
            except ValueError:
                continue
    wanted = " or ".join(kind.__name__ for kind in kinds if kind is not types.NoneType)
    raise UsageError(f"{name} = {value!r}: it must be {wanted}")


NOTIFY_SCHEMES = ("http", "https", "ntfy+http", "ntfy+https")


def check_url(url: str) -> None:
    """UsageError where nothing could be sent to `url`."""
    parts = urlsplit(url)
    if parts.scheme not in NOTIFY_SCHEMES or not parts.hostname:
        raise UsageError(
            "--notify: give a URL, such as https://ntfy.sh/TOPIC, a webhook of Slack or Discord, or one of your own"
            " (ntfy+https://HOST/TOPIC for a ntfy server of your own)"
        )
