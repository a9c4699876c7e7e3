"""The ideas of simulated researchers: small edits of Python files, each with many possible wordings and spellings."""

from __future__ import annotations

import ast
import functools
import random
from dataclasses import dataclass

from swarm.records import Edit, Idea, Source

SETTINGS = "settings.py"
KNOBS = {  # the constants of that file: their values, what people call them, and their category
    "MATRIX_LR": (0.04, ("matrix learning rate", "learning rate of the matrices", "Muon step size"), "learning rate"),
    "EMBEDDING_LR": (0.6, ("embedding learning rate", "step size of the token table"), "learning rate"),
    "HEAD_LR": (0.004, ("head learning rate", "learning rate of the output layer"), "learning rate"),
    "WEIGHT_DECAY": (0.2, ("weight decay", "L2 pull on the matrices"), "regularization"),
    "MOMENTUM": (0.95, ("momentum", "decay of the first moment"), "optimizer"),
    "BETA2": (0.9, ("beta2", "memory of the second moment"), "optimizer"),
    "WARMUP": (0.02, ("warmup", "share of the budget that warms up"), "schedule"),
    "WARMDOWN": (0.5, ("warmdown", "length of the final decay"), "schedule"),
    "INIT_STD": (0.02, ("init std", "spread of the initial weights"), "initialization"),
    "DROPOUT": (0.1, ("dropout", "share of activations dropped"), "regularization"),
    "ROPE_BASE": (10000.0, ("rope base", "longest wavelength of the rotary embedding"), "embedding"),
    "LOGIT_CAP": (15.0, ("logit cap", "limit of the final softcap"), "attention"),
    "MLP_RATIO": (4.0, ("mlp ratio", "hidden width of the MLP over its input"), "architecture"),
    "CLIP": (1.0, ("gradient clip", "largest gradient norm"), "optimizer"),
}
FACTORS = (0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0)
PLACES = {  # functions, each in a file of its own, and what people call what flows through them
    "attention": ("the attention output", "what attention gives"),
    "queries": ("the queries", "q before the dot product"),
    "keys": ("the keys", "k before the dot product"),
    "values": ("the values", "v before they are mixed"),
    "mlp": ("the MLP output", "what the feed-forward block gives"),
    "hidden": ("the MLP's hidden layer", "the activations inside the feed-forward block"),
    "residual": ("the residual stream", "the skip path"),
    "embedding": ("the token embeddings", "the input vectors"),
    "head": ("the logits", "the final scores"),
    "update": ("the optimizer's update", "each step of the optimizer"),
}
CALLS = {  # calls that an idea adds: wordings, reasons, category
    "softcap": (
        ("softcap {x} at {a}", "cap {x} softly, limit {a}", "tanh squashing of {x} with bound {a}"),
        ("Large values dominate the sum.", "Outliers should not drown the rest."),
        "attention",
    ),
    "gate": (
        ("gate {x} with a sigmoid of slope {a}", "multiply {x} by a learned sigmoid gate, slope {a}"),
        ("The model can then switch it off where it hurts.", "Lets each token choose how much to let through."),
        "architecture",
    ),
    "scale": (
        ("scale {x} by {a}", "multiply {x} with the constant {a}"),
        ("Its variance does not match what follows.", "The magnitudes around it are out of proportion."),
        "initialization",
    ),
    "normalize": (
        ("RMS norm on {x} with gain {a}", "normalize {x} to root mean square {a}"),
        ("Keeps the scale steady through training.", "Drifting magnitudes slow learning down."),
        "normalization",
    ),
    "dropout": (
        ("dropout of {a}% on {x}", "zero {a}% of {x} at random"),
        ("Regularizes the part that overfits first.", "A little noise here generalizes better."),
        "regularization",
    ),
    "smear": (
        ("mix {x} with the previous token, weight {a}%", "smear {x} over two positions ({a}% from the left)"),
        ("Bigrams come for free that way.", "Gives every layer a look at the neighbour."),
        "architecture",
    ),
    "relu2": (
        ("squared ReLU over {x}, threshold {a}", "rectify {x} at {a} and square"),
        ("Sparser activations at the same cost.", "Was better than GELU in small models elsewhere."),
        "activation",
    ),
    "lowrank": (
        ("low-rank side branch on {x}, rank {a}", "add a rank-{a} adapter beside {x}"),
        ("Cheap capacity next to the main path.", "A few more parameters where they matter."),
        "architecture",
    ),
    "ema": (
        ("exponential moving average of {x}, half-life {a}", "smooth {x} over time with a half-life of {a} steps"),
        ("Averages out noise of single batches.", "The smoothed version is less jumpy."),
        "optimizer",
    ),
    "quantize": (
        ("round {x} to {a} levels", "{a}-level quantization of {x}"),
        ("Less traffic to memory, more steps.", "Fewer bytes moved leave time for more tokens."),
        "batch",
    ),
    "center": (
        ("subtract {a}% of the mean from {x}", "remove the mean of {x} in part ({a}%)"),
        ("The mean carries nothing.", "A common offset wastes capacity."),
        "normalization",
    ),
    "rotate": (
        ("rotate {x} by {a} degrees per position", "turn {x} with position, {a} degrees a step"),
        ("Position information reaches more places.", "Order becomes visible to this part."),
        "embedding",
    ),
    "anneal": (
        ("anneal {x} over the first {a}% of training", "fade {x} in during {a}% of the run"),
        ("It only disturbs at the start.", "Early instability comes from here."),
        "schedule",
    ),
    "share": (
        ("share {x} between groups of {a}", "tie {x} across {a} neighbours"),
        ("Fewer parameters, the same function.", "Groups hardly differ anyway."),
        "architecture",
    ),
}
STRENGTHS = (2.0, 3.0, 5.0, 8.0, 12.0, 15.0, 20.0, 30.0)
LAYERS = range(24)
SINCE = (" from layer {b} on", " in layer {b} and above", ", layers {b} and up")
DECLARED = 0.5  # share of proposals about a knob that say so in `knobs`, as a careful researcher does
TUNED = 0.2  # share of ideas that are about a knob, while there are such


