"""Whether a run failed for what its copy or its sandbox lacks, and the key of the settings that gives it.

A log's last lines name a path, a module, a program, a host or a variable. Where that is there for the user's own run
and not for this one, the failure is of our making, and its reason ends with the remedy; else nothing is said.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.execution.included import KEYS, PRIVATE
from swarm.execution.named_paths import named_paths, words
from swarm.execution.sandbox import Bounds
from swarm.execution.spec import Spec
from swarm.project.candidates import walk
from swarm.project.environment import own_environment
from swarm.project.patterns import rank
from swarm.project.project import Project
from swarm.project.reading import text_of
from swarm.project.running import is_code

CODE_FILES = 200  # of the project's own code that are searched for paths
LINES = 60  # of a log's end that are looked at

_MISSING = re.compile(
    r"no such file|ENOENT|FileNotFound|not found|NotFound|does(?: not|n't) exist|cannot find|os error 2\b"
    r"|(?:can ?no?'?t|could(?: not|n't)|unable to|failed to)[\w ]{0,20} (?:open|find|load|read|access|locate|stat)"
    r"|not a directory|opening file|missing|does not appear to be",
    re.IGNORECASE,
)
_DENIED = re.compile(r"permission ?denied|PermissionError|EACCES|EPERM|os error 13\b|operation not permitted", re.I)
_REFUSED = re.compile(r"operation not permitted|EPERM|can't start new", re.IGNORECASE)
_STARTS = re.compile(r"\b(?:\w*fork\w*|\w*spawn\w*|Popen|subprocess|multiprocessing|_execute_child|vfork)\b")
NO_PROCESS = (
    "no process can be started here, as nothing would count its CPU time: torch.compile on a CPU, and workers that load"
    " data, need a control group that this user may make"
)
_UNWRITABLE = re.compile(r"read-only file ?system|EROFS|os error 30\b|ReadOnlyFilesystem|not writable", re.IGNORECASE)
_MODULE = (
    re.compile(r"No module named ['\"]?([\w.]{1,100})"),
    re.compile(r"Cannot find (?:module|package) ['\"]([^'\"]{1,300})['\"]"),
    re.compile(r"Package (\w{1,100}) not found in current path"),
)
_COMMAND = (
    re.compile(r"(?:^|[\s:])([\w./+-]{1,100}): (?:command )?not found"),
    re.compile(r"No such file or directory: ['\"]([\w.+-]{1,100})['\"]"),
    re.compile(r"['\"‘]([\w.+-]{1,100})['\"’]: No such file or directory"),
    re.compile(r"spawn ([\w.+-]{1,100}) ENOENT"),
    re.compile(r"exec: \"([\w./+-]{1,100})\": executable file not found"),
    re.compile(r"^make(?:\[\d+\])?: ([\w./+-]{1,100}): No such file"),
)
_NETWORK = re.compile(
    r"name resolution|Name or service not known|nodename nor servname|could(?: not|n't) resolve|getaddrinfo|EAI_AGAIN"
    r"|\bENOTFOUND\b|ECONNREFUSED|ENETUNREACH|network is unreachable|connection refused|failed to (?:establish|connect)"
    r"|ConnectionError|ConnectError|ConnectTimeout|max retries exceeded|NameResolutionError|URLError|dns error"
    r"|OfflineModeIsEnabled|LocalEntryNotFoundError|offline mode|_OFFLINE\b|--offline|GOPROXY=off|ENOTCACHED"
    r"|could(?: not|n't) (?:reach|connect|download)|unable to access 'https?:|No matching distribution found"
    r"|no matching package named"
    r"|failed to (?:fetch|download)|network (?:access|was|is) (?:disabled|blocked)"
    r"|socket\(\).{0,40}(?:denied|permitted)|in the cached files|no internet",
    re.IGNORECASE,
)
_FETCHED = (  # what brings the packages that a tool misses, typed in the repository
    (re.compile(r"Packages were unavailable|requirements are unsatisfiable"), "uv sync"),
    (re.compile(r"--offline|crates\.io|crates-io|no matching package named"), "cargo fetch"),
    (re.compile(r"GOPROXY=off|cannot find module providing"), "go mod download"),
    (re.compile(r"ENOTCACHED|registry\.npmjs"), "npm install"),
    (re.compile(r"No matching distribution found"), "pip install"),
)
_LOCAL = re.compile(r"localhost|127\.0\.0\.1|\[::1\]")
_UNSET = re.compile(
    r"KeyError|environ|no api key|not set|undefined|unset|unbound variable|must be set|is required|missing|provided",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9_]{2,60}\b")
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run took place: its `copy`, the user's checkout at `root`, and what was closed to it."""

    copy: Path
    root: Path | None
    variables: Mapping[str, str]
    argv: tuple[str, ...]
    sandboxed: bool = False
    network: bool = True
    closed: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    processes: bool = True  # whether it could start any
    code: tuple[str, ...] = ()  # editable and fixed files, folders and globs

    @staticmethod
    def of(spec: Spec, project: Project) -> Place:
        """The place of a spec's first step."""
        bounds, step = spec.bounds, spec.steps[0]
        root = bounds.get("root")
        return Place(
            copy=Path(spec.root),
            root=Path(root) if root else None,
            variables=step.env,
            argv=tuple(step.argv),
            sandboxed=spec.sandboxed,
            network=bounds.get("network", True),
            processes=bounds.get("processes", True),
            closed=tuple(bounds.get("closed", ())),
            opened=tuple(bounds.get("opened", ())),
            secret=tuple(bounds.get("secret", ())),
            code=(*project.editable, *project.fixed),
        )


