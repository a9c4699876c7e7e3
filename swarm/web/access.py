"""Who may look: only under names of this machine, and beyond it only with the token."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LOCAL = ("127.0.0.1", "::1", "localhost")
# What listens on all addresses, and one (of those for documents) that is surely elsewhere.
_EVERYWHERE = {
    "": (socket.AF_INET, "192.0.2.1"),
    "0.0.0.0": (socket.AF_INET, "192.0.2.1"),
    "::": (socket.AF_INET6, "2001:db8::1"),
}


@dataclass(frozen=True, slots=True)
class Access:
    """`token` "" asks for none. `names` are the host names under which this machine is reached."""

    token: str
    names: Collection[str] = ()

    def knows_host(self, header: str) -> bool:
        """Whether a request's Host header is meant for us: an address, localhost, or one of our names.

        A page elsewhere that makes its own name point here (DNS rebinding) comes with that name.
        """
        try:
            host = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        return host == "localhost" or host in {name.lower() for name in self.names} or is_address(host)

    def is_token(self, given: str) -> bool:
        return _same(given, self.token)

    def admits(self, cookie: str) -> bool:
        """Whether this cookie is what the token was exchanged for; anything is, where no token is asked for."""
        return not self.token or _same(cookie, self.cookie)

    @property
    def cookie(self) -> str:
        """What a browser keeps in the token's place: who finds it cannot make the link of it."""
        return hmac.new(self.token.encode(), b"swarm serve", hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    """In constant time, whatever was given."""
    digests = (hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, wanted))
    return bool(wanted) and hmac.compare_digest(*digests)


def is_address(host: str) -> bool:
    """Whether it is an IP address, which no name can be made to point at."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_local(host: str) -> bool:
    """Whether only programs of this machine reach a server that listens there."""
    return host in LOCAL or (is_address(host) and ipaddress.ip_address(host.partition("%")[0]).is_loopback)


def reached_as(host: str) -> list[str]:
    """How a server that listens at `host` is called in a link, the best first. One that listens everywhere is called by
    its machine's name, and by its address: phones, for one, often do not know the name."""
    if host not in _EVERYWHERE:
        return [_written(host)]
    family, outside = _EVERYWHERE[host]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((outside, 9))  # sends nothing: the kernel chooses the address that leads outside
        except OSError:  # no network at all
            return [socket.gethostname()]
        return [socket.gethostname(), _written(probe.getsockname()[0])]


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def stored_token(folder: Path) -> str:
    """The token of this repository, made at the first call, so that links and cookies outlive a server."""
    file = folder / "serve-token"
    with contextlib.suppress(FileExistsError):
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(made, secrets.token_urlsafe(24).encode())
        os.close(made)
    token = file.read_text(encoding="ascii", errors="replace").strip()
    if len(token) >= 32:
        return token
    file.unlink()  # cut short by a full disk
    return stored_token(folder)
