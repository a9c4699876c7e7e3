"""A repository while it is looked at: what is given, what its texts say, and what was settled so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from swarm.project.autoresearch_files import JOURNAL, NOTES, Segment, segment_of
from swarm.project.candidates import walk
from swarm.project.found import Found, Question
from swarm.project.patterns import rank
from swarm.project.texts import LEADING, NAMES, Said, read_said

PROGRAM = "program.md"
_MOST_TEXTS, _MOST_FILES = 40, 500


@dataclass
class Sight:
    """A repository, the keys that people gave, and those that were found or asked before the one at hand."""

    root: Path
    given: Mapping[str, Any]
    found: dict[str, Found] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    def settle(self, key: str, find: Callable[[Sight], Found | Question | None]) -> None:
        """Finds a key that is not given, or asks for it."""
        if key in self.given:
            return
        match find(self):
            case Found() as found:
                self.found[key] = found
            case Question() as question:
                self.questions.append(question)

    def value(self, key: str) -> Any:
        """What is given or was found; None where neither is."""
        return self.given.get(key) or (self.found[key].value if key in self.found else None)

    def paths(self, key: str) -> tuple[str, ...]:
        return tuple(self.value(key) or ())

    def edited_files(self) -> list[str]:
        """The files that are there of `editable`, its folders and globs written out."""
        patterns = self.paths("editable")
        plain = [path for path in patterns if (self.root / path).is_file()]
        others = [path for path in patterns if path not in plain]
        below = [path for path in walk(self.root) if rank(path, others) >= 0] if others else []
        return list(dict.fromkeys((*plain, *below[:_MOST_FILES])))

    @property
    def places(self) -> tuple[PurePosixPath, ...]:
        """The folders that a run's own files are looked for in: those of the editable files, and the root."""
        return tuple(dict.fromkeys((*(PurePosixPath(path).parent for path in self.paths("editable")), PurePosixPath())))

    @cached_property
    def program_below(self) -> str | None:
        """The program.md of a folder for research, as autoresearch/program.md; None where the root has one."""
        if any((self.root / name).is_file() for name in LEADING):
            return None
        found = [path for path in walk(self.root) if PurePosixPath(path).name == PROGRAM]
        named = [path for path in found if "research" in PurePosixPath(path).parent.name.lower()]
        return named[0] if len(named) == 1 else None

    @cached_property
    def texts(self) -> list[Said]:
        """The texts for agents: the session's own notes, those of the root, those beside the editable files, that of a
        folder for research.

        Where there is no program.md, another text of the root that says which files alone are edited takes its place.
        """
        beside = [str(PurePosixPath(path).parent / PROGRAM) for path in self.given.get("editable", ())]
        if not any((self.root / name).is_file() for name in beside) and self.program_below:
            beside.append(self.program_below)
        names = dict.fromkeys((NOTES, *beside, *NAMES, str(self.given.get("program", PROGRAM))))
        said = [text for name in names if (text := read_said(self.root, name))]
        if any(text.leads for text in said):
            return said
        others = sorted(path.name for path in self.root.glob("*.md") if path.name not in names)[:_MOST_TEXTS]
        return [text for name in others if (text := read_said(self.root, name)) and text.scope.sure] + said

    @cached_property
    def segment(self) -> Segment | None:
        return segment_of(self.root)

    @cached_property
    def named_metrics(self) -> list[Found]:
        """The metrics that the session's journal and the texts name; where none is, those that they say to improve.

        Where there is a text about the research, what a README alone names is not this research's metric.
        """
        named: dict[str, str] = {self.segment.metric: JOURNAL} if self.segment else {}
        leading = [said for said in self.texts if said.leads]
        for names in ("metrics", "goals"):
            for said in self.texts if not named or names == "metrics" else ():
                for name in getattr(said, names):
                    if said in leading or not leading or any(name in text.text for text in leading):
                        named.setdefault(name, said.path)
        return [Found(name, f"named by {path}") for name, path in named.items()]