def described(bounds: Bounds | None, root: Path | None, processes: bool) -> dict[str, Any]:
    """What a run's spec keeps of the sandbox around it, None for none, and of whether it may start `processes`, for
    whoever reads the run's outcome."""
    common = {"root": root and str(root), "processes": processes}
    if bounds is None:
        return common
    return common | {
        "network": bounds.network,
        "closed": [*map(os.path.realpath, bounds.closed)],
        "opened": [*map(os.path.realpath, (*bounds.readable, *bounds.writable))],
        "secret": [*map(os.path.realpath, (*bounds.secret, *bounds.tokens))],
    }


def remedy(tail: str, place: Place) -> str:
    """One line that says what was closed or missing and the key that gives it; "" where that was not the cause. The
    last line of the log that has such a cause decides."""
    lines = [line[:400] for line in tail.splitlines()[-LINES:]]
    if not place.processes and any(map(_REFUSED.search, lines[-10:])) and any(map(_STARTS.search, lines)):
        return NO_PROCESS
    for line in reversed(lines):
        for explain in _EXPLAINERS:
            if found := _tried(explain, line, place):
                return found
    nameless = any(_MISSING.search(line) and _names_nothing(line, place) for line in lines[-10:])
    return _of_the_code(place) if nameless else ""


def _tried(explain: Callable[[str, Place], str], line: str, place: Place) -> str:
    try:
        return explain(line, place)
    except (OSError, ValueError, RuntimeError):  # a name that cannot be one, a loop of links, no such user
        return ""


# -- the kinds of causes, each asked about one line --------------------------------------------------------------------


def _module(line: str, place: Place) -> str:
    for name in (match[1] for pattern in _MODULE for match in pattern.finditer(line)):
        if name.startswith((".", "/")):
            found = _missing(name, place) or _missing(name + ".js", place)
        else:
            found = _python_module(name.split(".")[0], place) or _node_package(name, place)
        if found:
            return found
    return ""


def _python_module(name: str, place: Place) -> str:
    if not name.isidentifier() or not place.root:
        return ""
    for path in (f"{name}.py", name, f"src/{name}.py", f"src/{name}"):
        if found := _missing(path, place):
            return found
    own = own_environment(place.root)
    if own and not _runs_in(own, place) and _installed(own, name):
        python = "{venv}/bin/python"
        return f'{name} is installed in {_home(own)}, which the command does not use: command = "{python} .."'
    for environment in filter(None, (own, Path(sys.prefix))):
        for folder in _added(environment):
            if any((folder / form).exists() for form in (name, f"{name}.py")) and _is_closed(folder, place):
                return _open(folder, place)
    return ""


def _runs_in(own: Path, place: Place) -> bool:
    return any(word.startswith(str(own)) for word in place.argv) or str(own / "bin") in place.variables.get("PATH", "")


def _installed(environment: Path, name: str) -> bool:
    return any(True for form in (name, f"{name}.py") for _ in environment.glob(f"lib/python*/site-packages/{form}"))


