"""Reads a command line: argparse with our manners. What is wrong is one line with the usage and what was meant."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from swarm.errors import UsageError
from swarm.invoked import program
from swarm.text import one_line, printable

WIDTH = 80  # columns of every help text, whatever the terminal's


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """A help text as wide as any terminal, in which a value that is a number is called one."""

    def __init__(self, prog: str):
        super().__init__(prog, width=WIDTH)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        numbers: Mapping[Any, str] = {int: "N", float: "NUMBER"}
        return numbers.get(action.type) or super()._get_default_metavar_for_optional(action)


class Parser(argparse.ArgumentParser):
    """Raises a UsageError where argparse prints a page and ends the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(_shortened(f"{self.named}{message}; usage: {self.short_usage()}"))

    @property
    def named(self) -> str:
        """The verb, before what is wrong with it; nothing for the program itself."""
        verb = (self.prog or "").removeprefix(program()).strip()
        return f"{verb}: " if verb else ""

    def short_usage(self) -> str:
        """The usage without its flags: `swarm show ID [FLAG ...]`."""
        if self.usage:
            return self.usage
        words = (_placeholder(action) for action in self._actions if not action.option_strings)
        return " ".join([str(self.prog), *words, "[FLAG ...]"])

    def flags(self) -> Iterator[str]:
        """Every long flag that is not hidden, in the order of --help."""
        for action in self._actions:
            if action.help != argparse.SUPPRESS:
                yield from (word for word in action.option_strings if word.startswith("--"))


class VerbParser(Parser):
    """The parser of one verb. A flag that it does not know is its own matter, not the whole program's."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return known, unknown

    def _unknown(self, words: Sequence[str]) -> str:
        flag = next((word for word in words if word.startswith("-") and len(word) > 1), None)
        if flag is None:
            return f"there is nothing to do with {' '.join(words)!r}"
        name = flag.partition("=")[0]
        return f"there is no flag {name}{did_you_mean(name, self.flags())}"


def check_verb(words: Sequence[str], verbs: Iterable[str]) -> None:
    """UsageError where the first word is no verb, with the one that was meant."""
    first = next((word for word in words if not word.startswith("-")), None)
    known = tuple(verbs)
    if first is not None and first not in known:
        meant = did_you_mean(first, known) or f"; there are: {', '.join(known)}"
        raise UsageError(_shortened(f"there is no verb {first!r:.80}{meant}; usage: {program()} VERB [FLAG ...]"))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ ": did you mean --budget?", or nothing where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f": did you mean {near[0]}?" if near else ""


def _placeholder(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest).upper() if not isinstance(action.metavar, tuple) else action.dest.upper()
    return {"+": f"{name} ...", "?": f"[{name}]", "*": f"[{name} ...]"}.get(str(action.nargs), name)


def _shortened(text: str) -> str:
    """One line that stays readable when a word of thousands of characters was typed: its middle gives way."""
    line = one_line(printable(text))
    return line if len(line) <= 700 else f"{line[:400]} ... {line[-250:]}"
