"""The tools that a language model has: it can look, edit the editable files, and submit. Nothing else.

Edits are made in memory. Whatever a model is talked into, it cannot write, run or fetch anything: the only thing that
leaves a draft is new content of editable files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from swarm.execution.workspace import LARGEST, parses
from swarm.project.patterns import Scope, open_places
from swarm.records import Briefing, Dossier, Edit, Idea
from swarm.researchers.llm.arguments import Refused, knobs, string, whole
from swarm.researchers.llm.models.protocol import Tool
from swarm.researchers.llm.prompt import FILE, experiment_text, finding_line, finding_text, quoted
from swarm.text import Text, read_text

FOUND = 12  # findings that a search shows

_TITLE, _RATIONALE, _CATEGORY = 160, 4_000, 40  # characters of an idea's parts


def _tool(name: str, description: str, required: str = "", **properties: Any) -> Tool:
    return Tool(name, description, {"type": "object", "properties": properties, "required": required.split()})


def _text(description: str) -> dict[str, str]:
    return {"type": "string", "description": description}


TOOLS: tuple[Tool, ...] = (
    _tool(
        "read_file",
        "Read an editable or fixed file of the project. Editable files are shown as they are now, with your edits.",
        "path",
        path=_text("path relative to the project's root"),
        first={"type": "integer", "description": "first line to show, from 1"},
        last={"type": "integer", "description": "last line to show"},
    ),
    _tool(
        "search_findings",
        "Search what all agents have tried. Shows the findings that share most words with the query.",
        "query",
        query=_text("words: a technique, a knob, a category"),
    ),
    _tool(
        "show_experiment",
        "Show one earlier experiment: verdict, diff, training curve beside its parent's, end of the log.",
        "experiment",
        experiment=_text("its id, as in apr5-gpu3-0007"),
    ),
    _tool(
        "submit_idea",
        "Submit your one idea, before you edit. It is checked against everything that was ever tried.",
        "title rationale category",
        title=_text("what is changed, in one line"),
        rationale=_text("what you expect and why: which quantity moves, by which mechanism, by how much"),
        category=_text("what it is about, in a word or two: a category of program.md or the briefing, if any"),
        knobs={
            "type": "object",
            "description": "where the idea is nothing but numbers: every knob's new value, by its name in the code",
            "additionalProperties": {"type": ["number", "string", "boolean"]},
        },
        again=_text("only where it, or something very like it, was tried: why it should come out otherwise now"),
    ),
    _tool(
        "edit_file",
        "Replace one piece of an editable file. `old` must occur exactly once, letter by letter, blanks included."
        " Where new files may be made, an empty `old` makes one.",
        "path old new",
        path=_text("an editable file"),
        old=_text("the piece as it stands, with enough around it to be unique"),
        new=_text("what takes its place"),
    ),
    _tool("check", "Check that the editable files parse, and see what your edits have changed so far."),
    _tool("submit_edit", "Submit the editable files as they are now. They are run as they are."),
    _tool("give_up", "Say that the idea cannot be made to work, and why.", "reason", reason=_text("why")),
)


NOWHERE = Scope()


@dataclass
class Draft:
    """One experiment as it is made: its files in memory, and what was submitted. `use` is the only way to change it."""

    briefing: Briefing
    files: dict[str, str]
    folder: Path | None = None  # where fixed files may be read from
    fixed: frozenset[str] | None = None  # which ones; None: every file of the folder
    idea: Idea | None = None
    scope: Scope = NOWHERE  # where new files may be made
    editing: bool = False
    submitted: bool = False
    given_up: str = ""
    dossiers: dict[str, Dossier] = field(default_factory=dict)  # what was looked up on the board

    @property
    def done(self) -> bool:
        """Whether the present step is over: the idea submitted, or the edit submitted or given up."""
        return self.submitted or bool(self.given_up) if self.editing else self.idea is not None

    def edit(self, since: Mapping[str, bytes]) -> Edit:
        """What differs from `since`."""
        before = {path: read_text(content) for path, content in since.items()}
        forms = {path: before.get(path, Text("")) for path in self.files}
        changed = (path for path in self.files if path not in before or self.files[path] != before[path].text)
        return Edit({path: forms[path].encode(self.files[path]) for path in changed})

    def begin(self, briefing: Briefing, files: Mapping[str, bytes], folder: Path) -> None:
        """Turns to editing (or mending) the files, with nothing submitted."""
        self.briefing, self.files = briefing, texts(files)
        self.folder, self.editing, self.submitted, self.given_up = folder, True, False, ""

    def _fault(self) -> str | None:
        return parses(self.edit({}))

    def use(self, name: str, arguments: object) -> str:
        """The tool's answer; Refused where it cannot be used so. Nothing else is ever raised."""
        tools: dict[str, Callable[[Mapping[str, Any]], str]] = {
            "read_file": self._read_file,
            "search_findings": self._search_findings,
            "show_experiment": self._show_experiment,
            "submit_idea": self._submit_idea,
            "edit_file": self._edit_file,
            "check": self._check,
            "submit_edit": self._submit_edit,
            "submit_edits": self._submit_edits,
            "give_up": self._give_up,
        }
        if name not in tools:
            raise Refused(f"there is no tool {name[:80]!r}; there are {', '.join(tools)}")
        if not isinstance(arguments, Mapping):
            raise Refused(f"{name} takes an object of named values")
        return tools[name](arguments)

    # -- looking -----------------------------------------------------------------------------------------------

    def _read_file(self, arguments: Mapping[str, Any]) -> str:
        path = string(arguments, "path")
        lines = self._content(path).splitlines()
        first, last = whole(arguments, "first", 1), whole(arguments, "last", len(lines))
        shown = "\n".join(lines[max(first, 1) - 1 : max(last, 0)])
        return f"{len(lines)} lines\n{quoted(shown, path, FILE)}"

    def _content(self, path: str) -> str:
        if path in self.files:
            return self.files[path]
        if self.folder is None:
            raise Refused(
                f"{path[:200]} cannot be read before the idea is submitted; now: {', '.join(sorted(self.files))}"
            )
        return self._fixed_content(self.folder, path)

    def _fixed_content(self, folder: Path, path: str) -> str:
        """A plain file of the folder, reached without links and without leaving it."""
        parts = PurePosixPath(path).parts
        out = ".." in parts and path not in (self.fixed or ())  # a fixed file may lie beside the project
        if not parts or "\0" in path or PurePosixPath(path).is_absolute() or out:
            raise Refused(f"{path[:200]!r} is not a path inside the project")
        places = [folder.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        if self.fixed is not None and str(PurePosixPath(path)) not in self.fixed:
            raise Refused(f"{path[:200]} is neither an editable nor a fixed file of the project")
        target, linked = places[-1], any(place.is_symlink() for place in places)
        if linked or not target.is_file() or target.stat().st_size > LARGEST:
            raise Refused(f"there is no readable file {path[:200]} in the project")
        return read_text(target.read_bytes()).text

    def _search_findings(self, arguments: Mapping[str, Any]) -> str:
        wanted = _words(string(arguments, "query"))
        scored = [(len(wanted & _words(finding_line(finding))), finding) for finding in self.briefing.findings]
        best = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])[:FOUND]
        if not best:
            return "Nobody has tried anything with these words."
        return quoted("\n".join(finding_line(finding) for _, finding in best), "findings")

    def _show_experiment(self, arguments: Mapping[str, Any]) -> str:
        wanted = string(arguments, "experiment")
        if wanted in self.dossiers:
            return experiment_text(self.dossiers[wanted])
        for finding in self.briefing.findings:
            if finding.experiment == wanted:
                return finding_text(finding)
        raise Refused(f"there is no judged experiment {wanted[:80]!r}")

    # -- submitting and editing ----------------------------------------------------------------------------------

    def _submit_idea(self, arguments: Mapping[str, Any]) -> str:
        if self.idea is not None:
            raise Refused(f"the idea is submitted already: {self.idea.title}; now edit, then submit_edit")
        title = " ".join(string(arguments, "title").split())
        if not title:
            raise Refused("an idea needs a title")
        category = " ".join(string(arguments, "category").lower().split())
        rationale = string(arguments, "rationale").strip()
        again = string(arguments, "again").strip() if arguments.get("again") else ""
        self.idea = Idea(
            title[:_TITLE],
            rationale[:_RATIONALE],
            category[:_CATEGORY] or "other",
            knobs(arguments),
            again[:_RATIONALE],
        )
        return "Submitted."

    def _edit_file(self, arguments: Mapping[str, Any]) -> str:
        path, old, new = (string(arguments, name) for name in ("path", "old", "new"))
        if not self.editing:
            raise Refused("submit the idea first: it may have been tried before")
        if path not in self.files and not old and self.scope.may_edit(path):
            return self._keep(path, new)
        if path not in self.files:
            raise Refused(f"{path[:200]} may not be edited; only {self._editable()} may")
        if old == new or not old:
            raise Refused("`old` must be a piece of the file, and differ from `new`")
        form = read_text(self.briefing.parent.files.get(path, b""))
        if form.newline != "\n":
            old, new = (piece.replace("\r\n", "\n") for piece in (old, new))
        try:
            form.encode(new)
        except UnicodeEncodeError as error:
            lacking = error.object[error.start]
            raise Refused(f"{path} is written in {form.encoding}, which has no {lacking!r}: use other words") from error
        times = self.files[path].count(old)
        if times != 1:
            where = "does not occur: read the file and copy the piece exactly" if not times else f"occurs {times} times"
            raise Refused(f"`old` {where}{'' if not times else ': take more of what stands around it'}")
        return self._keep(path, self.files[path].replace(old, new))

    def _editable(self) -> str:
        files = ", ".join(sorted(self.files))
        places = open_places(self.scope, self.files)
        return f"{files}, and new files in {', '.join(places)}," if places else files

    def _keep(self, path: str, text: str) -> str:
        if len(text) > LARGEST:
            raise Refused(f"{path} would become larger than {LARGEST} characters")
        self.files[path] = text
        wrong = self._fault()
        return f"Edited. It does not parse now: {wrong}" if wrong else "Edited."

    def _check(self, arguments: Mapping[str, Any]) -> str:
        changed = ", ".join(sorted(self.edit(self.briefing.parent.files).files)) or "nothing"
        return f"Changed so far: {changed}. {self._fault() or 'Everything parses.'}"

    def _submit_edit(self, arguments: Mapping[str, Any]) -> str:
        if not self.editing:
            raise Refused("submit the idea first")
        if wrong := self._fault():
            raise Refused(f"it does not parse: {wrong}")
        if not self.edit(self.briefing.parent.files).files:
            raise Refused("nothing is changed yet; edit_file first, or give_up")
        self.submitted = True
        return "Submitted."

    def _submit_edits(self, arguments: Mapping[str, Any]) -> str:
        """All pieces or none, and submitted: for a model that writes its whole edit in one answer."""
        before, pieces = dict(self.files), arguments.get("edits")
        if not isinstance(pieces, (list, tuple)) or not all(isinstance(piece, Mapping) for piece in pieces):
            raise Refused("edits must be a list of objects with path, old and new")
        try:
            for piece in pieces:
                self._edit_file(piece)
            return self._submit_edit({})
        except Refused:
            self.files = before
            raise

    def _give_up(self, arguments: Mapping[str, Any]) -> str:
        if not self.editing:
            raise Refused("there is no idea yet to give up; submit one")
        self.given_up = string(arguments, "reason") or "no reason given"
        return "Given up."


def texts(files: Mapping[str, bytes]) -> dict[str, str]:
    """The files as a model sees them."""
    return {path: read_text(content).text for path, content in files.items()}


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9.]+", text.lower()))
