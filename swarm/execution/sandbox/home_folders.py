"""What of a home folder a sandboxed run may read, and what never: the folders of tools, and the files of credentials.

Tools that people install for themselves lie in their home folder: rustup, nvm, Conda, uv and their like. Runs need
them, and they hold no secrets, but for files that are known by name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

TOOLS = (
    ".cargo", ".rustup", ".local/bin", ".local/lib", ".local/share/uv", ".local/share/pipx", ".local/pipx",
    ".local/share/virtualenvs", ".virtualenvs", ".pyenv", ".rye", ".pixi", ".nvm", ".volta", ".fnm",
    ".local/share/fnm", ".local/share/pnpm", ".bun", ".deno", ".yarn", ".n", ".asdf", ".local/share/mise",
    ".local/share/rtx", ".local/share/nvm", ".conda", ".mamba", "micromamba", ".local/share/mamba", "miniconda3",
    "miniconda", "anaconda3", "miniforge3", "mambaforge", "opt/miniconda3", "opt/anaconda3", "go/bin", "go/pkg",
    ".gvm", ".julia", ".juliaup", ".local/share/juliaup", ".rbenv", ".rvm", ".sdkman", ".opam", ".ghcup", ".stack",
    ".elan", ".dotnet", ".nix-profile", ".linuxbrew", ".zig", ".swiftly", "R", ".local/share/R", ".nltk_data",
    "nltk_data", ".local/share/jupyter",
)  # fmt: skip
PLACES = frozenset((  # variables that say where a tool keeps its files
    "CARGO_HOME", "RUSTUP_HOME", "UV_PYTHON_INSTALL_DIR", "UV_TOOL_DIR", "NVM_DIR", "VOLTA_HOME", "FNM_DIR",
    "FNM_MULTISHELL_PATH", "PNPM_HOME", "BUN_INSTALL", "DENO_DIR", "CONDA_PREFIX", "CONDA_ROOT",
    "MAMBA_ROOT_PREFIX", "PYENV_ROOT", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR", "PIXI_HOME", "GOPATH",
    "GOROOT", "GOMODCACHE", "JULIA_DEPOT_PATH", "JULIAUP_DEPOT_PATH", "VIRTUAL_ENV", "JAVA_HOME", "HF_HOME",
    "HF_HUB_CACHE", "HF_DATASETS_CACHE", "TRANSFORMERS_CACHE", "TORCH_HOME", "NLTK_DATA", "XDG_CACHE_HOME",
    "PYTHONUSERBASE",
))  # fmt: skip
CREDENTIALS = (
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", "_netrc", ".npmrc", ".yarnrc", ".yarnrc.yml",
    ".pypirc", ".git-credentials", ".pgpass", ".my.cnf", ".boto", ".s3cfg", ".vault-token", ".terraform.d",
    ".kaggle", ".huggingface", ".modal.toml", ".claude", ".claude.json", ".codex", ".gemini", ".config/gcloud",
    ".config/gh", ".config/git", ".config/hub", ".config/rclone", ".config/pip", ".config/uv", ".config/pypoetry",
    ".config/github-copilot", ".config/anthropic", ".config/openai", ".config/wandb", ".local/share/keyrings",
    ".local/share/uv/credentials", ".cargo/credentials", ".cargo/credentials.toml", ".rattler", ".mamba/auth",
    ".condarc", ".conda/.condarc", ".conda/aau_token", ".conda/aau_token_host", ".conda/pkgs/aau_token",
    ".continuum", ".julia/servers", ".julia/secrets", ".cache/huggingface/token",
    ".cache/huggingface/stored_tokens", ".volta/.npmrc", ".local/share/pnpm/rc", ".bunfig.toml",
    ".gradle/gradle.properties", ".m2/settings.xml", ".nuget", ".dotnet/.nuget", ".env",
)  # fmt: skip
BELOW = {  # credentials in the folder of a tool, wherever that is
    "CARGO_HOME": ("credentials", "credentials.toml"),
    "HF_HOME": ("token", "stored_tokens"),
    "NVM_DIR": ("versions/node/*/etc/npmrc",),
    "JULIA_DEPOT_PATH": ("servers", "secrets"),
    "CONDA_PREFIX": (".condarc",),
    "MAMBA_ROOT_PREFIX": (".condarc", "auth"),
    "VIRTUAL_ENV": ("pip.conf",),
}
FOUND = (".nvm/versions/node/*/etc/npmrc", ".volta/tools/image/node/*/etc/npmrc", "*conda*/.condarc", "m*mba*/.condarc")
MIXED = (".cargo/config.toml", ".cargo/config", ".julia/config/startup.jl", "go/env")  # settings that may hold a token
_HIDES = re.compile(rb"token|passw|secret|_auth|://[^/\s:@]+:[^/\s@]+@", re.IGNORECASE)


def tools(home: Path, variables: Mapping[str, str]) -> Iterator[Path]:
    """The tool folders that are there: the usual ones, those that variables name, and those that PATH leads to."""
    yield from (path for path in (home / name for name in TOOLS) if path.is_dir())
    for name in sorted(PLACES & variables.keys()):
        yield from (path for path in _paths(variables[name]) if _is_tool(path, home))
    for path in _paths(variables.get("PATH", "")):
        if _is_tool(path, home):
            yield path
            if path.name == "bin" and _is_installation(path.parent) and _is_tool(path.parent, home):
                yield path.parent  # what the programs there need lies beside them


def credentials(home: Path, variables: Mapping[str, str]) -> Iterator[Path]:
    """Files and folders that hold keys, of those that are there: nothing that is open for them to lie in opens them."""
    found = [home / name for name in CREDENTIALS]
    found += [path for pattern in FOUND for path in home.glob(pattern)]
    for name in BELOW.keys() & variables.keys():
        found += [path for folder in _paths(variables[name]) for below in BELOW[name] for path in folder.glob(below)]
    yield from (path for path in found if path.exists())
    yield from (path for path in (home / name for name in MIXED) if path.is_file() and _hides_something(path))


def _is_tool(path: Path, home: Path) -> bool:
    """Not a folder that holds the home folder, nor one of those in which anything may lie."""
    broad = {home, home / ".local", home / ".local/share", home / ".config", home / ".ssh"}
    return path.is_absolute() and path.is_dir() and path not in broad and not home.is_relative_to(path.resolve())


def _is_installation(path: Path) -> bool:
    """Not somebody's checkout, which may have a folder bin too."""
    return any((path / name).is_dir() for name in ("lib", "libexec", "share")) and not (path / ".git").exists()


def _paths(value: str) -> Iterator[Path]:
    yield from (Path(part).expanduser() for part in value.split(os.pathsep) if part)


def _hides_something(path: Path) -> bool:
    try:
        return bool(_HIDES.search(path.read_bytes()))
    except OSError:
        return True
