"""Formatting helpers of all views: numbers, durations and ids as text, and foreign text made harmless.

Titles, rationales, notes and logs come from agents and their code. They pass through `clean` or `clean_block` before
they are drawn, so that no escape sequence reaches a terminal, and they are handed to rich as `Text`, never as markup.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

from msgspec import Struct
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment

from swarm.snapshot.records import Snapshot
from swarm.text import moment
from swarm.text import plural as plural

UNKNOWN = "–"
BLOCKS = "▁▂▃▄▅▆▇█"

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC and other strings: window titles, links
    r"|\x1b[ -/]*[0-~]"  # two-character sequences
)
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)  # they change a character's width in some terminals only
_TO_ASCII = str.maketrans(
    {
        "–": "-",
        "−": "-",
        "…": "~",
        "±": "~",
        "·": "|",
        "●": "o",
        "◐": "o",
        "○": ".",
        "■": "x",
        "×": "x",
        "°": "^",
        "━": "=",
        "╸": "=",
        "─": "-",
    }
    | dict(zip(BLOCKS, "._-=+*##", strict=True))
)


# ---------------------------------------------------------------------------------------------------------------
# Foreign text


def clean(text: str) -> str:
    """`text` on one line, without escape sequences, control and invisible characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = "".join(" " if c.isspace() else c for c in _ESCAPES.sub("", text) if c.isspace() or _visible(c))
    return " ".join(kept.split())


def clean_block(text: str) -> str:
    """`text` with its lines and indentation, otherwise as `clean`. A line that was overwritten shows its last state."""
    lines = (
        line.rsplit("\r", 1)[-1].expandtabs(4) for line in _ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    )
    return "\n".join("".join(c for c in line if _visible(c)).rstrip() for line in lines)


def _visible(character: str) -> bool:
    return unicodedata.category(character)[0] != "C" and ord(character) not in _VARIATION_SELECTORS


def shorten(text: str, cells: int) -> str:
    """`text` in at most `cells` terminal cells; its end gives way to an ellipsis."""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - 1).rstrip() + "…" if cells > 1 else set_cell_size(text, max(cells, 0))


def shorten_start(text: str, cells: int) -> str:
    """`text` in at most `cells` terminal cells; its start gives way, because the end of a path says most."""
    return shorten(text[::-1], cells)[::-1]