def _added(environment: Path) -> Iterator[Path]:
    """Folders that an environment takes packages from, as `pip install -e` leaves them."""
    for file in environment.glob("lib/python*/site-packages/*.pth"):
        for line in text_of(file).splitlines()[:100]:
            if line.startswith("/"):
                yield Path(line)


def _node_package(name: str, place: Place) -> str:
    return _missing("/".join(("node_modules", *name.split("/")[: 1 + name.startswith("@")])), place)


def _command(line: str, place: Place) -> str:
    for name in (match[1] for pattern in _COMMAND for match in pattern.finditer(line)):
        if "/" in name:
            continue  # a path, which is asked about as one
        program = shutil.which(name, path=os.environ.get("PATH", ""))
        if program and _is_closed(Path(program), place):
            return _open(Path(program), place, f"the program {name} in {_home(Path(program).parent)}")
    return ""


def _path(line: str, place: Place) -> str:
    missing, denied, unwritable = (pattern.search(line) for pattern in (_MISSING, _DENIED, _UNWRITABLE))
    pointer = _POINTER[:20].decode() in line or "invalid load key, 'v'" in line
    if not (missing or denied or unwritable or pointer):
        return ""
    for word in words(line):
        if found := _pointer(word, place) or _missing(word, place) or _outside(word, place):
            return found
        if (denied or unwritable) and (found := _written(word, place, bool(unwritable))):
            return found
    if pointer:
        return "a file of this commit is a Git LFS pointer, not the file itself: `git lfs pull`, and commit that"
    if unwritable and place.sandboxed:
        return "a sandboxed run may write only to its own copy of the repository and to the folder SWARM_RUN_DIR"
    return ""


def _net(line: str, place: Place) -> str:
    if place.network or not place.sandboxed:
        return ""
    if not _NETWORK.search(line):
        return ""
    what = "TCP, even to this machine itself," if _LOCAL.search(line) else "the network"
    first = next((f"`{command}`" for pattern, command in _FETCHED if pattern.search(line)), "download what they need")
    return f"{what} is closed to runs: {first} before, or network = true opens it"


def _git(line: str, place: Place) -> str:
    if "not a git repository" not in line and "InvalidGitRepositoryError" not in line:
        return ""
    return "a run works in a copy of the files, which is no git repository: let the code do without git"


def _unset(line: str, place: Place) -> str:
    if not _UNSET.search(line):
        return ""
    for name in _VARIABLE.findall(line)[:20]:
        if name in os.environ and name not in place.variables:
            return f'{name} is set in your shell, but no variable that runs get: pass_env = ["{name}"]'
    return ""


_EXPLAINERS: tuple[Callable[[str, Place], str], ...] = (_module, _command, _path, _git, _net, _unset)


def _names_nothing(line: str, place: Place) -> bool:
    """Whether a line names no path but of files that are there, such as the line of code that failed."""
    paths = (word for word in words(line) if " " not in word and ("/" in word or "." in word))
    return all((name := _inside(word, place)) and (place.copy / name).exists() for word in paths)


# -- what is where -----------------------------------------------------------------------------------------------------


def _missing(word: str, place: Place) -> str:
    """A path of the repository that the checkout has and the copy lacks."""
    name = _inside(word, place)
    if not name or not place.root or name.split("/")[0] in PRIVATE:
        return ""
    if not os.path.lexists(place.root / name) or (place.copy / name).exists():
        return ""
    parts = name.split("/")
    tops = ("/".join(parts[: count + 1]) for count in range(len(parts)))
    top = next((path for path in tops if not (place.copy / path).exists()), name)
    if parts[-1] in KEYS and top != name:
        return f'{name} is closed, as it may hold keys: include = ["{name}"] names it'
    return f'{name} is in your checkout, and not in the commit: include = ["{top}"], or commit it'


