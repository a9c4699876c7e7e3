"""Finds code in an edit that could falsify its result: imports, file access, the clock, the seed, patches, prints.

What is found is compared with what the file held before the edit, and only what is new counts: what a project's own
file does is its owner's business. Reading the syntax finds what is not hidden, before a GPU is spent on it; code that
hides what it does is stopped by the referee and the sandbox.
"""

from __future__ import annotations

import ast
import functools
from collections import Counter
from dataclasses import dataclass

from swarm.agent.bindings import bound_by, bound_in
from swarm.agent.cheat_names import (
    ATTRIBUTES,
    BLOB,
    BUILT_IN,
    CALLED,
    CLOCK,
    FILES,
    HARMLESS_CALLS,
    KERNELS,
    METHODS,
    MODULES,
    NAMESAKES,
    NEEDED,
    PRINTERS,
    PRIVATE,
    REPORTED,
    SWITCHES,
    WHOLE,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One finding: the check it belongs to, and what it is, in words."""

    check: str
    what: str


def new_fault(before: bytes, after: bytes) -> str:
    """The first thing in `after` that an edit of `before` may not bring or take away, as `check: what (line n)`; "" if
    there is none. Both parse as Python."""
    found = sorted(_marks(after), key=lambda pair: pair[1])
    left = Counter(mark for mark, _ in _marks(before))
    there = frozenset(left)
    for mark, line in found:
        left[mark] -= 1
        known = mark.check == "dependency" and mark in there  # what is there may be used more
        if left[mark] < 0 and not known and mark.check != "keeps":
            return f"{mark.check}: {mark.what} (line {line})"
    for mark, missing in left.items():
        if mark.check == "keeps" and missing > 0:
            return f"{NEEDED[mark.what]}: .{mark.what} is no longer used as it was"
    return ""


@functools.lru_cache(maxsize=64)  # of one parent there are many edits
def _marks(code: bytes) -> tuple[tuple[Mark, int], ...]:
    finder = _Finder()
    finder.visit(ast.parse(code))
    return tuple(finder.found)


class _Finder(ast.NodeVisitor):
    """Collects marks and their lines."""

    def __init__(self) -> None:
        self.found: list[tuple[Mark, int]] = []
        self._in_literal = False
        self._modules: dict[str, str] = {}  # names that stand for something imported, and whose it is: torch, prepare
        self._corpora = {"corpus"}  # names that stand for a corpus
        self._rebound: list[set[str]] = [set()]  # names of built-ins that are something else here, from the outside in
        self._called: set[ast.expr] = set()  # what is looked at as a call already
        self._printed: set[ast.expr] = set()  # what is only printed

    def _mark(self, node: ast.AST, check: str, what: str) -> None:
        self.found.append((Mark(check, what), getattr(node, "lineno", 0)))

    # -- what comes in

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            self._brought((name.asname or name.name).split(".")[0], name.name)
            self._imported(node, name.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for name in node.names:
            self._brought(name.asname or name.name, "." * node.level + (node.module or ""))
            self._imported(node, f"{node.module or '.'}.{name.name}")
            if name.name in FILES and (node.module or "").split(".")[0] != KERNELS:
                self._mark(node, "files", f"imports {name.name}")
            if check := ATTRIBUTES.get(name.name) or CALLED.get(name.name):
                self._mark(node, check, f"imports {name.name}")

    def _brought(self, name: str, module: str) -> None:
        self._modules[name] = module.split(".")[0]

    def _imported(self, node: ast.AST, name: str) -> None:
        root = name.split(".")[0]
        check = MODULES.get(root, "dependency")
        if check != "harmless":
            self._mark(node, check, f"imports {root}")
        for part in name.split(".")[1:-1]:
            if check := ATTRIBUTES.get(part):
                self._mark(node, check, f"imports {name}")

    # -- what is used

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            if check := ATTRIBUTES.get(node.attr):
                self._mark(node, check, f"uses .{node.attr}")
            if node.attr in NEEDED and node not in self._printed:
                self._mark(node, "keeps", node.attr)
            if node.attr == "modules" and isinstance(node.value, ast.Name) and node.value.id == "sys":
                self._mark(node, "process", "uses sys.modules")
            if node.attr in FILES and self._modules.get(_root(node), KERNELS) != KERNELS:
                self._mark(node, "files", f"uses {ast.unparse(node)}")
            self._reached(node)
        else:
            self._stored(node)
        self.generic_visit(node)

    def _reached(self, node: ast.Attribute) -> None:
        """What is named and not called, to be called by another name; and what its owner keeps to itself."""
        root, text = _root(node), ast.unparse(node)
        if root in ("self", "cls"):
            return
        module = node.attr.lstrip("_")
        if root in self._modules and MODULES.get(module) == "process" and text not in NAMESAKES:
            self._mark(node, "process", f"reaches {module} by way of {text}")
        check = CALLED.get(node.attr, "")
        borrowed = root in self._modules and text not in HARMLESS_CALLS
        if check and node not in self._called and (borrowed or (check == "data" and self._of_corpus(node.value))):
            self._mark(node, check, f"takes {text}")
        private = node.attr.startswith("_") and not node.attr.startswith("__")
        fixed = root in self._modules and self._modules[root] not in MODULES
        if node.attr in PRIVATE or (private and fixed):
            self._mark(node, "patch", f"reaches into {text}")

    def _of_corpus(self, owner: ast.expr) -> bool:
        names = (getattr(part, "id", getattr(part, "attr", "")) for part in ast.walk(owner))
        return any(name in self._corpora or name == "load_corpus" for name in names)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Del):
            for names in self._rebound:
                names.discard(node.id)
        elif self._is_built_in(node) and isinstance(node.ctx, ast.Load) and node not in self._called:
            self._mark(node, CALLED[node.id], f"takes {node.id}")
        elif node.id in ("__builtins__", "__loader__"):
            self._mark(node, "patch", f"uses {node.id}")
        elif node.id in ("__file__", "__spec__", "__path__", "__cached__"):
            self._mark(node, "library", f"uses {node.id}")

    def _is_own(self, called: ast.expr) -> bool:
        """Whether a call by the name of a built-in calls the file's own function, or a method, as in model.eval()."""
        if isinstance(called, ast.Attribute):
            return called.attr in METHODS and _root(called) not in self._modules
        return isinstance(called, ast.Name) and called.id in BUILT_IN and not self._is_built_in(called)

    def _is_built_in(self, node: ast.Name) -> bool:
        return node.id in BUILT_IN and not any(node.id in names for names in self._rebound)

    def visit_arg(self, node: ast.arg) -> None:
        if node.annotation and "Corpus" in ast.unparse(node.annotation):
            self._corpora.add(node.arg)
        self.generic_visit(node)

    def _stored(self, node: ast.Attribute) -> None:
        text = ast.unparse(node)
        if _root(node) in self._modules and not text.startswith(SWITCHES):
            self._mark(node, "patch", f"changes {text}, which other code uses")
        elif node.attr in CLOCK:
            self._mark(node, "clock", f"sets {text}")

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:  # another name for something imported
            self._modules |= dict.fromkeys(names, self._modules[node.value.id])
        loaded = isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith("load_corpus")
        if loaded or (isinstance(node.value, ast.Name) and node.value.id in self._corpora):
            self._corpora.update(names)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        self._called.add(called)
        name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
        if (check := CALLED.get(name)) and not self._is_own(called) and ast.unparse(called) not in HARMLESS_CALLS:
            self._mark(node, check, f"calls {name}()")
        if name in PRINTERS:
            self._note_printed(*node.args)
        if isinstance(called, ast.Name):
            if called.id in ("setattr", "delattr", "vars") and node.args and _root(node.args[0]) in self._modules:
                self._mark(node, "patch", f"calls {called.id} on {ast.unparse(node.args[0])}")
            if called.id == "getattr" and len(node.args) > 1 and _root(node.args[0]) in self._modules:
                name = node.args[1]
                if not isinstance(name, ast.Constant) or str(name.value) in ATTRIBUTES:
                    self._mark(node, "patch", f"calls getattr on {ast.unparse(node.args[0])}")
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            self._whole(argument)
        for keyword in node.keywords:
            if keyword.arg in WHOLE:
                self._mark(node, WHOLE[keyword.arg], f"sets {keyword.arg} to {ast.unparse(keyword.value)[:40]}")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._note_printed(node)
        self.generic_visit(node)

    def _note_printed(self, *printed: ast.expr) -> None:
        """The seed may be printed or not: that is no use of it."""
        parts = (part for expression in printed for part in ast.walk(expression))
        self._printed.update(part for part in parts if isinstance(part, ast.Attribute) and part.attr == "seed")

    def _whole(self, argument: ast.expr) -> None:
        """The seed and the budget are passed on as they are, not made into others."""
        if isinstance(argument, ast.Call):
            return
        for part in ast.walk(argument):
            if isinstance(part, ast.Attribute) and part.attr in WHOLE and part is not argument:
                self._mark(part, WHOLE[part.attr], f"makes {ast.unparse(argument)[:60]} of the {part.attr}")

    # -- what is written down

    def visit_Constant(self, node: ast.Constant) -> None:
        if not self._in_literal:
            self._weigh(node)
        if not isinstance(node.value, str):
            return
        text = node.value
        if text in ("val", "test") or text.endswith((".bin", ".idx", ".parquet")):
            self._mark(node, "data", f"names {text!r}")
        elif "val_bpb" in text or text.startswith("---"):
            self._mark(node, "summary", f"writes {text.strip()[:20]!r}")
        elif text.startswith(("/", "~/", "../")) and len(text) > 2:
            self._mark(node, "files", f"names {text[:40]!r}")

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and (check := REPORTED.get(str(key.value))):
                self._mark(value, check, f"reports {ast.unparse(value)[:40]} as {key.value}")
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in (*node.decorator_list, node.args, *filter(None, [node.returns])):  # where it is defined
            self.visit(outside)
        self._rebound.append(bound_in(node))
        self._visit_body(node)
        self._rebound.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outside)
        self._visit_body(node)

    def visit_Module(self, node: ast.Module) -> None:
        self._visit_body(node)

    def _visit_body(self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for child in node.body:
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # prose
            self.visit(child)
            if isinstance(node, ast.Module):  # only from here on, and only what is bound in any case
                self._rebound[-1] |= bound_by(child)

    def generic_visit(self, node: ast.AST) -> None:
        outermost = isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict) and not self._in_literal
        if outermost:
            self._in_literal = True
            self._weigh(node)
        super().generic_visit(node)
        if outermost:
            self._in_literal = False

    def _weigh(self, node: ast.AST) -> None:
        size = sum(len(repr(part.value)) for part in ast.walk(node) if isinstance(part, ast.Constant))
        if size > BLOB:
            self._mark(node, "blob", f"holds {size} characters of data")


def _root(node: ast.expr) -> str:
    """`torch` of `torch.nn.functional.relu`."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
