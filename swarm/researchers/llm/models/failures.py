"""How a service fails, in words for people, and for how long it is best left alone: by the status of its answer."""

from __future__ import annotations

from collections.abc import Mapping

from swarm.researchers.llm.models.protocol import Failed
from swarm.researchers.llm.money import Usage
from swarm.researchers.llm.prompt import line

PAUSE = 30.0  # seconds until most failures may have passed; what a person has to mend takes longer:
PAUSES: Mapping[int, float] = {400: 60.0, 401: 600.0, 402: 600.0, 403: 600.0, 404: 600.0, 413: 60.0, 422: 60.0}
_REASONS: Mapping[int, str] = {
    400: "the API refuses the request",
    402: "the account has no credit left",
    403: "the key may not use this model",
    404: "the API does not know the model",
    413: "the API finds the request too large",
    422: "the API refuses the request",
    429: "the rate limit is reached",
    529: "the API is overloaded",
}


def failed(status: int, said: str, key: str, usage: Usage | None, remedy: str = "") -> Failed:
    """The failure of this status. `said` are the service's own words, `key` is the variable that holds its key."""
    known = f"the API refuses the key; is {key} right?" if status == 401 else _REASONS.get(status)
    reason = (known or f"the API fails with status {status}") + (f" ({line(said)})" if said else "")
    return Failed(f"{reason}; {remedy}" if remedy else reason, PAUSES.get(status, PAUSE), usage)


def unreached(late: bool, usage: Usage | None) -> Failed:
    """The failure of a service that gave no answer at all; `late`: it took the request, and was silent."""
    return Failed("the API does not answer" if late else "the API cannot be reached", PAUSE, usage)


def at_its_limit(seconds: float, usage: Usage | None) -> Failed:
    """The failure of a service that says itself for how long it wants to be left alone."""
    return Failed(f"the API is at its limit and asks to wait {seconds:.0f} s", seconds, usage)
