"""What a name says of its knob, in any project: how it moves, and what it is about.

The playbook knows the knobs of one training file by name. Here stand the families of names that the field uses
everywhere, by the words of a name: `learning_rate`, `learningRate` and `LEARNING-RATE` are one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from swarm.researchers.sweep.frame import above, words_of
from swarm.researchers.sweep.literals import Literal, Place
from swarm.researchers.sweep.rules import Grid, Rule

LOG, LINEAR, POWER, WHOLE, CHOICE = Grid

# ---------------------------------------------------------------------------------------------------------------
# The families


@dataclass(frozen=True, slots=True)
class Family:
    """Knobs of one meaning: `names` is searched for in a name's words, `rule` says how a value of them moves."""

    names: str  # a pattern, which `re` compiles when it is first asked for
    rule: Callable[[float], Rule | None]


def _log(
    category: str, step: float, low: float = 0.0, high: float = math.inf, weight: float = 1.0
) -> Callable[[float], Rule | None]:
    """Moves by a factor; a whole number by at least 1."""

    def rule(value: float) -> Rule | None:
        if isinstance(value, int):
            return _count(category, weight=weight)(value)
        up, down = _WHYS[category]
        return Rule(category, LOG, low, high, step, weight, up, down)

    return rule


def _count(category: str, low: int = 1, weight: float = 1.0) -> Callable[[float], Rule | None]:
    """A whole number: a small one moves by one, a power of two to the next one, another by half of itself."""

    def rule(value: float) -> Rule | None:
        up, down = _WHYS[category]
        if not isinstance(value, int):
            return Rule(category, LOG, 0.0, math.inf, 1.5, weight, up, down) if value > 0 else None
        if value < low:
            return None
        if value <= 12:
            return Rule(category, WHOLE, low, max(16, 4 * value), 1 if value < 8 else 2, weight, up, down)
        if value & (value - 1) == 0:
            return Rule(category, POWER, low, 64 * value, 2, weight, up, down)
        return Rule(category, LOG, low, 64 * value, 1.5, weight, up, down)

    return rule


def _share(category: str, weight: float = 1.0) -> Callable[[float], Rule | None]:
    """A part of a whole, or a probability. Near 1 it is what is missing to 1 that counts."""

    def rule(value: float) -> Rule | None:
        up, down = _WHYS[category]
        if isinstance(value, int) and not isinstance(value, bool):
            return _count(category, weight=weight)(value)
        if value > 1 or value < 0:
            return Rule(category, LOG, 0.0, math.inf, 1.5, weight, up, down) if value > 0 else None
        step = 0.1
        if 0.9 <= value < 1:
            step = (1 - value) / 2
        elif 0 < value < 0.2:
            step = max(value / 2, 1e-6)
        return Rule(category, LINEAR, 0.0, 1.0 if value < 0.9 or value == 1 else 1 - step / 4, step, weight, up, down)

    return rule


def _fraction(category: str, weight: float = 1.0) -> Callable[[float], Rule | None]:
    """A fraction between 0 and 1, and nothing else: another number of that name is another thing."""
    share = _share(category, weight)
    return lambda value: share(value) if isinstance(value, float) and 0 <= value <= 1 else None


def _percent(category: str, weight: float) -> Callable[[float], Rule | None]:
    """A number between 0 and 100, nearer to its end the more carefully moved."""

    def rule(value: float) -> Rule | None:
        step = min(value, 100 - value, 10) / 2
        if isinstance(value, int):
            step = math.ceil(step)
        low, high = min(1, value / 4), 100 - min(1, (100 - value) / 4)
        return Rule(category, LINEAR, low, high, step, weight, *_WHYS[category]) if step > 0 else None

    return rule


def _tiny(category: str, weight: float) -> Callable[[float], Rule | None]:
    """A number that keeps a quotient finite."""
    tiny = _log(category, 10, 0, 1, weight)
    return lambda value: tiny(value) if isinstance(value, float) and 0 < value <= 1e-3 else None


