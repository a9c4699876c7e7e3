"""Settings that hold secrets: addresses whose very text lets anybody in. They are used, and never stored or shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from swarm.errors import UsageError

NOT_STORED = "[not stored]"  # stands for the secret part in what is stored
SECRETS = ("notify", "push")
_USER = re.compile(r"(?<=://)[^/@\s]+@")  # name and password, or a token, in an address


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they may be stored: what an address is of can be told, what is secret in it cannot."""
    return {**settings, **{name: concealed(name, settings[name]) for name in SECRETS if settings.get(name)}}


def concealed(name: str, value: str) -> str:
    """The setting without its secret: of a webhook the host alone, of a git remote all but a password or a token."""
    if name == "notify":
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.hostname or ''}/{NOT_STORED}"
    scheme = value.partition("://")[0].lower()
    if "://" not in value or (scheme == "ssh" and ":" not in value.partition("@")[0].partition("://")[2]):
        return value  # the name of a remote, a path, or an address where a key in a file opens the door
    without_user = _USER.sub(f"{NOT_STORED}@", value)
    address, mark, _ = without_user.partition("?")
    return f"{address}?{NOT_STORED}" if mark else address


def without_addresses(text: str, *addresses: str | None) -> str:
    """A text, such as an error of git's, without these addresses and without whatever else lets somebody in."""
    for address in filter(None, addresses):
        parts = urlsplit(address) if "://" in address else None
        secret = (address, *((parts.path, parts.query) if parts and parts.hostname else ()))
        for part in (part for part in secret if len(part) > 3):
            text = text.replace(part, NOT_STORED)
    return _USER.sub(f"{NOT_STORED}@", text)


def ask_again(first: Mapping[str, Any], given: Mapping[str, str | None]) -> None:
    """UsageError where a swarm is resumed whose settings held secrets, and they are not `given` again."""
    missing = [name for name in SECRETS if NOT_STORED in str(first.get(name) or "") and given.get(name) is None]
    if missing:
        flags = " and ".join(f"--{name} ({first[name]})" for name in missing)
        again = ", ".join(f"--{name} or SWARM_{name.upper()}" for name in missing)
        raise UsageError(
            f"{flags} was given at the launch and is a secret, which is not stored: give it again, {again},"
            f" or go on without it: --{missing[0]} ''"
        )