def _outside(word: str, place: Place) -> str:
    """A path elsewhere on this machine that is closed to the run."""
    path = Path(word).expanduser()
    if not place.sandboxed or not path.is_absolute() or not _below(path, place.closed):
        return ""
    real = Path(os.path.realpath(path))
    if real.is_relative_to(os.path.realpath(place.copy)) or not _is_closed(path, place):
        return ""
    if place.root and real.is_relative_to(os.path.realpath(place.root)):
        name = real.relative_to(os.path.realpath(place.root)).as_posix()
        if (place.copy / name).exists() and name != ".":
            return f"{word} is your checkout, and a run works in a copy of it: name {name} from the repository's folder"
        return _missing(str(place.copy / name), place)
    if any(real.is_relative_to(secret) for secret in place.secret):
        return ""
    return _open(path, place) if path.exists() else ""


def _written(word: str, place: Place, unwritable: bool) -> str:
    """A path that the run may read, and wanted to write."""
    path = Path(word).expanduser()
    real = os.path.realpath(place.copy / path)
    if place.sandboxed and _below(Path(real), place.secret):
        return f"{word} is held out of training"
    if place.root and not Path(real).is_relative_to(os.path.realpath(place.copy)):
        name = _inside(word, place)
        if name and (place.copy / name.split("/")[0]).exists():
            return f"{word} is included to be read: a run may write to its own copy and to the folder SWARM_RUN_DIR"
    if not place.sandboxed or Path(real).is_relative_to(os.path.realpath(place.copy)):
        return ""
    parent = Path(real).parent
    inside = _below(Path(real), (*place.opened, *place.closed))
    if inside and (unwritable or os.access(parent, os.W_OK)):
        where = "its own copy, to the folder SWARM_RUN_DIR and, for temporary files, to TMPDIR"
        return f"{word} is not a run's to write: it may write to {where}"
    return ""


def _pointer(word: str, place: Place) -> str:
    name = _inside(word, place)
    path = place.copy / name if name else None
    if path is None or not path.is_file() or path.stat().st_size > 1024:
        return ""
    if not path.read_bytes().startswith(_POINTER):
        return ""
    return f"{name} is a Git LFS pointer in this commit, not the file itself: `git lfs pull`, and commit that"


def _of_the_code(place: Place) -> str:
    """Where a log names no path, as of a program in C or Rust: a path that the code names, and the copy lacks."""
    for name in _code_files(place):
        for word in named_paths(text_of(place.copy / name), name.endswith(".py")):
            if found := _tried(_missing, word, place):
                return found
    return ""


def _code_files(place: Place) -> list[str]:
    """The files of the patterns in `code`: its folders and globs written out, what is named by itself first."""
    plain = [name for name in place.code if (place.copy / name).is_file()]
    others = [name for name in place.code if name not in plain]
    below = (name for name in walk(place.copy) if is_code(name) and rank(name, others) >= 0) if others else ()
    return list(dict.fromkeys((*plain, *itertools.islice(below, CODE_FILES))))[:CODE_FILES]


def _inside(word: str, place: Place) -> str:
    """A word as a path from the repository's folder, in the copy; "" where it is none."""
    path = Path(word)
    if not path.is_absolute():
        name = os.path.normpath(word)
    elif path.is_relative_to(place.copy):
        name = os.path.normpath(path.relative_to(place.copy))
    else:
        real, copy = Path(os.path.realpath(path)), Path(os.path.realpath(place.copy))
        name = real.relative_to(copy).as_posix() if real.is_relative_to(copy) else ""
    return "" if name in ("", ".") or name.startswith(("..", "~", "/")) else name


def _is_closed(path: Path, place: Place) -> bool:
    """Whether the sandbox keeps a run from reading the path: of what is around it, the innermost decides."""
    real = Path(os.path.realpath(path))
    closed, opened = (_innermost(real, places) for places in (place.closed, place.opened))
    return place.sandboxed and closed > opened


def _below(path: Path, places: tuple[str, ...]) -> bool:
    return _innermost(path, places) > 0


def _innermost(path: Path, places: tuple[str, ...]) -> int:
    return max((len(place) for place in places if path.is_relative_to(place)), default=0)


def _open(path: Path, place: Place, what: str = "") -> str:
    """The folder to open for a path: the one it is in, or the second level of the home folder."""
    folder = path if path.is_dir() else path.parent
    home = Path.home()
    if folder.is_relative_to(home):
        folder = home.joinpath(*folder.relative_to(home).parts[:2])
    if folder == home or str(folder) in place.closed:
        folder = path
    return f'{what or _home(path)} is closed to runs: readable = ["{_home(folder)}"] opens it'


def _home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)
