"""How settings are called on the command line. Imports nothing: every verb's start waits for it."""

from __future__ import annotations

FORMER = ("command", "command_env")  # flags of earlier versions, which set options of a single researcher


def flag(name: str) -> str:
    return {"from_tag": "--from"}.get(name, "--" + name.replace("_", "-"))
