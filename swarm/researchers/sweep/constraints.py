"""What keeps a model buildable when a knob is turned: divisibility, sums, and the knob that must move along."""

from __future__ import annotations

import math
from collections.abc import Mapping

from swarm.project.knob_names import canonical
from swarm.researchers.sweep.literals import Value

# Where the file does not say how long a sequence is, it is autoresearch's prepare.py that does; shorter ones of its
# forks divide it.
_FOREIGN_SEQ_LEN = 2048


def settle(knobs: Mapping[str, Value], changes: Mapping[str, Value]) -> dict[str, Value] | None:
    """`changes` with the knobs that must move along, so that `knobs` so changed is a valid model; None if impossible.

    The first change is the wish, and is at most rounded (a width to whole heads); tokens per step and per micro-batch
    are kept where sequence length or micro-batch change, and the micro-batch shrinks where a smaller step needs it.
    """
    names = {canonical(name): name for name in knobs}
    before = {canonical(name): value for name, value in knobs.items()}
    after = before | {canonical(name): value for name, value in changes.items()}
    touched = {canonical(name) for name in changes}
    _round_width(before, after, touched)
    _keep_tokens(before, after, touched)
    if not is_valid(after) or _is_idle(after, touched):
        return None
    ordered = [canonical(name) for name in changes] + [name for name in after if name not in touched]
    settled = {names[name]: after[name] for name in ordered if name in names and after[name] != before[name]}
    return settled or None


def is_valid(knobs: Mapping[str, Value]) -> bool:
    """Whether a model with these knobs can be built and stepped, as far as the knobs tell."""
    known = {canonical(name): value for name, value in knobs.items()}
    width, head = _whole(known, "width"), _whole(known, "head_dim")
    if head and (head % 2 or width % head):  # rotary embeddings turn pairs of dimensions
        return False
    if _share(known, "warmup") + _share(known, "warmdown") > 1:
        return False
    total, micro = _whole(known, "total_batch_size"), _whole(known, "device_batch_size")
    return not (total and micro) or total % (micro * _whole(known, "seq_len", _FOREIGN_SEQ_LEN)) == 0


def _is_idle(after: Mapping[str, Value], touched: set[str]) -> bool:
    """Whether the change does nothing. The last layer always sees everything, so windows are of those before it."""
    pattern, layers = after.get("window_pattern"), max(_whole(after, "depth", 2) - 1, 1)
    if not isinstance(pattern, str):
        return False
    if "window_pattern" in touched:
        return len(pattern) > layers  # a shorter pattern says the same
    return "short_window" in touched and "S" not in pattern[:layers]


def _round_width(before: Mapping[str, Value], after: dict[str, Value], touched: set[str]) -> None:
    width, head, old = (_whole(after, "width"), _whole(after, "head_dim"), _whole(before, "width"))
    if "width" in touched and width and head:
        heads = math.ceil(width / head) if width > old else width // head
        after["width"] = head * max(heads, 1)


def _keep_tokens(before: Mapping[str, Value], after: dict[str, Value], touched: set[str]) -> None:
    total, micro = _whole(after, "total_batch_size"), _whole(after, "device_batch_size")
    if "device_batch_size" in touched or not (total and micro):
        return
    length = _whole(after, "seq_len", _FOREIGN_SEQ_LEN)
    micro = max(micro * _whole(before, "seq_len", _FOREIGN_SEQ_LEN) // length, 1)
    sequences, rest = divmod(total, length)
    if not rest and sequences:
        after["device_batch_size"] = next(size for size in range(min(micro, sequences), 0, -1) if sequences % size == 0)


def _whole(knobs: Mapping[str, Value], name: str, default: int = 0) -> int:
    value = knobs.get(name, default)
    return value if isinstance(value, int) else 0


def _share(knobs: Mapping[str, Value], name: str) -> float:
    value = knobs.get(name, 0.0)
    return 0.0 if isinstance(value, str) else value
