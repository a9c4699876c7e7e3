"""The cluster files: Ray's own launcher accepts them, every line is explained, and the cluster asks for its token."""

from __future__ import annotations

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError

ROOT = Path(__file__).parents[2]
FILES = ("cluster.yaml", "examples/cluster-onprem.yaml")
STARTS = ("head_start_ray_commands", "worker_start_ray_commands")


@pytest.fixture(params=FILES)
def text(request: pytest.FixtureRequest) -> str:
    return (ROOT / request.param).read_text()


@pytest.fixture
def config(text: str) -> dict[str, Any]:
    return yaml.safe_load(text)


def launcher(config: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` makes of a configuration before it calls any machine; raises what `ray up` would."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


def test_rays_launcher_accepts_it(config):
    prepared = launcher(config)
    assert prepared["head_node_type"] in prepared["available_node_types"]
    assert sum(kind.get("min_workers", 0) for kind in prepared["available_node_types"].values()) >= 1


def test_rays_launcher_would_notice_a_mistake(config):
    with pytest.raises(ValidationError, match="max_wokers"):
        launcher(config | {"max_wokers": 3})
    with pytest.raises(ValidationError):
        launcher(config | {"upscaling_speed": "fast"})


def test_every_line_is_explained(text):
    """A setting has its comment on its own line or above it; items of a list may share the one above their key."""
    above, block = "", False
    for line in text.splitlines():
        setting = re.match(r"\s*[~\w./]+:\s+\S", line)
        if setting and not line.lstrip().startswith("#"):
            assert " # " in line or above.lstrip().startswith("#"), line
        if line.lstrip().startswith("- "):
            assert block or " # " in line, line
        block = bool(line.strip()) and (block or "#" in line)
        above = line


def test_both_sides_ask_for_the_token(config):
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for side in STARTS:
        start = [command for command in config[side] if "ray start" in command]
        assert len(start) == 1
        assert "RAY_AUTH_MODE=token" in start[0]


def test_machines_run_what_this_repository_has(config):
    makefile = (ROOT / "Makefile").read_text()
    home = "~/autoresearch-swarm"
    assert config["file_mounts"][home] == "."
    assert any("make setup" in command for command in config["setup_commands"])
    assert "\nsetup:" in makefile
    for command in [command for side in STARTS for command in config[side]]:
        assert "ray st" in command  # of .venv, which .bashrc puts on the PATH


def test_nothing_that_is_copied_is_a_link_to_nowhere():
    """`ray up` reads every file that it copies."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in listed.splitlines() if (ROOT / name).is_symlink() and not (ROOT / name).exists()] == []


def test_aws_workers_have_eight_gpus_and_the_heads_image():
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    head, worker = (config["available_node_types"][kind]["node_config"] for kind in ("head", "worker"))
    assert config["provider"]["type"] == "aws"
    assert worker["InstanceType"].startswith(("p4d.24", "p5.48", "p5e.48", "p5en.48"))
    assert head["ImageId"] == worker["ImageId"]


def test_own_machines_keep_the_head_apart_from_the_workers():
    config = yaml.safe_load((ROOT / "examples/cluster-onprem.yaml").read_text())
    provider = config["provider"]
    assert provider["head_ip"] not in provider["worker_ips"]
    prepared = launcher(config)
    assert prepared["max_workers"] == len(provider["worker_ips"])
