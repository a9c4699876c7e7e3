"""Addresses that let anybody in are used, and neither stored nor shown."""

from __future__ import annotations

import pytest

from swarm.errors import UsageError
from swarm.launch.resume import resumed
from swarm.project.secrets import NOT_STORED, concealed, without_addresses, without_secrets
from swarm.project.settings import Config

HOOK = "https://hooks.slack.com/services/T0/B0/s3cr3t"
TOKEN = "https://me:ghp_s3cr3t@github.com/me/x.git"


@pytest.mark.parametrize(
    "name, value, stored",
    [
        ("notify", HOOK, f"https://hooks.slack.com/{NOT_STORED}"),
        ("notify", "ntfy+http://me:pw@host:8080/s3cr3t?auth=s3cr3t", f"ntfy+http://host/{NOT_STORED}"),
        ("push", TOKEN, f"https://{NOT_STORED}@github.com/me/x.git"),
        ("push", "https://s3cr3t@github.com/me/x", f"https://{NOT_STORED}@github.com/me/x"),
        ("push", "https://github.com/me/x?token=s3cr3t", f"https://github.com/me/x?{NOT_STORED}"),
        ("push", "ssh://me:s3cr3t@host/x", f"ssh://{NOT_STORED}@host/x"),
        ("push", "ssh://git@host/x", "ssh://git@host/x"),
        ("push", "git@github.com:me/x.git", "git@github.com:me/x.git"),
        ("push", "origin", "origin"),
        ("push", "../backup.git", "../backup.git"),
    ],
)
def test_what_is_stored_tells_where_and_lets_nobody_in(name: str, value: str, stored: str) -> None:
    assert concealed(name, value) == stored and "s3cr3t" not in stored


def test_other_settings_are_stored_as_they_are() -> None:
    settings = {"hours": 8.0, "notify": None, "push": "origin"}
    assert without_secrets(settings) == settings


def test_a_resumed_swarm_asks_for_its_secrets_again_in_one_line() -> None:
    first = {**without_secrets({"notify": HOOK, "push": TOKEN, "hours": 8.0}), "option": {}}
    with pytest.raises(UsageError) as refusal:
        resumed(Config(tag="a", resume=True), first)
    said = str(refusal.value)
    assert "\n" not in said and "s3cr3t" not in said
    assert "--notify or SWARM_NOTIFY" in said and "--push or SWARM_PUSH" in said and "hooks.slack.com" in said
    again = resumed(Config(tag="a", resume=True, notify=HOOK, push=TOKEN), first)
    assert (again.notify, again.push, again.hours) == (HOOK, TOKEN, 8.0)
    without = resumed(Config(tag="a", resume=True, notify="", push=""), first)
    assert not without.notify and not without.push


def test_a_remote_without_a_secret_is_kept() -> None:
    first = {**without_secrets({"push": "origin"}), "option": {}}
    assert resumed(Config(tag="a", resume=True), first).push == "origin"


@pytest.mark.parametrize(
    "said",
    [
        f"fatal: unable to access '{TOKEN}/': Could not resolve host",
        "remote: https://other:s3cr3t@host/x is gone",
        "URL can't contain control characters. '/services/T0/B0/s3cr3t' (found at least '\\n')",
    ],
)
def test_errors_tell_no_secret(said: str) -> None:
    assert "s3cr3t" not in without_addresses(said, HOOK, TOKEN)
