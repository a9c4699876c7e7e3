"""One Ray for the swarms of all tests: `python tests/shared_ray.py FOLDER PID` runs it until the process PID has ended.

Its own start takes as many CPU-seconds as the rest of a small swarm. A test asks for the fixture `ray_address` and
launches with RAY_ADDRESS; one about an own Ray (its start, its death, signals) lets the launch start that.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

STARTS, PATIENCE = 3, 1200.0  # how often it is started, and how many seconds its start may take
GPUS = 64  # swarms of several tests at a time
QUIET = {  # as swarm/coordinator/cluster.py has it
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_agent_register_timeout_ms": "1800000",
    "RAY_worker_register_timeout_seconds": "1800",
    "RAY_gcs_server_request_timeout_seconds": "600",
    "RAY_gcs_rpc_server_connect_timeout_s": "600",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    "RAY_py_gcs_connect_timeout_s": "600",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_failure_threshold": "20",
}
HEAD = {
    "num_cpus": GPUS,
    "num_gpus": GPUS,
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,  # nothing is scaled here
}


def address_of(folder: Path, owner: int) -> str:
    """The address of the Ray in `folder`, started where there is none; it ends with the process `owner`.

    Whoever asks holds a lock. RuntimeError where it does not start.
    """
    address = folder / "ray-address"
    for _ in range(STARTS):
        if address.exists():
            break
        with (folder / "ray.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, __file__, str(folder), str(owner)],
                env={**os.environ, **QUIET}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while process.poll() is None and not address.exists():
            time.sleep(0.1)
        if process.poll() is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what the start that was given up has left behind
    if not address.exists():
        raise RuntimeError(f"the tests' Ray does not start: {(folder / 'ray.log').read_text()[-2000:]}")
    return address.read_text()


def free_ports() -> dict[str, int]:
    """Ports for its agents: where they choose them, the raylet dies of an agent that needs 15 seconds to start."""
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as other:
        return {"metrics_agent_port": one.getsockname()[1], "runtime_env_agent_port": other.getsockname()[1]}


def with_ports_told(start_raylet: Callable[..., Any]) -> Callable[..., Any]:
    """The same, where it need not wait for the agents to write down that two more ports are not used (-1)."""
    signature = inspect.signature(start_raylet)

    def started(*arguments: Any, **options: Any) -> Any:
        told = signature.bind(*arguments, **options).arguments
        for name in ("dashboard_agent_listen_port", "metrics_export_port"):
            Path(told["session_dir"], f"{name}_{told['node_id']}").write_text("-1")
        return start_raylet(*arguments, **options)

    return started


def patient(ask: Callable[..., Any]) -> Callable[..., Any]:
    """The same question, asked until it is answered or one of Ray's processes has died: Ray gives its start up after 30
    seconds, which a busy machine needs."""

    def asked(*arguments: Any, **options: Any) -> Any:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return ask(*arguments, **options)
            except RuntimeError:  # not there yet
                dead = [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
                if dead or time.monotonic() > until:
                    raise
                time.sleep(0.2)

    return asked


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def end_with(owner: psutil.Process, started: threading.Event) -> None:
    """Ends a start that nobody waits for any more."""
    while lives(owner) and not started.is_set():
        time.sleep(0.5)
    if not started.is_set():
        os.killpg(0, signal.SIGKILL)


def main(folder: Path, owner: psutil.Process) -> None:
    from ray._private import node, services  # not in every test process
    from ray.cluster_utils import Cluster

    started = threading.Event()
    threading.Thread(target=end_with, args=(owner, started), daemon=True).start()
    for module, name in ((services, "get_node"), (node, "wait_for_persisted_port")):
        setattr(module, name, patient(getattr(module, name)))
    services.start_raylet = with_ports_told(services.start_raylet)
    cluster = Cluster(initialize_head=True, head_node_args=HEAD | free_ports())
    started.set()
    (folder / "ray-address.tmp").write_text(cluster.address)
    (folder / "ray-address.tmp").rename(folder / "ray-address")
    while lives(owner):
        time.sleep(0.5)
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), psutil.Process(int(sys.argv[2])))