_WHYS = {
    "learning rate": (
        "Larger steps get further within the same budget, as long as they do not overshoot.",
        "Smaller steps settle deeper, if there are enough of them.",
    ),
    "schedule": ("A longer phase gives it more of the budget.", "A shorter phase leaves the budget to the others."),
    "optimizer": ("More memory of earlier gradients smooths the steps.", "Less memory reacts faster."),
    "regularization": (
        "More of it keeps the model from fitting what is only noise.",
        "Less of it lets the model use what is there.",
    ),
    "model size": (
        "A larger model can express more, if data and budget carry it.",
        "A smaller model is faster, and overfits less.",
    ),
    "batch": ("Larger batches have less noise and use the hardware better.", "Smaller batches make more steps."),
    "training length": ("More rounds learn more, as long as they do not overfit.", "Fewer rounds overfit less."),
    "initialization": ("A larger start breaks symmetry sooner.", "A smaller start leaves room to what is learned."),
    "sampling": ("More of it explores more, or sees more of the data.", "Less of it is surer, and cheaper."),
    "search": ("A wider search finds what a narrow one misses.", "A narrower search goes deeper in the same time."),
    "features": ("More of them tell more.", "Fewer of them carry less noise."),
    "window": ("A longer look back smooths noise out.", "A shorter look back reacts sooner."),
    "threshold": ("A higher bar lets only the clear cases through.", "A lower bar misses fewer cases."),
    "weighting": ("It may deserve more weight than it has.", "It may deserve less weight than it has."),
    "structure": ("The other way may fit this problem better.", "The other way may fit this problem better."),
    "other": (
        "Nothing is known about this number yet: a look at both sides tells which way it matters.",
        "Nothing is known about this number yet: a look at both sides tells which way it matters.",
    ),
}

# fmt: off
_TABLE: tuple[tuple[str, Callable[[float], Rule | None]], ...] = (
    ("weight decay|wt decay|wd|l2 decay", _log("regularization", 2, 0, 10, 0.8)),
    ("ema decay|polyak|tau|[a-z ]*momentum", _fraction("optimizer", 0.6)),
    ("(?:warm ?up|warm ?down|cool ?down).*|decay (?:start|frac|fraction|ratio)|anneal (?:frac|ratio)|anneal",
        _share("schedule", 0.6)),
    ("lr (?:decay|gamma|factor|min|final|end)|(?:min|final|end) lr|eta min|decay rate|cooling|cooling rate|decay steps"
        "|lr drop|decay|final temp(?:erature)?", _share("schedule", 0.8)),
    ("lr|lr\\d|[a-z]+ lr|learning rate|eta|step size", _log("learning rate", 1.5, 0, 100, 1.2)),
    (".*dropout|dropout.*|drop (?:rate|path|prob)|label smoothing|stochastic depth|mixup|cutmix|cutout"
        "|mask (?:ratio|prob)", _share("regularization", 0.9)),
    ("sub ?sample|col ?sample.*|feature fraction|bagging fraction|max features|max samples|row sample|rsm",
        _share("regularization", 0.9)),
    ("l1|l2|lambda|lamb|lam|lmbda|reg|penalty|ridge|l2 leaf reg|regulari[sz]ation|smoothing|prior|pseudo ?counts?"
        "|min split gain|min gain to split|min child weight|ccp alpha|laplace|shrinkage|prune threshold",
        _log("regularization", 2, weight=0.9)),
    ("min (?:samples|data|child|leaf|count|support|df|freq).*", _count("regularization", weight=0.7)),
    ("betas?|betas? ?[0123]|beta[123]|ema|rho", _fraction("optimizer", 0.6)),
    ("gamma|discount|gae|gae lambda|trace decay", _fraction("optimizer", 0.7)),
    ("eps|adam eps|epsilon|eps adam", _tiny("optimizer", 0.15)),
    ("epsilon|explor[a-z]*|temperature|temp|t0|t init|entropy|prob|probability|p|mutation|crossover|quantile|noise"
        "|jitter|sigma", _share("sampling", 0.8)),
    ("clip|clipping|max (?:grad )?norm", _log("optimizer", 2, weight=0.5)),
    ("layer|block|stage|depth|head|n ?layer|n ?head|n kv|max depth|num layer", _count("model size", weight=1.2)),
    ("width|hidden|unit|neuron|filter|embed|embd|emb|embedding|d model|dmodel|inner|ffn?|mlp|d ff|latent|bottleneck"
        "|expansion|expand|leaves|channel|plane|component|expert|head dim|rank|kernel|dilation|dim|stem|n embd"
        "|hidden (?:dim|size)|model dim|max bin|mlp ratio|groups?", _count("model size", weight=1.0)),
    ("batch|minibatch|accum|micro|batch size|accumulation", _count("batch", weight=0.9)),
    ("epoch|estimator|tree|boost round|n?round|max iter|iteration|iter|n iter|step|restart|sweep|passe?|patience"
        "|early stopping|generation", _count("training length", weight=0.9)),
    ("init|initiali[sz]er|std|gain", _log("initialization", 1.5, weight=0.6)),
    ("population|pop size|beam|elite|tournament|candidate|top ?k|top ?p|top n|best|neighbou?r|branch|tabu|rollout"
        "|simulation|playout|particle|ant|island|k|lookahead|proposal|c ?puct|ucb|probes?|ef",
        _count("search", weight=1.0)),
    ("n ?gram|max df|min df|feature|polynomial|degree|interaction|lag|bin|cluster|freq|order",
        _count("features", weight=0.9)),
    (".*window|look ?back|period|horizon|span|half ?life|fast|slow|rsi|ema|sma|atr|macd|bar|memory|history|day|week"
        "|month", _count("window", weight=1.0)),
    ("percentile|quantile pct", _percent("threshold", 0.8)),
    ("thresh|threshold|cut ?off|margin|confidence|stop loss|take profit|trail|trailing|tolerance|tol|bound|entry|exit"
        "|oversold|overbought|min|max|floor|ceiling|cap|limit|buffer|band", _share("threshold", 0.8)),
    ("weight|coeff?|coefficient|scale|scaling|bonus|bonuse|penaltie|factor|multiplier|strength|importance|ratio|fraction"
        "|frac|share|rate|bias|power|exponent|alpha|beta|gamma|delta|boost|damping|softcap|leverage|risk|position|alloc"
        "|mult|pct|percent|blend|mix|value|w", _share("weighting", 0.8)),
)
# fmt: on
# What a name ends with says most: `embedding_init_std` is about its start, `hidden_dropout` about dropout.
_FAMILIES = tuple(Family(rf"\b(?:{names})s?{end}", rule) for end in ("$", r"\b") for names, rule in _TABLE)

