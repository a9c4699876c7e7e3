"""A patch is offered where it can be applied, and nobody rewrites a file to find out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.researchers.sweep.patch_places import has_code, has_name
from swarm.researchers.sweep.patches import Exchange, Patch
from swarm.researchers.sweep.structures import PATCHES

TEXT = """
class Model:
    def forward(self, x):
        y = F.relu( self.up(x)
                  ).square()  # as upstream
        return (x + y)

def loss(x):
    x = x / 2.0
    return f"{x + 1}", [item ** 2 for item in x if item > 0]
"""


DEEP = "x = a + b\ny = " + " + ".join(["a"] * 600)  # a sum nests as deep as it is long


def test_what_fits_is_what_is_applied(trainer: str, foreign: str) -> None:
    for text in (trainer, foreign):
        fitting = [patch.title for patch in PATCHES if patch.fits(text)]
        assert fitting == [patch.title for patch in PATCHES if patch.apply(text)] and len(fitting) > 2


@pytest.mark.parametrize(
    ("code", "within", "there"),
    [
        ("F.relu(self.up(x)).square()", "", True),
        ("F.relu(self.up(x)).square()", "Model", True),
        ("F.relu(self.up(x)).square()", "loss", False),
        ("F.relu(self.up(x))", "", True),
        ("F.gelu(self.up(x))", "", False),
        ("x + y", "Model", True),
        ("y + x", "Model", False),
        ("x = x / 2.0", "loss", True),
        ("x = x / 2", "loss", False),
        ("x + 1", "loss", True),
        ("item ** 2", "loss", True),
        ("x + y", "nobody", False),
    ],
)
def test_code_is_found_whatever_its_layout(code: str, within: str, there: bool) -> None:
    assert has_code(TEXT, code, within) is there


def test_names_are_those_of_the_top_level() -> None:
    assert has_name(TEXT, "Model") and has_name(TEXT, "loss") and not has_name(TEXT, "forward")


def test_what_is_too_deep_to_be_walked_has_no_places() -> None:
    assert not has_code(DEEP, "a + b", "")


@pytest.mark.parametrize("terms", (100, 300, 350, 400, 450, 600))
def test_deep_code_is_changed_or_left_and_nothing_is_raised(trainer: str, terms: int) -> None:
    """Python walks deeper than what rewrites a file: there is a depth at which only that is too much."""
    text = f"{trainer}\nx = " + " + ".join(["a"] * terms)
    patch = next(patch for patch in PATCHES if patch.fits(trainer))
    changed = patch.apply(text)
    assert changed is not None if terms == 100 else changed is None or patch.fits(text)


@given(st.text() | st.sampled_from(["\ud800", "x = (", "\0", "x = " + "(" * 500, "x = " + "-" * 20_000 + "1", DEEP]))
def test_whatever_the_text_is_it_has_places_or_none(text: str) -> None:
    patch = Patch("t", "c", "w", ((Exchange("a + b", "c"),),))
    if not patch.fits(text):
        assert patch.apply(text) is None
