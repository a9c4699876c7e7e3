"""The made-up swarms of the views."""

from __future__ import annotations

from tests.views.conftest import draw, make_experiment, make_swarm, quiet_swarm  # noqa: F401
