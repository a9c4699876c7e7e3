"""Python that its parser takes, and that ends whatever walks over it by calls of calls; and what no parser takes."""

from __future__ import annotations

MANY = 600

DEEP = {
    "a sum": "x = " + " + ".join(["1"] * MANY),
    "powers": "x = " + " ** ".join(["2"] * MANY),
    "a path": "x = " + " / ".join(['"data"'] * MANY),
    "attributes": "x = a" + ".b" * MANY,
    "calls": "x = a" + "()" * MANY,
    "lower case": "x = a" + ".lower()" * MANY,
    "entries": "x = a" + "[0]" * MANY,
    "a choice": "if a:\n    pass\n" + "elif b:\n    pass\n" * MANY,
    "choices": "x = " + "a if b else " * MANY + "c",
    "functions": "x = " + "lambda: " * MANY + "c",
    "minus": "x = " + "-" * MANY + "c",
    "a printed sum": "print(" + " + ".join(["'acc: '", "str(x)"] * MANY) + ")",
    "a default": "def f(x=" + "-" * MANY + "1): pass",
    "a budget": "TIME_BUDGET = " + " * ".join(["2"] * MANY),
    "an annotation": "def f(corpus: " + "-" * MANY + "Corpus, x: a" + ".b" * MANY + "): pass",
    "an entry": "x = {'val_bpb': " + "-" * MANY + "c}",
    "a field": "class A:\n    x: float = " + " + ".join(["1"] * MANY),
}
LONG = {  # a number that Python reads and does not write, and what it parses and cannot mean
    "a set of lists": "x = {[1]}",
    "a seed": f"seed = 0x{'f' * 5000}",
    "a budget": f"TIME_BUDGET = 0x{'f' * 400}",
    "a budget in text": f"TIME_BUDGET = '{'9' * 400}'",
    "a key": f"x = {{0x{'f' * 5000}: 1}}",
    "a name": f"import a\ngetattr(a, 0x{'f' * 5000})",
    "a print": f"print('x:', 0x{'f' * 5000})",
}
BROKEN = {
    "3,000 parentheses": "x = " + "(" * 3_000 + "1" + ")" * 3_000,
    "100,000 brackets": "[" * 100_000,
    "100,000 brackets, closed": "x = " + "[" * 100_000 + "]" * 100_000,
    "a sum of 20,000 terms": "x = " + " + ".join(["1"] * 20_000),
    "20,000 nots": "x = " + "not " * 20_000 + "y",
}
