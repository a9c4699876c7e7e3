"""Notifications over HTTP: ntfy, Slack, Discord, or a plain JSON object, chosen by the shape of the URL."""

from __future__ import annotations

import dataclasses
import json
import urllib.request
from urllib.parse import urlsplit

from swarm.board.notifications import Notification

TIMEOUT = 10.0  # seconds of one delivery
LONGEST = 1800  # characters: Discord takes 2000
_URGENT = ("crashes", "failed")


def place(url: str) -> str:
    """The host alone: whoever knows a webhook's whole URL may write there."""
    return urlsplit(url).hostname or "?"


def request(url: str, notification: Notification) -> urllib.request.Request:
    """What to send: a POST in the form that the service behind `url` reads."""
    parts = urlsplit(url)
    title, text = f"swarm {notification.tag}: {notification.kind}", notification.text[:LONGEST]
    if parts.scheme.startswith("ntfy+") or "ntfy" in (parts.hostname or ""):
        priority = "high" if notification.kind in _URGENT else "default"
        headers = {"Title": title, "Priority": priority, "Tags": "warning" if priority == "high" else "test_tube"}
        headers |= {"Click": notification.link} if notification.link else {}
        return urllib.request.Request(url.removeprefix("ntfy+"), text.encode(), headers, method="POST")
    link = f"\n{notification.link}" if notification.link else ""
    if "/api/webhooks/" in parts.path:  # Discord; no word of a title may ping anybody
        body: dict[str, object] = {"content": f"**{title}**\n{text}{link}", "allowed_mentions": {"parse": []}}
    elif parts.hostname == "hooks.slack.com" or parts.path.startswith("/services/"):
        for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(sign, entity)
        body = {"text": f"*{title}*\n{text}{link}"}
    else:
        body = {"title": title, **dataclasses.asdict(notification)}
    return urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST")


def send(url: str, notification: Notification) -> None:
    """Delivers one notification; OSError where that fails."""
    with urllib.request.urlopen(request(url, notification), timeout=TIMEOUT):
        pass
