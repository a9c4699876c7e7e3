"""No key stands in the environment of Ray's daemons; agents whose researcher needs one have it in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm.coordinator.keys import keys, without_keys
from swarm.researchers.registry import uses_keys

SECRET = "sk-ant-not-a-real-key-0123456789"
HEAD = """
import os, sys, psutil
from pathlib import Path
from swarm.coordinator import own_ray

own_ray.start({"num_cpus": 1, "configure_logging": False}, lambda line: None, lambda folder: None)
import ray
children = psutil.Process().children(recursive=True)
names = [child.name() for child in children]
shown = [child.name() for child in children if sys.argv[1].encode() in Path(f"/proc/{child.pid}/environ").read_bytes()]
print("daemons", len(children), "gcs_server" in names, "raylet" in names)
print("shown", shown)
print("own", os.environ["ANTHROPIC_API_KEY"] == sys.argv[1])
ray.shutdown()
own_ray.end()
"""


@pytest.mark.parametrize(
    ("name", "value", "is_key"),
    [
        ("ANTHROPIC_API_KEY", SECRET, True),
        ("AWS_SECRET_ACCESS_KEY", "x", True),
        ("GITHUB_TOKEN", "x", True),
        ("SWARM_NOTIFY", "https://ntfy.sh/x", True),
        ("DATABASE_URL", "postgres://me:pass@host/db", True),
        ("MY_THING", "ghp_0123456789abcdef0123", True),
        ("PATH", "/usr/bin", False),
        ("SSH_AUTH_SOCK", "/tmp/agent", False),
        ("RAY_gcs_server_port_wait_time_s", "1800", False),
        ("CUDA_VISIBLE_DEVICES", "0,1", False),
        ("TOKENIZERS_PARALLELISM", "false", False),  # runs get it, so that agents have to have it
    ],
)
def test_what_looks_like_a_key(name: str, value: str, is_key: bool) -> None:
    assert (name in keys({name: value})) is is_key


def test_they_are_gone_for_what_is_started_and_back_afterwards() -> None:
    environment = {"HOME": "/root", "OPENAI_API_KEY": "x"}
    with without_keys(environment):
        assert environment == {"HOME": "/root"}
    assert environment == {"HOME": "/root", "OPENAI_API_KEY": "x"}


def test_only_researchers_that_need_keys_get_them() -> None:
    names = ("claude", "claude-code", "command", "sweep", "scripted")
    assert [name for name in names if uses_keys(name)] == ["claude", "claude-code", "command"]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="environments are read in /proc")
@pytest.mark.long
def test_no_daemon_of_rays_has_a_key_in_its_environment(tmp_path: Path) -> None:
    variables = {"ANTHROPIC_API_KEY": SECRET, "WANDB_API_KEY": SECRET, "SOME_URL": f"https://me:{SECRET}@host"}
    done = subprocess.run(
        [sys.executable, "-c", HEAD, SECRET],
        env={**os.environ, **variables},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.split(" ")[0] in ("shown", "own"))
    assert "True True" in next(line for line in done.stdout.splitlines() if line.startswith("daemons"))
    assert said == {"shown": "[]", "own": "True"}