@dataclass(frozen=True, slots=True)
class Change:
    """An idea without words: a knob's new value, or a call added to a function."""

    place: str  # the knob or the function
    call: str = ""  # "" where it is a knob
    value: float = 0.0
    layer: int = 0

    @property
    def path(self) -> str:
        return f"{self.place}.py" if self.call else SETTINGS

    @property
    def category(self) -> str:
        return CALLS[self.call][2] if self.call else KNOBS[self.place][2]


def untouched() -> Source:
    """The code before any idea."""
    settings = "\n".join(f"{name} = {value!r}\n" for name, (value, _, _) in KNOBS.items())
    functions = {f"{place}.py": f"def {place}(x):\n    return x\n".encode() for place in PLACES}
    return Source({SETTINGS: settings.encode(), **functions})


@functools.lru_cache(maxsize=2)  # every policy is simulated on the same ideas
def shuffled(seed: int) -> tuple[Change, ...]:
    """All changes there are, in the order in which a swarm proposes them."""
    chance = random.Random(f"ideas {seed}")
    knobs = [Change(name, value=_rounded(start * f)) for name, (start, _, _) in KNOBS.items() for f in FACTORS]
    calls = [
        Change(place, call, value, layer)
        for place in PLACES
        for call in CALLS
        for value in STRENGTHS
        for layer in LAYERS
    ]
    chance.shuffle(knobs)
    chance.shuffle(calls)
    return tuple((knobs if knobs and chance.random() < TUNED else calls).pop() for _ in range(len(calls)))


@functools.lru_cache(maxsize=2)
def numbered(seed: int) -> dict[Change, int]:
    """The place of every change in that order. Not to be changed."""
    return {change: number for number, change in enumerate(shuffled(seed))}