def keep_remedy(text: str, cells: int) -> str:
    """A message in at most `cells` terminal cells; its middle gives way, because it ends with what to do."""
    if cell_len(text) <= cells:
        return text
    start = shorten(text, max(cells // 3, 1))
    room = cells - cell_len(start)
    return start + (set_cell_size(text[::-1], room)[::-1] if room > 0 else "")


# ---------------------------------------------------------------------------------------------------------------
# Numbers


class Scale(Struct, frozen=True):
    """How a metric is written. A gain is positive where it is better; people read the metric's own change, so
    val_bpb that fell by 0.0047 is "−0.0047" and an accuracy that rose is "+0.0047". Unknown numbers are "–"."""

    metric: str = "val_bpb"
    direction: str = "lower"
    decimals: int = 4

    @staticmethod
    def of(snapshot: Snapshot) -> Scale:
        """The scale of this swarm's metric: decimals by the baseline's magnitude, or the first one that is not 0; and
        enough for the smallest gain, where there is no noise that makes it meaningless."""
        values = (snapshot.baseline, *(step.value for step in snapshot.trunk))
        decimals = _decimals(next(filter(None, values), None))
        exact = [abs(e.gain) for e in snapshot.experiments if e.status == "keep" and e.gain and is_exact(e.low, e.high)]
        if exact:
            decimals = max(decimals, min(9, 1 - math.floor(math.log10(min(exact)))))
        return Scale(clean(snapshot.metric), snapshot.direction, decimals)

    @staticmethod
    def for_value(metric: str, direction: str, typical: float | None) -> Scale:
        """The scale of a metric of which only one value is known."""
        return Scale(metric, direction, _decimals(typical))

    def value(self, value: float | None) -> str:
        return UNKNOWN if value is None or not math.isfinite(value) else f"{value:z.{self.decimals}f}"

    def change(self, gain: float | None) -> str:
        """The metric's change that this gain is, with its sign."""
        if gain is None or not math.isfinite(gain):
            return UNKNOWN
        text = f"{-gain if self.direction == 'lower' else gain:+.{self.decimals}f}"
        if not text.strip("+-0."):
            text = "±" + text[1:]  # neither better nor worse at this precision
        return text.replace("-", "−")

    def differs(self, corrected: float | None, plain: float | None) -> bool:
        """Whether a corrected value is known and reads otherwise than the plain one."""
        return corrected is not None and self.value(corrected) != self.value(plain)

    def corrected(self, value: float | None, gain: float | None, plain: float | None, plain_gain: float | None) -> str:
        """A corrected value and its gain, labelled; "" where neither reads otherwise than the plain one."""
        if (self.value(value), self.change(gain)) == (self.value(plain), self.change(plain_gain)):
            return ""
        return f"corrected for GPUs and steps: {self.value(value)}, {self.change(gain)}"

    def interval(self, gain: float | None, low: float | None, high: float | None) -> str:
        """The change with half its 95% interval: "−0.0047 ± 0.0009"; alone where it is exact."""
        if gain is None or not math.isfinite(gain):
            return UNKNOWN
        if is_exact(low, high):
            return self.change(gain)
        half = None if low is None or high is None else (high - low) / 2
        return f"{self.change(gain).removeprefix('±')} ± {self.value(half)}"


def is_exact(low: float | None, high: float | None) -> bool:
    """Whether this interval has no width: equal code gives equal numbers."""
    return low is not None and low == high


def _decimals(typical: float | None) -> int:
    if not typical or not math.isfinite(typical):
        return 4
    magnitude = math.floor(math.log10(abs(typical)))
    return min(max(4 - magnitude, 0), 9) if magnitude > 0 or magnitude < -1 else 4


def share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.0f}%"


def quantity(value: float | None, unit: str, decimals: int = 0) -> str:
    return UNKNOWN if value is None else f"{value:.{decimals}f}{unit}"


def machine_hours(snapshot: Snapshot) -> str:
    """How long devices were held: "7.9 GPU-h", or "0.2 CPU-h" where there is no accelerator."""
    unit = "CPU-h" if snapshot.device.startswith(("cpu", "sim")) else "GPU-h"
    return f"{snapshot.gpu_hours:.{1 if snapshot.gpu_hours >= 1 else 2}f} {unit}"


def dollars(value: float | None) -> str:
    return UNKNOWN if value is None else f"${value:,.2f}"


def duration(seconds: float | None) -> str:
    """ "4:07", "1:02:11", "3d 04:10"; negative spans read as none."""
    if seconds is None:
        return UNKNOWN
    minutes, second = divmod(int(max(seconds, 0)), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 72:
        return f"{hours // 24}d {hours % 24:02}:{minute:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def about(seconds: float) -> str:
    """A span that is only estimated, in one unit: "40 s", "6 min", "2.5 h", "3 days"."""
    if seconds < 90:
        return f"{max(math.ceil(seconds), 1)} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.2g} h" if seconds < 72 * 3600 else f"{round(seconds / 86400)} days"


def clock(at: float, seconds: bool = False) -> str:
    """Local time of day of a unix time."""
    return moment(at, None).strftime("%H:%M:%S" if seconds else "%H:%M")


def short_id(experiment: str, tag: str) -> str:
    """An experiment's id without its swarm's tag: `gpu3-0007`."""
    return experiment.removeprefix(f"{tag}-")


def sparkline(levels: Iterable[float | None]) -> str:
    """One block a level, the highest level full. None (nothing known yet) is a blank."""
    known = list(levels)
    numbers = [level for level in known if level is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    span = (high - low) or 1.0
    return "".join(" " if x is None else BLOCKS[round((x - low) / span * (len(BLOCKS) - 1))] for x in known)


# ---------------------------------------------------------------------------------------------------------------
# Plain terminals


class Portable(Struct, frozen=True):
    """Draws `renderable` in the same cells on every terminal: with ASCII characters where there is no UTF-8, and
    without any style where the user asked for no colour, so that NO_COLOR output holds no escape sequence."""

    renderable: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.renderable, options):
            text = to_ascii(segment.text) if options.ascii_only else segment.text
            yield Segment(text, None if console.no_color else segment.style, segment.control)


def to_ascii(text: str) -> str:
    """`text` in ASCII, as many cells wide as before."""
    if text.isascii():
        return text
    text = re.sub(r"± (?=[\d–])", "+-", text).translate(_TO_ASCII)
    return "".join(c if c.isascii() else "?" * cell_len(c) for c in text)
