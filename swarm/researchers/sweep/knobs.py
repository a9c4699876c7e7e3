"""The knobs of a project: the literals of its editable files that may be tuned, read and written in place.

Each has a name of its own: the file and what the literal is called there (`train.py:XGBClassifier.learning_rate`,
`config.yaml:model.lr`). The presets and the UPPER_CASE constants of a Python file are known by their plain name
(`MATRIX_LR`, `ADAM_BETAS[1]`), as long as no other file has the same.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from swarm.records import Source
from swarm.researchers.sweep.config_literals import CONFIGS, read_config
from swarm.researchers.sweep.families import family_rule
from swarm.researchers.sweep.frame import is_frame
from swarm.researchers.sweep.literals import Literal, Place, Value, is_telling, numbered, spliced
from swarm.researchers.sweep.python_literals import read_python
from swarm.researchers.sweep.text_literals import PROSE, read_text_literals
from swarm.researchers.sweep.token_literals import LANGUAGES, read_tokens

__all__ = ["Knob", "Value", "knobs_of", "read_knobs", "show", "turned", "write_knobs"]

_LARGEST = 2_000_000  # bytes: a larger file is data


@dataclass(frozen=True, slots=True)
class Knob:
    """A literal that may be tuned: its name in the project, its file, and where it stands there."""

    name: str
    path: str
    literal: Literal

    @property
    def value(self) -> Value:
        return self.literal.value


def knobs_of(source: Source, device: str) -> dict[str, Knob]:
    """All knobs of the editable files, by name: files in the order of their names, and each in the text's order."""
    found: dict[str, Knob] = {}
    texts = {path: _decoded(content) for path, content in sorted(source.files.items()) if len(content) <= _LARGEST}
    reads = {path: read_python(text, device, frozenset()).reads for path, text in texts.items() if path.endswith(".py")}
    for path, text in texts.items():
        elsewhere = frozenset().union(*(names for other, names in reads.items() if other != path))
        for name, literal in _file_knobs(path, text, device, elsewhere).items():
            plain = literal.place is Place.CONSTANT and path.endswith(".py") and name not in found
            full = name if plain else f"{path}:{name}"
            found[full] = Knob(full, path, literal)
    # Prose beside code only speaks of it; where there is nothing else, it is what is researched.
    code = {name: knob for name, knob in found.items() if _suffix(knob.path) not in PROSE}
    return code or found


def turned(source: Source, knobs: Mapping[str, Knob], changes: Mapping[str, Value]) -> dict[str, bytes]:
    """The new content of every file in which `changes` turns a knob; KeyError for an unknown knob."""
    files: dict[str, dict[Literal, Value]] = {}
    for name, value in changes.items():
        files.setdefault(knobs[name].path, {})[knobs[name].literal] = value
    return {
        path: _encoded(spliced(_decoded(before), own), before)
        for path, own in files.items()
        for before in (source.files[path],)
    }


def read_knobs(text: str, device: str) -> dict[str, Value]:
    """The values of the knobs of one Python file, in file order; none where it does not parse."""
    return {name: literal.value for name, literal in _python_knobs(text, device).items()}


def write_knobs(text: str, device: str, changes: Mapping[str, Value]) -> str:
    """The Python file `text` with these knobs set and nothing else touched; KeyError for an unknown knob."""
    literals = _python_knobs(text, device)
    return spliced(text, {literals[name]: value for name, value in changes.items()})


def show(value: Value) -> str:
    """A knob's value as people read it, which is also valid Python for a number."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.4g}"
    return short if float(short) == value else repr(value)


def _python_knobs(text: str, device: str) -> dict[str, Literal]:
    return _file_knobs("file.py", text, device, frozenset())


@functools.lru_cache(maxsize=64)
def _file_knobs(path: str, text: str, device: str, elsewhere: frozenset[str]) -> dict[str, Literal]:
    """The knobs of one file by their names in it. `elsewhere` are the names that other files read."""
    suffix = _suffix(path)
    if suffix == "py":
        literals: Iterable[Literal] = read_python(text, device, elsewhere).literals
    elif suffix in CONFIGS:
        literals = read_config(text, suffix)
    elif suffix in LANGUAGES:
        literals = read_tokens(text, suffix)
    else:
        literals = read_text_literals(text, suffix)
    return {name: literal for name, literal in numbered(literals).items() if is_knob(literal)}


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix[1:].lower()


def is_knob(literal: Literal) -> bool:
    """Whether the literal may be tuned, by its place, its name and its value."""
    if not is_telling(literal.place, literal.value) or is_frame(literal):
        return False
    return literal.place is Place.CONSTANT or family_rule(literal) is not None


# ---------------------------------------------------------------------------------------------------------------
# Text that is written back as it was


_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def _encoding(content: bytes) -> str:
    return next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")


def _decoded(content: bytes) -> str:
    """The text of a file, byte order mark included; what is not UTF-8 stays as it is, a half character for a byte."""
    return content.decode(_encoding(content), "surrogateescape")


def _encoded(text: str, before: bytes) -> bytes:
    return text.encode(_encoding(before), "surrogateescape")