def worded(change: Change, chance: random.Random) -> Idea:
    """The change as somebody may put it."""
    return _call_in_words(change, chance) if change.call else _knob_in_words(change, chance)


def written(change: Change, parent: Source, chance: random.Random | None) -> Edit:
    """The change made to `parent`, plainly or as somebody may spell it; nothing new where it holds the change."""
    text = parent.files[change.path].decode()
    return Edit({change.path: (text if change in _read(text) else _changed(change, text, chance)).encode()})


def read(source: Source) -> frozenset[Change]:
    """The changes that the code holds, whatever their spelling."""
    return frozenset[Change]().union(*(_read(content.decode()) for content in source.files.values()))


def _changed(change: Change, text: str, chance: random.Random | None) -> str:
    value = _spelled(change.value, chance) if chance else repr(change.value)
    note = chance.choice(("", "", f"  # {change.category}", "  # tuned")) if chance else ""
    lines = text.splitlines(keepends=True)
    if not change.call:
        where = next(i for i, line in enumerate(lines) if line.startswith(f"{change.place} ="))
        lines[where] = f"{change.place} = {value}{note}\n"
        return "".join(lines)
    call = f"{change.call}(x, {value}, since={change.layer})"
    call = f"({call})" if chance and chance.random() < 0.3 else call
    return "".join([*lines[:-1], f"    x = {call}{note}\n", lines[-1]])


@functools.lru_cache(maxsize=4096)
def _read(text: str) -> frozenset[Change]:
    changes: set[Change] = set()
    for node in ast.parse(text).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                changes.add(Change(name, value=_evaluated(value)))
            case ast.FunctionDef(name=place, body=body):
                changes.update(_read_call(place, statement) for statement in body[:-1])
    return frozenset(changes - _STARTS)


_STARTS = {Change(name, value=value) for name, (value, _, _) in KNOBS.items()}


def _read_call(place: str, statement: ast.stmt) -> Change:
    match statement:
        case ast.Assign(
            value=ast.Call(
                func=ast.Name(id=call), args=[_, value], keywords=[ast.keyword(value=ast.Constant(value=int(layer)))]
            )
        ):
            return Change(place, call, _evaluated(value), layer)
    raise ValueError(f"not a change that was ever written: {ast.unparse(statement)}")


def _evaluated(node: ast.expr) -> float:
    """A number, or the product of two."""
    if isinstance(node, ast.BinOp):
        return _evaluated(node.left) * _evaluated(node.right)
    return float(ast.literal_eval(node))


def _knob_in_words(change: Change, chance: random.Random) -> Idea:
    start, names, category = KNOBS[change.place]
    name, value = chance.choice((change.place, change.place.lower(), *names)), f"{change.value:g}"
    word = "raise" if change.value > start else "lower"
    other = "larger" if change.value > start else "smaller"
    title = chance.choice(
        (f"{name} {start:g} -> {value}", f"{word} the {name} to {value}", f"{other} {name}: {value}", f"{name} {value}")
    )
    reason = chance.choice((f"{start:g} was never tuned for this budget.", "Short runs want something else here.", ""))
    knobs = {change.place: change.value} if chance.random() < DECLARED else {}
    return Idea(title, reason, category, knobs)


def _call_in_words(change: Change, chance: random.Random) -> Idea:
    titles, reasons, category = CALLS[change.call]
    title = chance.choice(titles).format(x=chance.choice(PLACES[change.place]), a=f"{change.value:g}")
    return Idea(title + chance.choice(SINCE).format(b=change.layer), chance.choice(reasons), category)


def _spelled(value: float, chance: random.Random) -> str:
    return chance.choice((repr(value), f"{value!r}0" if "e" not in repr(value) else repr(value), f"{value:e}",
                          f"2 * {value / 2!r}", f"({value!r})"))  # fmt: skip


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
