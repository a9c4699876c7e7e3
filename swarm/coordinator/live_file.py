"""live.json of an agent: what it said last and what its GPU says, for whoever watches."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from swarm.coordinator import log_shipping
from swarm.execution.machine import gpu


def write_live(folder: Path, live: dict[str, Any], card: gpu.Gpu | None) -> None:
    """Writes it whole into the agent's folder; a piece of the agent's logs that came with it is stored there too."""
    if chunk := live.pop("log_chunk", None):
        log_shipping.store(folder, chunk)
    if card:
        live |= {"gpu_load": card.load, "gpu_memory_gb": card.used_gb, "gpu_watts": card.watts}
    folder.mkdir(exist_ok=True)
    path = folder / "live.json"
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(live | {"at": time.time()}))
    draft.replace(path)
