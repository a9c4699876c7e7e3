"""The leaderboard fits every terminal, tells the truth, and lets no foreign text near the terminal's controls."""

from __future__ import annotations

import functools
import io
import os
import pty
import re
import signal
import subprocess
import sys

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from swarm.records import Outcome
from swarm.views.leaderboard import OWNER, export_svg, render, watch
from swarm.views.tables import experiments_table

HOSTILE = "[bold red]x[/] [link=http://a]\x1b[2J\x1b]0;owned\x07\r\nnew\tline \u202e 深い学習"


def lines_of(drawn: str) -> list[str]:
    return drawn.rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24), (100, 30), (120, 40), (200, 50), (40, 12), (80, 8)])
@pytest.mark.parametrize("agents", [0, 1, 2, 8, 64])
def test_it_fits_any_terminal(make_swarm, draw, agents, width, height):
    drawn = lines_of(draw(render(make_swarm(agents, now=3.0), width, height), width, height))
    assert len(drawn) <= height
    assert max(map(cell_len, drawn)) <= width


@pytest.mark.parametrize("agents", [2, 8])
def test_the_small_terminal_shows_all_that_matters(make_swarm, draw, agents):
    snapshot = make_swarm(agents, now=6.2)
    drawn = draw(render(snapshot, 80, 24))
    shown = ["apr5", "6:12:00 elapsed", "1:48:00 left", "from baseline 0.9979", "sigma 0.0009", "of $20", "running"]
    shown += [agent.agent for agent in snapshot.agents] + ["champion", "keep", "discard", "crash", "program.md", OWNER]
    shown += ["apr5", "vs baseline", "vs parent", "95% interval", "lower val_bpb is better", "rung"]
    assert [word for word in shown if word not in drawn] == []
    assert "…" not in lines_of(drawn)[-1]


def test_more_agents_than_rows_are_counted_with_their_states(make_swarm, draw):
    drawn = draw(render(make_swarm(64, now=3.0), 80, 24))
    shown = len(re.findall(r"^gpu\d+ +. ", drawn, re.M))
    assert shown >= 8
    assert f"+{64 - shown} more: " in drawn
    assert len(re.findall(r"^gpu\d+-\d{4}", drawn, re.M)) == 3


def test_wide_terminals_show_more(make_swarm, draw):
    narrow, wide = (draw(render(make_swarm(4, now=3.0), width, 50), width, 50) for width in (80, 200))
    for heading in ("branch", "power", "memory", "researcher", "purpose", "commit", "category", "why"):
        assert heading in wide
        assert heading not in narrow
    assert "autoresearch/apr5-gpu0" in wide


def test_a_mix_shows_who_thinks_for_each_agent(make_swarm, draw):
    snapshot = make_swarm(4, now=3.0)
    first, *others = snapshot.agents
    mixed = replace(snapshot, agents=(replace(first, researcher="claude-code"), *others))
    assert "claude-code" not in draw(render(snapshot, 100, 24), 100)
    assert "claude-code" in draw(render(mixed, 100, 24), 100)


def test_changes_read_as_the_metric_moves(make_swarm, draw):
    lower = make_swarm(2, now=6.2)
    newest = lower.trunk[-1]
    assert f"−{newest.gain:.4f} ± 0.0014" in draw(render(lower, 80, 24))
    higher = replace(lower, direction="higher", metric="accuracy")
    drawn = draw(render(higher, 80, 24))
    assert f"+{newest.gain:.4f} ± 0.0014" in drawn
    assert "higher accuracy is better" in drawn


def test_the_unknown_is_a_dash_and_never_zero(make_swarm, draw):
    snapshot = make_swarm(1, now=0.05)
    drawn = draw(render(replace(snapshot, train_share=None, deadline=None), 80, 24))
    assert "the baseline is being measured" in drawn
    assert "sigma –" in drawn
    assert not re.search(r"0\.0000|nan|None", drawn)
    unmeasured = replace(snapshot.agents[0], gpu_load=None, gpu_memory_gb=None, gpu_watts=None)
    drawn = draw(render(replace(snapshot, agents=(unmeasured,)), 200, 24), 200)
    assert "load" not in drawn
    assert "power" not in drawn


