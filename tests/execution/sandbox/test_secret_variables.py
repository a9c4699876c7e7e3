"""One rule says what is a secret: runs do not get it, and no daemon of Ray's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.coordinator.keys import keys
from swarm.execution.sandbox.secret_variables import is_secret
from swarm.execution.slot import passes

RANDOM = "0123456789abcdef0123"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CUDA_SECRET_THING", "x"),
        ("TORCH_COOKIE", "x"),  # of the variables that runs get, by what one of two lists knew
        ("JAX_PRIVATE_REGISTRY", "x"),
        ("GITHUB_PAT", "x"),
        ("SWARM_PUSH", "x"),
        ("CACHE_URL", f"redis://:{RANDOM}@host"),
        ("UV_INDEX_URL", f"https://me:{RANDOM}@packages.example"),
        ("UV_DEFAULT_INDEX", f"https://packages.example/ghp_{RANDOM}/simple"),
        ("XLA_FLAGS", f"--upload=hf_{RANDOM}"),
        ("NODE_OPTIONS", f"--require x --id 'sk-proj-{RANDOM}'"),
        ("CARGO_THING", f"eyJhbGciOiJIUzI1NiJ9.{RANDOM}"),
        ("CONDA_THING", f"ghu_{RANDOM}"),
    ],
)
def test_a_secret_reaches_neither_runs_nor_daemons(name: str, value: str) -> None:
    assert is_secret(name, value) and not passes(name, value) and name in keys({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/opt/sk-tools-of-ours/bin:/home/me/AKIAfolder/bin"),  # a folder may be called anything
        ("HF_HOME", "/data/hf_models_and_more"),
        ("HF_HOME", "hf_models_and_more"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("PYTHONPATH", "/home/me/task-scheduler/src"),
        ("UV_INDEX_URL", "https://packages.example:8443/simple"),
    ],
)
def test_a_place_is_no_secret(name: str, value: str) -> None:
    assert not is_secret(name, value) and passes(name, value) and not keys({name: value})


@given(st.text(max_size=40), st.text(max_size=200))
def test_no_run_is_given_what_daemons_may_not_see(name: str, value: str) -> None:
    assert not (passes(name, value) and keys({name: value}))
