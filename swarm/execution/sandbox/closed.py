"""Whether a run failed for what its copy or its sandbox lacks, and the key of the settings that gives it.

A log's last lines name a path, a module, a program, a host or a variable. Where that is there for the user's own run
and not for this one, the failure is of our making, and its reason ends with the remedy; else nothing is said.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from swarm.execution.sandbox.named_paths import words
from swarm.execution.sandbox.whereabouts import (
    POINTER,
    Place,
    from_home,
    inside_copy,
    is_closed,
    lacking,
    lfs_pointer,
    of_the_code,
    opening,
    outside,
    refused_write,
    tried,
)
from swarm.project.environment import own_environment
from swarm.project.reading import text_of

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


def remedy(tail: str, place: Place) -> str:
    """One line that says what was closed or missing and the key that gives it; "" where that was not the cause. The
    last line of the log that has such a cause decides."""
    lines = [line[:400] for line in tail.splitlines()[-LINES:]]
    if not place.processes and any(map(_REFUSED.search, lines[-10:])) and any(map(_STARTS.search, lines)):
        return NO_PROCESS
    for line in reversed(lines):
        for explain in _EXPLAINERS:
            if found := tried(explain, line, place):
                return found
    nameless = any(_MISSING.search(line) and _names_nothing(line, place) for line in lines[-10:])
    return of_the_code(place) if nameless else ""


# -- the kinds of causes, each asked about one line --------------------------------------------------------------------


def _module(line: str, place: Place) -> str:
    for name in (match[1] for pattern in _MODULE for match in pattern.finditer(line)):
        if name.startswith((".", "/")):
            found = lacking(name, place) or lacking(name + ".js", place)
        else:
            found = _python_module(name.split(".")[0], place) or _node_package(name, place)
        if found:
            return found
    return ""


def _python_module(name: str, place: Place) -> str:
    if not name.isidentifier() or not place.root:
        return ""
    for path in (f"{name}.py", name, f"src/{name}.py", f"src/{name}"):
        if found := lacking(path, place):
            return found
    own = own_environment(place.root)
    if own and not _runs_in(own, place) and _installed(own, name):
        python = "{venv}/bin/python"
        return f'{name} is installed in {from_home(own)}, which the command does not use: command = "{python} .."'
    for environment in filter(None, (own, Path(sys.prefix))):
        for folder in _added(environment):
            if any((folder / form).exists() for form in (name, f"{name}.py")) and is_closed(folder, place):
                return opening(folder, place)
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
    return lacking("/".join(("node_modules", *name.split("/")[: 1 + name.startswith("@")])), place)


def _command(line: str, place: Place) -> str:
    for name in (match[1] for pattern in _COMMAND for match in pattern.finditer(line)):
        if "/" in name:
            continue  # a path, which is asked about as one
        program = shutil.which(name, path=os.environ.get("PATH", ""))
        if program and is_closed(Path(program), place):
            return opening(Path(program), place, f"the program {name} in {from_home(Path(program).parent)}")
    return ""


def _path(line: str, place: Place) -> str:
    missing, denied, unwritable = (pattern.search(line) for pattern in (_MISSING, _DENIED, _UNWRITABLE))
    pointer = POINTER[:20].decode() in line or "invalid load key, 'v'" in line
    if not (missing or denied or unwritable or pointer):
        return ""
    for word in words(line):
        if found := lfs_pointer(word, place) or lacking(word, place) or outside(word, place):
            return found
        if (denied or unwritable) and (found := refused_write(word, place, bool(unwritable))):
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
    return all((name := inside_copy(word, place)) and (place.copy / name).exists() for word in paths)
