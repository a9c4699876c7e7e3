"""How verbs print: a console for people, JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    from rich.console import Console

    return Console()


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))
