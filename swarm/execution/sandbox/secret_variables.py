"""Whether a variable of the environment is a secret, by its name or by its value: the one rule of all that give
variables to programs.

Where in doubt it is one: a secret in the wrong place is worse than a setting that is missing. `pass_env` gives that.
"""

from __future__ import annotations

import re

_NAME = re.compile(
    r"key|token(?!izers_parallelism)|secret|passw|credential|auth|cookie|signature|private|webhook|notify"
    r"|_pat$|_push$|dsn$|^aws_|^anthropic_|^google_",
    re.IGNORECASE,
)
_PLACES = frozenset(["SSH_AUTH_SOCK", "XAUTHORITY", "GPG_AGENT_INFO"])  # without which tools ask for passwords
_LONG = r"[A-Za-z0-9_-]{8}"
_BEGINS = (  # keys of well-known services; folders are called hf_models and the like
    rf"(?:hf_[A-Za-z0-9]{{12}}|eyJ[A-Za-z0-9_-]{{12}}"
    rf"|(?:sk-|gh[opsu]_|github_pat_|glpat-|xox[abp]-|AKIA|ASIA|AIza){_LONG})"
)
_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@"  # a password in an address
    rf"|(?:^|[\s=:;,&?@\"'(]){_BEGINS}"
    rf"|://\S*/{_BEGINS}"
)


def is_secret(name: str, value: str) -> bool:
    """Whether a variable may let somebody in. Places of keys, such as an agent's socket, are none."""
    return name not in _PLACES and bool(_NAME.search(name) or _VALUE.search(value))