def test_unaudited_numbers_carry_a_star_that_is_explained(make_swarm, draw, make_experiment):
    audited, foreign = make_experiment(1), make_experiment(2, audited=False, value=0.9911)
    snapshot = make_swarm(1, now=1.0)
    drawn = draw(render(replace(snapshot, experiments=(audited, foreign)), 80, 24))
    assert "0.9911*" in drawn
    assert "0.9985 " in drawn
    assert "* unaudited" in drawn
    assert "unaudited" not in draw(render(replace(snapshot, experiments=(audited,)), 80, 24))
    both = make_experiment(3, audited=False, sandboxed=False, value=0.9922)
    drawn = draw(render(replace(snapshot, experiments=(audited, both)), 80, 24))
    assert "0.9922*°" in drawn and "* unaudited, ° no sandbox" in drawn


def test_foreign_text_is_only_text(make_swarm, draw, make_experiment):
    snapshot = make_swarm(2, now=1.0)
    snapshot = replace(
        snapshot, tag="apr5", folder=HOSTILE, warnings=(HOSTILE,), agents=tuple(
            replace(a, title=HOSTILE, note=HOSTILE, standin=HOSTILE)
            for a in snapshot.agents
        ), experiments=(make_experiment(1, title=HOSTILE, reason=HOSTILE, category=HOSTILE),),
    )  # fmt: skip
    for width in (80, 200):
        drawn = draw(render(snapshot, width, 24), width, force_terminal=False)
        assert "[bold red]x[/]" in drawn
        assert "\x1b" not in drawn
        assert "owned" not in drawn
        assert "\u202e" not in drawn
        assert max(map(cell_len, lines_of(drawn))) <= width
        assert len(lines_of(drawn)) <= 24


def test_who_thinks_in_a_researchers_place_is_told(make_swarm, draw):
    snapshot = make_swarm(4, now=0.5)
    first, *others = snapshot.agents
    alone = replace(first, standin="the API is overloaded")
    drawn = draw(render(replace(snapshot, warnings=(), agents=(alone, *others)), 100, 30), 100, 30)
    assert f"! the sweep thinks for {first.agent}: the API is overloaded" in drawn
    away = tuple(replace(agent, standin="the money limit is reached") for agent in snapshot.agents)
    drawn = draw(render(replace(snapshot, warnings=(), agents=away), 100, 30), 100, 30)
    assert "! the sweep thinks everywhere: the money limit is reached" in drawn


def test_what_an_agent_spent_has_a_column_where_anything_was_spent(make_swarm, draw):
    snapshot = make_swarm(2, now=0.5)
    assert "spent" not in draw(render(snapshot, 200, 30), 200, 30)
    paid = tuple(replace(agent, usd=1.25) for agent in snapshot.agents)
    assert "$1.25" in draw(render(replace(snapshot, agents=paid), 200, 30), 200, 30)


def test_no_color_gives_no_escape_codes(make_swarm, draw):
    settings = {"color_system": "truecolor", "_environ": {"NO_COLOR": "1"}}
    assert "\x1b" not in draw(render(make_swarm(8, now=3.0), 80, 24), **settings)
    assert "\x1b[" in draw(render(make_swarm(8, now=3.0), 80, 24), color_system="truecolor")


def test_ascii_terminals_get_ascii_in_the_same_places(make_swarm, draw, make_experiment):
    snapshot = make_swarm(8, now=6.0)
    snapshot = replace(snapshot, experiments=(*snapshot.experiments, make_experiment(1, title="深い学習", judged=9e9)))
    plain = lines_of(draw(render(snapshot, 80, 24), encoding="ascii"))
    rich = lines_of(draw(render(snapshot, 80, 24)))
    assert [cell_len(line) for line in plain] == [cell_len(line) for line in rich]
    assert "-0.0014" in "".join(plain) or "+-0.0014" in "".join(plain)


def test_a_run_that_is_late_is_said_to_be_late_and_not_up_to_nothing(make_swarm, draw):
    snapshot = replace(make_swarm(2, now=6.0), status="draining")
    late = replace(snapshot, now=max(run.started for run in snapshot.runs) + snapshot.usual_seconds + 22)
    drawn = draw(render(late, 80, 24))
    assert "to finish, 0:22 later than usual" in drawn and "0:00 ·" not in drawn
    written = replace(snapshot, runs=tuple(run for run in snapshot.runs if run.state != "running"))
    assert "draining: the last results are written down" in draw(render(written, 80, 24))


