"""What never moves in any project: facts, measures, and the frame of the experiment, by the words in a name."""

from __future__ import annotations

import functools
import re

from swarm.researchers.sweep.literals import Literal, Place


def listed(text: str, mark: str | None = None) -> frozenset[str]:
    """The words of a text; with a mark between them, phrases."""
    return frozenset(" ".join(part.split()) for part in text.split(mark))


# A name with one of these words is a fact, or belongs to the frame, ...
_FRAME = listed(
    """
    path paths dir dirs directory folder file files filename url uri host hostname port address version versions
    year years date dates timestamp utc timezone tz seed seeds budget timeout timeouts deadline ttl duration
    interval verbose verbosity debug log logs logging logger print report plot fig figsize dpi font fontsize
    color colour cache cached flops peak vocab eval evaluation test tests testing val valid validation holdout
    oos split splits folds fold cv worker workers job jobs thread threads nthread nthreads process processes cpu
    cpus gpu gpus bits bit dtype byte bytes kb mb gb kib mib gib fps fee fees commission commissions slippage
    capital cash balance annualization annualisation index idx id ids uid pid exit errno status sleep retry
    retries attempt attempts checkpoint ckpt save saved snapshot resume gravity schema protocol magic expected
    reference baseline checksum classes labels columns column rows indent ndigits decimals encoding wall
    walltime seconds secs minutes hours ms ns us every contract viewport benchmark bench trials repeats
    replicates mock fixture profiler profile trace tracing metric metrics monitor telemetry runtime progress
    deterministic reproducible usd spend concurrent concurrency grace drain kill http socket better direction
    maximize minimize sec mutex daemon
    """
)
# ... and so is one that is just this.
_EXACT = listed(
    """
    a | acc | accuracy | act dim | action | action dim | adjusted | allow pickle | annual factor | as frame | as
    tuple | ascending | axes | axis | b | base | base unit | batch index | bbox | begin | best | big | board
    size | bos | bottom | capture output | causal | channels | channels first | channels last | check | code |
    col | copy | corpus | count | counter | create graph | daemon | data mean | data set | data std | dataset |
    dataset mean | dataset std | day | days per year | decimal | default | dest | deterministic | device |
    devices | digits | dim | dims | domain | done | drop last | e | end | enforce | engine | env | environment |
    eos | error | errors | exist ok | fill | fill value | first | float | flush | frozen | full output | g | ge
    | gt | half | header | help | high | hop length | hour | hundred | i | ignore index | image height
    | image mean | image size | image std | image width | imagenet mean | imagenet std | img size | in | in
    channels | in dim | inf | infinity | infty | initial capital | inplace | input channels | input dim |
    input size | int | is causal | is flag | is train | is training | j | keepdim | keepdims | keys | kind | kw
    only | largest | last | layout | le | left | len | length | level | limit | line | lines | linewidth | local
    rank | loss | lot size | low | lt | lw | m | main | markersize | max | max int | max time | maximum | maxlen
    | memory limit | metavar | million | min | minimum | minutes per day | missing | mmap mode | mod | modulus |
    month | multiple of | n | n actions | n channels | n cities | n cols | n features | n fft | n jobs | n mels
    | n players | n qubits | n repeats | n rows | n samples | n states | n train | name | names | nan | nargs |
    ncols | ndim | non blocking | nrows | num | num actions | num channels | num features | num players | num
    ranks | num samples | num states | num train | number | obs dim | observed | offset | one | out |
    out channels | out dim | output channels | output dim | output size | overwrite | pad token | parents |
    persistent workers | pi | pin memory | pip size | pixel mean | pixel std | places | prefetch factor |
    problem | r | random state | rank | rate limit | recursion limit | repr | required | requires grad | result
    | results | retain graph | return tensors | reverse | reward | right | risk free | risk free rate | row |
    run time | sample rate | samplerate | sampling rate | scale factor | scenario | score | sentinel | sep |
    shape | shell | show default | shuffle | silent | size | sizes | skip header | slots | sort keys | sorted |
    speed of light | squared | sr | stable | stacklevel | start | state | state dim | step | stop | strict | sum
    | t | target | target accuracy | target loss | target score | target value | task | ten | text | thousand |
    tick size | time limit | top | total | trading days | train | training | two | two pi | type | units
    per em | usecols | value | values | week | weights only | width height | world size | worst | x | y | year
    days | z | zero | zorder
    """,
    "|",
)
# A table or section of this name holds nothing else.
_FRAME_ABOVE = listed(
    """
    eval evaluation logging log logger paths path tests test seeds bounds metrics metric limits safety budget
    wandb plot plotting viz server checkpoint deploy deployment bench benchmark ci data dataset env environment
    """
)
_FIXED_BY_COMMENT = re.compile(
    r"do not (?:change|edit|modify|touch|tune)|don'?t (?:change|edit|modify|touch|tune)|not (?:tunable|a knob)|"
    r"\bfixed\b|must (?:match|equal|be|stay)|read.?only|\bfrozen\b|\bimmutable\b|never change|\bpinned\b",
    re.IGNORECASE,
)
_PATTERN = re.compile(r"\b(?:masks?|primes?|flags)$")  # of bits, or chosen for its divisors
_KINDS = frozenset(("loss", "kind", "type", "error"))  # of these, words are a choice, and numbers a result
_SPOKEN = {"C": "inverse penalty"}  # what a name says that is no word


@functools.lru_cache(maxsize=4096)
def words_of(name: str) -> str:
    """The words of a name's last part, in lower case, one blank between them."""
    own = re.sub(r"(\[\d+\])+$|#\d+$", "", re.sub(r"#\d+$", "", name))
    last = next((part for part in reversed(own.split(".")) if part), "")
    if last in _SPOKEN:
        return _SPOKEN[last]
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", last)
    apart = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", apart)
    return " ".join(re.split(r"[^a-z0-9]+", apart.lower())).strip()


def above(name: str) -> list[str]:
    """The parts of a dotted name before its last, in lower case and without their indices."""
    return [re.sub(r"\[\d+\]", "", part).lower() for part in name.split(".")[:-1]]


def is_frame(literal: Literal) -> bool:
    """Whether name or comment say that the literal is no matter of choice."""
    said = words_of(literal.name)
    if literal.place is Place.OPERAND:  # where every number is one, only a name of its own can say that it stays
        if not literal.name.endswith("]") and _FRAME.intersection(said.split()):
            return True
        return bool(literal.comment and _FIXED_BY_COMMENT.search(literal.comment))
    if len(said) == 1 and literal.place is Place.CONSTANT:
        return False
    if isinstance(literal.value, int) and _PATTERN.search(said):
        return True
    if literal.place is Place.SETTING and _FRAME_ABOVE.intersection(above(literal.name)):
        return True
    if isinstance(literal.value, str) and said in _KINDS:
        return False
    if not said or said in _EXACT or _FRAME.intersection(said.split()):
        return True
    return bool(literal.comment and _FIXED_BY_COMMENT.search(literal.comment))
