"""What is wrong on a command line is one line: the verb, its usage, and what was meant."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import cli
from swarm.cli.parsing import WIDTH, VerbParser
from swarm.errors import UsageError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lanch"], "there is no verb 'lanch': did you mean launch?; usage: python -m swarm VERB [FLAG ...]"),
        (["zzzz"], "there is no verb 'zzzz'; there are: init, launch,"),
        ([], "the following arguments are required: VERB; usage: python -m swarm VERB"),
        (["bench", "--budgt", "3"], "bench: there is no flag --budgt: did you mean --budget?; usage: python -m swarm"),
        (["launch", "--max-experimnts=3"], "launch: there is no flag --max-experimnts: did you mean --max-exp"),
        (["show"], "show: the following arguments are required: ID; usage: python -m swarm show ID [FLAG ...]"),
        (["status", "extra"], "status: there is nothing to do with 'extra'"),
        (["confirm", "x", "--seeds", "y"], "confirm: argument --seeds: invalid int value: 'y'"),
        (["stop", "--tag"], "stop: argument --tag: expected one argument"),
        (["show", "x" * 9000, "y" * 9000], "..."),
    ],
)  # fmt: skip
def test_it_is_one_line_with_the_usage_of_its_verb(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    line = printed.err.removesuffix("\n")
    assert not printed.out and said in line and line.startswith("swarm: ") and line.isprintable()
    assert "usage: python -m swarm" in line and len(line) < 900


@given(st.lists(st.text(max_size=20), max_size=4))
def test_no_words_print_a_page_or_end_the_process(words: list[str]) -> None:
    parser = VerbParser(prog="python -m swarm verb", add_help=False)
    parser.add_argument("what")
    parser.add_argument("--flag", type=int)
    try:
        parser.parse_args(words)
    except UsageError as error:
        assert str(error).isprintable()


def test_the_program_is_called_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    for argv0, name in (("/x/bin/swarm", "swarm"), ("/x/swarm/__main__.py", "python -m swarm")):
        monkeypatch.setattr(sys, "argv", [argv0])
        assert cli.main(["show"]) == 2
        assert f"usage: {name} show ID" in capsys.readouterr().err
        (tmp_path / ".git").mkdir(exist_ok=True)  # type: ignore[operator]
        assert cli.main(["status", "-C", str(tmp_path)]) == 2
        assert f"`{name} launch`" in capsys.readouterr().err, "what other rooms say, too"


@pytest.mark.parametrize("verb", [(), *((verb,) for verb in cli.VERBS)], ids=lambda words: " ".join(words) or "swarm")
def test_a_help_text_fits_any_terminal(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        cli.main([*verb, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0 and max(map(len, lines)) <= WIDTH
    ends = min(lines.index(heading) for heading in ("positional arguments:", "options:") if heading in lines)
    description = lines[lines.index("") + 1 : ends]
    assert description and not any(line.startswith(" ") for line in description), "paragraphs are not indented"
    flags = [line.split() for line in lines if line.lstrip().startswith("--")]
    named = [words[1] for words in flags if len(words) > 1 and words[1].isupper()]
    assert not [name for name in named if "_" in name], "a value has a short name, not its variable's"