# A switch with one of these words decides how something is computed; others are about showing, storing or safety.
_SWITCHES = re.compile(
    r"^(?:use|with|enable|apply|add|no) |bias|nesterov|amsgrad|normali[sz]e|norm\b|residual|\btied?\b"
    r"|whiten|intercept|positive|warm start|bootstrap|interaction|early stopping|bidirectional|balanced|augment|gated"
    r"|standardi[sz]e|scale|center|shared?|decoupled|learnable|trainable|include|smooth|pre norm|skip|attention|dropout"
    r"|extra|adaptive|weighted|prune|pruning|null move|quiescence|gating|log1p|flip|cosine|swiglu|rotary|rope|flash"
    r"|momentum|ema|clip|heuristic|elitism|greedy|restart|symmetr|oob"
)
_RANGE = re.compile(
    r"(?<![\w.])(-?\d+\.?\d*(?:e-?\d+)?)\s*(?:\.\.+|-|–|to|,)\s*(-?\d+\.?\d*(?:e-?\d+)?)(?![\w.]*\d)", re.IGNORECASE
)
_IS_RANGE = re.compile(r"range|between|\btry\b|\bin \[|\bfrom\b|^\W*[\[(]", re.IGNORECASE)
_ONE_OF = re.compile(r"(?:one of|options?|choices?|either|allowed|valid)\b\W*(.+)", re.IGNORECASE)


_INSIDE = (Place.DETAIL, Place.WEIGHT, Place.BAR)
_BY_PLACE = {Place.DEFAULT: 0.7, Place.DETAIL: 0.6, Place.WEIGHT: 0.6, Place.BAR: 0.6}


