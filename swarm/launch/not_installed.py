"""What untouched code lacks that its machine could have: a package, a program; and the command that brings it.

Asked of the trial run alone: an experiment that lacks a package brought a new dependency, which is its own fault.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from swarm.execution.sandbox.closed import remedy
from swarm.execution.sandbox.named_paths import words
from swarm.execution.sandbox.whereabouts import Place
from swarm.execution.spec import Spec
from swarm.project.environment import FOLDERS, own_environment, same
from swarm.project.project import Project
from swarm.project.reading import text_of
from swarm.project.running import named_by
from swarm.records import Failure, Run

_MODULE = re.compile(r"(?:(?P<python>/\S*python[\d.]*): )?No module named ['\"]?(?P<name>\w{1,100})")
_NODE = re.compile(r"Cannot find (?:module|package) ['\"](?P<name>(?:@[\w.-]+/)?[\w.-]{1,100})[/'\"]")
_PROGRAM = re.compile(r"(?:^|[\s:])(?P<name>[\w.+-]{1,60}): (?:command )?not found")
_ABSENT = re.compile(
    r"no such file|not found|missing|does(?: not|n't) exist|cannot (?:find|open)|ENOENT", re.IGNORECASE
)
_DATA = re.compile(
    r"\.(?:csv|tsv|parquet|feather|npy|npz|h5|hdf5|pkl|pickle|jsonl?|zip|gz|zst|bin|pt|pth|safetensors|gguf|db|sqlite3?|arrow"
    r"|txt|wav|png|jpe?g)$"
)
_INTERPRETER = re.compile(r"(?<![\w./-])(?:\S*/)?python(?:3(?:\.\d+)?)?(?![\w.-])")
_DISTRIBUTIONS = {  # packages that are imported under another name than they are installed by
    "bs4": "beautifulsoup4",
    "Bio": "biopython",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "google": "protobuf",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "Levenshtein": "levenshtein",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "talib": "ta-lib",
    "yaml": "pyyaml",
}


def what_helps(run: Run, spec: Spec, project: Project) -> str:
    """What to type or to say where the untouched code failed for what it lacks here; "" where that was not why."""
    if run.failure is not Failure.CODE:
        return ""
    place = Place.of(spec, project)
    text = f"{run.log_tail}\n{run.reason}"
    return remedy(text, place) or not_installed(text, place) or not_there(text, place)


def not_installed(tail: str, place: Place) -> str:
    """One line about the last thing in a log that is not installed: which Python lacked it, and what installs it."""
    for line in reversed([line[:400] for line in tail.splitlines()[-60:]]):
        for pattern, explain in ((_MODULE, _python_package), (_NODE, _node_package), (_PROGRAM, _program)):
            if (match := pattern.search(line)) and (found := explain(match, place)):
                return found
    return ""


def not_there(tail: str, place: Place) -> str:
    """One line about the last path in a log that neither the run nor the checkout has: data, or an environment."""
    if place.root is None:
        return ""
    for line in reversed([line[:400] for line in tail.splitlines()[-60:]]):
        for word in words(line) if _ABSENT.search(line) else ():
            name = _in_repository(word, place)
            if not name or (place.root / name).exists():
                continue
            if name.split("/")[0] in FOLDERS:
                return f"{word} is not there: make the repository's own environment in {place.root} first"
            if _DATA.search(name) and "/" in name:
                return (
                    f"{name} is not in your checkout either: download or make it first, as its people say, and say"
                    f' include = ["{name.split("/")[0]}"] if git does not hold it'
                )
    return ""


def _in_repository(word: str, place: Place) -> str:
    """A word as a path below the run's copy; "" for what lies elsewhere."""
    path = Path(os.path.normpath(place.copy / word))
    return path.relative_to(place.copy).as_posix() if path.is_relative_to(place.copy) and path != place.copy else ""


def _python_package(match: re.Match[str], place: Place) -> str:
    name = match["name"]
    for folder in (".", "src"):
        if any((place.copy / folder / form).exists() for form in (name, f"{name}.py")):
            return (
                f"{name} is in this repository, and Python does not look for it in {folder!r}: let the command begin"
                f' with a variable, as command = "PYTHONPATH={folder} {shlex.join(place.argv)}"'
            )
    if name in sys.stdlib_module_names:
        return ""
    python, root = match["python"] or _interpreter(place), place.root
    distribution = _DISTRIBUTIONS.get(name, name)
    if root and not own_environment(root) and (root / "uv.lock").is_file():
        return f"{name} is not installed for {python}, which ran this: `uv sync` in {root} makes its own environment"
    listed = next((file for file in ("requirements.txt",) if root and _lists(root / file, distribution)), "")
    what = f"-r {listed}" if listed else distribution
    own = own_environment(root) if root else None
    uses_uv = own is not None and "uv =" in text_of(own / "pyvenv.cfg")  # such an environment has no pip in it
    typed = f"uv pip install --python {python} {what}" if uses_uv else f"{python} -m pip install {what}"
    alone = f"; a {FOLDERS[0]} in {root} would be used in its place" if root and same(Path(python), _this()) else ""
    return f"{name} is not installed for {python}, which ran this: `{typed}`{alone}"


def _lists(file: Path, distribution: str) -> bool:
    return bool(re.search(rf"^{re.escape(distribution)}\b", text_of(file), re.MULTILINE | re.IGNORECASE))


def _this() -> Path:
    return Path(sys.executable)


def _interpreter(place: Place) -> str:
    """The Python that ran: the one that the command names, or the script that it runs."""
    path = place.variables.get("PATH")
    scripts = (text_of(place.copy / name) for name in named_by(place.copy, place.argv) if not name.endswith(".py"))
    for text in (" ".join(place.argv), *scripts):
        if found := _INTERPRETER.search(text):
            return shutil.which(found[0], path=path) or found[0]
    return shutil.which("python3", path=path) or "python3"


def _node_package(match: re.Match[str], place: Place) -> str:
    if not place.root or match["name"].startswith("."):
        return ""
    return (
        f"the package {match['name']} is not installed: `npm install` in {place.root}, and say"
        ' include = ["node_modules"] if git does not hold it'
    )


def _program(match: re.Match[str], place: Place) -> str:
    name = match["name"]
    if shutil.which(name, path=place.variables.get("PATH")):
        return ""
    return f"the program {name} is not installed on this machine, or in no folder of PATH"
