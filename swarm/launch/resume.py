"""The settings of a swarm that goes on: those that it was launched with, but for those that are given now."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from swarm.project.secrets import SECRETS, ask_again
from swarm.project.settings import Config

# What a resumed swarm does not keep.
ANEW = ("tag", "resume", "from_tag", "detach", "dry_run", "address", "wait", "trial")


def resumed(config: Config, first: Mapping[str, Any]) -> Config:
    """`config` with what it leaves at its default as in `first`, the settings of the launch that is resumed.
    UsageError where that had secrets, which are given again or not at all."""
    ask_again(first, {name: getattr(config, name) for name in SECRETS})
    default = Config()
    silent = {
        name: value
        for name, value in first.items()
        if name not in (*ANEW, "option") and getattr(config, name, value) == getattr(default, name, None)
    }
    if config.gpus or config.agents:
        silent = {name: value for name, value in silent.items() if name not in ("gpus", "agents")}
    known = {field.name for field in dataclasses.fields(Config)}
    kept = {name: value for name, value in silent.items() if name in known}
    return dataclasses.replace(config, **kept, option={**first["option"], **config.option})