def family_rule(literal: Literal) -> Rule | None:
    """How the literal may be turned, by what its file says of it; None where that is not to be told.

    What stands in the middle of a function moves only if its name is of a known family.
    """
    rule = _rule(literal)
    if rule is None:
        return None
    weight = rule.weight * _BY_PLACE.get(literal.place, 1.0)
    return _bounded(replace(rule, weight=round(weight, 3)), literal)


def _rule(literal: Literal) -> Rule | None:
    value, said = literal.value, words_of(literal.name)
    if isinstance(value, str):
        words = literal.choices or _choices_said(literal)
        return Rule("structure", CHOICE, weight=0.8, up=_WHYS["structure"][0], choices=words) if words else None
    if isinstance(value, bool):
        setting = literal.place in (Place.CONSTANT, Place.SETTING)
        if not setting and not _SWITCHES.search(said):
            return None
        why = _WHYS["structure"][0]
        return Rule("structure", CHOICE, weight=0.7 if setting else 0.3, up=why, choices=(True, False))
    if not math.isfinite(value) or abs(value) > 1e15:
        return None
    if literal.place is Place.OPERAND:
        return _operand(value)
    names = [said, *(part for part in reversed(above(literal.name)) if "_" in part or part.endswith("s"))]
    rules = (f.rule(value) for name in names[:2] for f in _FAMILIES if re.search(f.names, name.replace("_", " ")))
    known = next((rule for rule in rules if rule is not None), None) if value >= 0 else None
    return known or (_plain(value, literal) if literal.place not in _INSIDE else None)


def _plain(value: float, literal: Literal) -> Rule | None:
    """A number of no known family: its neighbours by a factor. Whole numbers as 0, 1 and -1 mean something else."""
    up, down = _WHYS["other"]
    if isinstance(value, int):
        if value < 2 or literal.place not in (Place.CONSTANT, Place.SETTING) or _is_year(value):
            return None
        return _count("other", low=2, weight=0.4)(value)
    if value < 0:
        return Rule("other", LINEAR, -math.inf, 0.0, _third(abs(value)), 0.4, up, down)
    if value == 0:
        return Rule("other", LINEAR, 0.0, math.inf, 0.1, 0.3, up, down) if literal.place is Place.CONSTANT else None
    return Rule("other", LOG, 0.0, math.inf, 1.5, 0.5, up, down)


def _operand(value: float) -> Rule:
    """An operand has a meaning of its own in every program, and may be negative: a small one moves by one."""
    up, down = _WHYS["other"]
    if abs(value) <= 12:
        return Rule("other", WHOLE, -math.inf, math.inf, 1, 0.5, up, down)
    return Rule("other", LINEAR, -math.inf, math.inf, max(1, round(_third(abs(value)))), 0.5, up, down)


def _is_year(value: int) -> bool:
    return 1900 <= value <= 2100 and value & (value - 1) != 0


def _third(value: float) -> float:
    """A third of the value, in one digit."""
    return float(f"{value / 3:.0e}")


def _bounded(rule: Rule, literal: Literal) -> Rule:
    """The rule within the range that a comment names, if the value itself lies in it."""
    value = literal.value
    if isinstance(value, str | bool) or not _IS_RANGE.search(literal.comment):
        return rule
    for low, high in _RANGE.findall(literal.comment):
        if float(low) <= value <= float(high) and float(low) < float(high):
            return replace(rule, low=float(low), high=float(high))
    return rule


def _choices_said(literal: Literal) -> tuple[str, ...]:
    """The words that a comment lists: `# one of: a, b, c`, `# "relu" | "gelu"`."""
    for line in literal.comment.splitlines():
        listed = _ONE_OF.search(line)
        said = listed[1] if listed else line
        if not listed and not re.search(r"['\"`\w]\s*[|/]\s*['\"`\w]|['\"]\s*,\s*['\"]", said):
            continue
        parts = re.split(r"\s*(?:[|,/]|\bor\b)\s*", said)
        words = [part.strip(" '\"`()[]{}.:;") for part in parts]
        plain = tuple(dict.fromkeys(word for word in words if re.fullmatch(r"[\w.+-]{1,30}", word)))
        if literal.value in plain and len(plain) == len(words) > 1:
            return plain
    return ()