def test_draining_tells_what_is_left(make_swarm, draw):
    drawn = draw(render(replace(make_swarm(8, now=6.0), status="draining"), 80, 24))
    assert re.search(r"draining: \d runs to finish, about \d:\d\d · Ctrl-C again stops now", drawn)
    ended = draw(render(make_swarm(8, ended=True), 80, 24))
    assert "python -m swarm report --tag apr5" in ended
    assert "took 8:00:00" in ended
    left = draw(render(replace(make_swarm(8, now=6.0), status="interrupted"), 80, 24))
    assert "python -m swarm resume --tag apr5" in left


def test_watch_draws_on_a_terminal_until_the_swarm_ends(make_swarm):
    snapshots = [make_swarm(2, now=1.0), make_swarm(2, now=2.0), make_swarm(2, now=3.0, ended=True)]
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system=None, _environ={})
    last = watch(iter(snapshots).__next__, console, refresh=100.0)
    assert last is snapshots[-1]
    frames, final = file.getvalue().split("\x1b[?1049l")
    assert "1:00:00 elapsed" in frames
    assert "2:00:00 elapsed" in frames
    assert "took 3:00:00" in final


def test_watch_restores_the_terminal_when_interrupted(make_swarm):
    def read():
        if file.tell():
            raise KeyboardInterrupt
        return make_swarm(2, now=1.0)

    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system=None, _environ={})
    with pytest.raises(KeyboardInterrupt):
        watch(read, console, refresh=100.0)
    assert file.getvalue().count("\x1b[?1049h") == file.getvalue().count("\x1b[?1049l") == 1
    assert "\x1b[?25h" in file.getvalue()


def test_watch_writes_lines_into_a_pipe(make_swarm, draw):
    snapshots = iter([make_swarm(2, now=1.0), make_swarm(2, now=2.0, ended=True)])
    file = io.StringIO()
    last = watch(snapshots.__next__, Console(file=file, width=40))
    assert len(lines_of(file.getvalue())) == len(last.events)
    assert "\x1b" not in file.getvalue()


def test_the_demo_runs_on_a_real_terminal():
    """A real pseudo-terminal of 80x24: the screen is entered, drawn, and left again on Ctrl-C."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    listens = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a test run in the background does not
    demo = subprocess.Popen(
        [sys.executable, "-m", "swarm.lab.demo"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        preexec_fn=listens,
    )
    os.close(slave)
    seen = b""
    while b"Ctrl-C ends this demo" not in seen:
        seen += os.read(master, 4096)
    demo.send_signal(signal.SIGINT)
    seen += b"".join(iter(lambda: read_to_end(master), b""))
    os.close(master)
    assert demo.wait(10) == 0
    assert seen.count(b"\x1b[?1049h") == seen.count(b"\x1b[?1049l") == 1


def read_to_end(master: int) -> bytes:
    """The next piece of output; nothing once the other side is closed, which Linux tells by an error."""
    try:
        return os.read(master, 4096)
    except OSError:
        return b""


def test_the_picture_is_an_svg_of_the_real_thing(make_swarm, tmp_path):
    path = export_svg(make_swarm(8, now=6.0), tmp_path / "board.svg")
    picture = path.read_text()
    assert picture.lstrip().startswith("<svg")
    assert "gpu7" in picture
    assert "champion" in picture


def test_a_near_miss_and_what_is_held_are_called_so_on_the_board(make_swarm, make_experiment, draw):
    views = (
        make_experiment(1, outcome=Outcome.NEAR_MISS, gain=0.0004, low=-0.001, high=0.0018, n=5),
        make_experiment(2, outcome=Outcome.HELD, gain=0.4, low=0.39, high=0.41),
        make_experiment(3),
    )
    drawn = draw(experiments_table(make_swarm(2, now=0.2), views, 160), 160, 30)
    rungs = {number: line for line in drawn.splitlines() for number in "123" if f"gpu0-000{number}" in line}
    assert "near miss" in rungs["1"] and " held " in rungs["2"] and " seen " in rungs["3"]
