"""progress.png shows the swarm: a picture of a known size that changes with what happened."""

from __future__ import annotations

import warnings

import pytest
from msgspec.structs import replace

from swarm.views.progress_plot import draw_progress
from tests.wording.test_standing import picture


def pixels(snapshot, path):
    from matplotlib.image import imread

    return imread(draw_progress(snapshot, path))


def share_of(image, red, green, blue):
    """The share of pixels near a colour."""
    near = abs(image[..., :3] - [red / 255, green / 255, blue / 255]).max(axis=-1) < 0.06
    return near.mean()


def test_keeps_are_green_discards_grey_crashes_red(make_swarm, tmp_path):
    image = pixels(make_swarm(2, ended=True), tmp_path / "progress.png")
    assert image.shape[:2] == (960, 1800)
    assert share_of(image, 0x2A, 0x9D, 0x5C) > 0.001
    assert share_of(image, 0xB9, 0xBF, 0xC6) > 0.0005
    assert share_of(image, 0xD1, 0x49, 0x5B) > 0.00005


def test_a_swarm_without_a_keep_has_no_green(quiet_swarm, tmp_path):
    image = pixels(quiet_swarm, tmp_path / "progress.png")
    assert share_of(image, 0x2A, 0x9D, 0x5C) == 0
    assert share_of(image, 0xB9, 0xBF, 0xC6) > 0


@pytest.mark.parametrize("case", ["nothing", "no baseline", "higher", "odd titles", "outlier", "no sigma"])
def test_it_draws_whatever_is_known(make_swarm, make_experiment, tmp_path, case):
    snapshot = make_swarm(2, now=3.0)
    changes = {
        "nothing": {"experiments": (), "trunk": (), "baseline": None, "sigma": None, "agents": ()},
        "no baseline": {"baseline": None, "trunk": ()},
        "higher": {"direction": "higher", "metric": "accuracy_$x$_{"},
        "odd titles": {"tag": "a$b", "trunk": tuple(replace(s, title=r"$\frac{ 深い \x1b[2J") for s in snapshot.trunk)},
        "outlier": {"experiments": (*snapshot.experiments, make_experiment(9999, value=1e9, judged=9e9))},
        "no sigma": {"sigma": None, "trunk": tuple(replace(s, low=None, high=None) for s in snapshot.trunk)},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        assert draw_progress(replace(snapshot, **changes[case]), tmp_path / "p.png").stat().st_size > 10_000


def test_an_outlier_does_not_flatten_the_staircase(make_swarm, make_experiment, tmp_path):
    snapshot = make_swarm(2, now=3.0)
    green = share_of(pixels(snapshot, tmp_path / "a.png"), 0x2A, 0x9D, 0x5C)
    wild = replace(snapshot, experiments=(*snapshot.experiments, make_experiment(9999, value=50.0, judged=9e9)))
    assert share_of(pixels(wild, tmp_path / "b.png"), 0x2A, 0x9D, 0x5C) > 0.8 * green


@pytest.fixture
def labels(monkeypatch):
    """What the legends say that are drawn."""
    from matplotlib.axes import Axes

    labels = []
    legend = Axes.legend

    def noted(axes, *arguments, **options):
        labels.extend(axes.get_legend_handles_labels()[1])
        return legend(axes, *arguments, **options)

    monkeypatch.setattr(Axes, "legend", noted)
    return labels


def test_the_band_around_the_steps_is_explained(make_swarm, tmp_path, labels):
    draw_progress(make_swarm(4, ended=True), tmp_path / "progress.png")
    assert "95% interval of a kept state" in labels


def test_it_counts_as_the_report_does(make_night, make_experiment, tmp_path, labels):
    """A step that goes back is no experiment, and one that was ended early crashed not."""
    _, snapshot = picture(make_night, "carry")
    ended = make_experiment(9999, value=None, status="discard", rung="", judged=9e9)
    draw_progress(replace(snapshot, experiments=(*snapshot.experiments, ended)), tmp_path / "progress.png")
    assert len(snapshot.trunk) == 5 and {"keep (3)", "discard (1)"} <= {*labels}
    assert not [label for label in labels if "crash" in label]
