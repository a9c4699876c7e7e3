"""A run beside its parent's: what the experiment changed, the two loss curves, and speed, memory and size."""

from __future__ import annotations

import difflib

from swarm.records import Dossier, Run, Source
from swarm.text import read_text

FIGURES = ("tokens/s", "num_steps", "peak_vram_mb", "mfu_percent", "num_params_M")


def change(dossier: Dossier, limit: int) -> list[str]:
    """The diff against its parent, at most `limit` characters of it."""
    text = difference(dossier.before, dossier.after)
    return [text if len(text) <= limit else f"{text[:limit]}\n[... {len(text) - limit} characters left out ...]"]


def difference(before: Source, after: Source) -> str:
    """What was changed, as a unified diff; "" where nothing was."""
    lines: list[str] = []
    for path in sorted(after.files):
        old, new = (read_text(source.files.get(path, b"")).text.splitlines() for source in (before, after))
        lines += difflib.unified_diff(old, new, path, path, lineterm="", n=2)
    return "\n".join(lines)


def training(dossier: Dossier) -> list[str]:
    """The loss by time beside the parent's, then speed, memory and size, each with the parent's in brackets."""
    run, parent = dossier.run, dossier.parent
    if run is None:
        return ["it never trained"]
    return [*_curves(run, parent), *_facts(run, parent)]


def _curves(run: Run, parent: Run | None) -> list[str]:
    rows = [(name, r.curve) for name, r in (("loss", run), ("parent", parent)) if r and r.curve]
    if not rows:
        return []
    moments = rows[0][1]  # its own: a crash is compared as far as it came
    lines = [f"{'seconds':8}" + "".join(f"{seconds:>9.4g}" for seconds, _ in moments)]
    return lines + [f"{name:8}" + "".join(_at(curve, seconds) for seconds, _ in moments) for name, curve in rows]


def _at(curve: tuple[tuple[float, float], ...], seconds: float) -> str:
    """The loss at this time, between the two points around it."""
    earlier = [point for point in curve if point[0] <= seconds]
    later = [point for point in curve if point[0] >= seconds]
    if not later:
        return f"{'':>9}"
    (t0, loss0), (t1, loss1) = (earlier or later)[-1 if earlier else 0], later[0]
    return f"{loss0 + (loss1 - loss0) * ((seconds - t0) / (t1 - t0) if t1 > t0 else 0.0):>9.4f}"


def _facts(run: Run, parent: Run | None) -> list[str]:
    lines = []
    for name in FIGURES:
        own, theirs = _figure(run, name), _figure(parent, name)
        if own or theirs:
            lines.append(f"{name}: {own or 'none'}" + (f" (parent {theirs})" if theirs else ""))
    return lines


def _figure(run: Run | None, name: str) -> str:
    """A number of the run's summary; tokens a second where they can be worked out."""
    if run is None or run.metrics is None:
        return ""
    if name == "tokens/s":
        millions, seconds = (_number(run, key) for key in ("total_tokens_M", "training_seconds"))
        return f"{1e6 * millions / seconds:,.0f}" if millions and seconds else ""
    value = _number(run, name)
    return "" if value is None else f"{value:g}"


def _number(run: Run, name: str) -> float | None:
    value = run.metrics.values.get(name) if run.metrics else None
    return value if isinstance(value, (int, float)) else None
