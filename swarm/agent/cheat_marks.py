"""Reads the syntax of a file for what could falsify a result: each use of it, as a mark that can be compared."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
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
from swarm.foreign_python import parse, unparsed, written


@dataclass(frozen=True, slots=True)
class Mark:
    """One finding: the check it belongs to, and what it is, in words."""

    check: str
    what: str


@functools.lru_cache(maxsize=64)  # of one parent there are many edits
def marks(code: bytes) -> tuple[tuple[Mark, int], ...]:
    """What is found in a Python file, each with its line. Raises one of UNREADABLE where it does not parse."""
    finder = _Finder()
    finder.walk(parse(code))
    return tuple(finder.found)


class _Finder:
    """Collects marks and their lines. A method for a kind of node marks it, and gives the nodes to be looked at next.
    These wait in a list and not in calls of calls: nothing that parses is too deep for it."""

    def __init__(self) -> None:
        self.found: list[tuple[Mark, int]] = []
        self._in_literal = False
        self._modules: dict[str, str] = {}  # names that stand for something imported, and whose it is: torch, prepare
        self._corpora = {"corpus"}  # names that stand for a corpus
        self._rebound: list[set[str]] = [set()]  # names of built-ins that are something else here, from the outside in
        self._called: set[ast.expr] = set()  # what is looked at as a call already
        self._printed: set[ast.expr] = set()  # what is only printed

    def walk(self, tree: ast.AST) -> None:
        """Looks at every node, each with all that is in it before the next one beside it."""
        waiting = [self._look(tree)]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
            else:
                waiting.append(self._look(node))

    def _look(self, node: ast.AST) -> Iterator[ast.AST]:
        look = getattr(self, f"visit_{type(node).__name__}", self._inside)
        return look(node) or iter(())

    def _inside(self, node: ast.AST) -> Iterator[ast.AST]:
        outermost = isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict) and not self._in_literal
        if outermost:
            self._in_literal = True
            self._weigh(node)
        yield from ast.iter_child_nodes(node)
        if outermost:
            self._in_literal = False

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

    def visit_Attribute(self, node: ast.Attribute) -> Iterator[ast.AST]:
        if isinstance(node.ctx, ast.Load):
            if check := ATTRIBUTES.get(node.attr):
                self._mark(node, check, f"uses .{node.attr}")
            if node.attr in NEEDED and node not in self._printed:
                self._mark(node, "keeps", node.attr)
            if node.attr == "modules" and isinstance(node.value, ast.Name) and node.value.id == "sys":
                self._mark(node, "process", "uses sys.modules")
            if node.attr in FILES and self._modules.get(_root(node), KERNELS) != KERNELS:
                self._mark(node, "files", f"uses {unparsed(node)}")
            self._reached(node)
        else:
            self._stored(node)
        return self._inside(node)

    def _reached(self, node: ast.Attribute) -> None:
        """What is named and not called, to be called by another name; and what its owner keeps to itself."""
        root, text = _root(node), unparsed(node)
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

    def visit_arg(self, node: ast.arg) -> Iterator[ast.AST]:
        named = (word for part in ast.walk(node.annotation or node) for _, word in ast.iter_fields(part))
        if node.annotation and any(isinstance(word, str) and "Corpus" in word for word in named):
            self._corpora.add(node.arg)
        return self._inside(node)

    def _stored(self, node: ast.Attribute) -> None:
        text = unparsed(node)
        if _root(node) in self._modules and not text.startswith(SWITCHES):
            self._mark(node, "patch", f"changes {text}, which other code uses")
        elif node.attr in CLOCK:
            self._mark(node, "clock", f"sets {text}")

    def visit_Assign(self, node: ast.Assign) -> Iterator[ast.AST]:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:  # another name for something imported
            self._modules |= dict.fromkeys(names, self._modules[node.value.id])
        loaded = isinstance(node.value, ast.Call) and _last(node.value.func).endswith("load_corpus")
        if loaded or (isinstance(node.value, ast.Name) and node.value.id in self._corpora):
            self._corpora.update(names)
        return self._inside(node)

    def visit_Call(self, node: ast.Call) -> Iterator[ast.AST]:
        called = node.func
        self._called.add(called)
        name = _last(called)
        if (check := CALLED.get(name)) and not self._is_own(called) and unparsed(called) not in HARMLESS_CALLS:
            self._mark(node, check, f"calls {name}()")
        if name in PRINTERS:
            self._note_printed(*node.args)
        if isinstance(called, ast.Name):
            if called.id in ("setattr", "delattr", "vars") and node.args and _root(node.args[0]) in self._modules:
                self._mark(node, "patch", f"calls {called.id} on {unparsed(node.args[0])}")
            if called.id == "getattr" and len(node.args) > 1 and _root(node.args[0]) in self._modules:
                name = node.args[1]
                if not isinstance(name, ast.Constant) or name.value in ATTRIBUTES:
                    self._mark(node, "patch", f"calls getattr on {unparsed(node.args[0])}")
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            self._whole(argument)
        for keyword in node.keywords:
            if keyword.arg in WHOLE:
                self._mark(node, WHOLE[keyword.arg], f"sets {keyword.arg} to {unparsed(keyword.value)[:40]}")
        return self._inside(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Iterator[ast.AST]:
        self._note_printed(node)
        return self._inside(node)

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
                self._mark(part, WHOLE[part.attr], f"makes {unparsed(argument)[:60]} of the {part.attr}")

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

    def visit_Dict(self, node: ast.Dict) -> Iterator[ast.AST]:
        for key, value in zip(node.keys, node.values, strict=True):
            name = key.value if isinstance(key, ast.Constant) else None
            if isinstance(name, str) and (check := REPORTED.get(name)):
                self._mark(value, check, f"reports {unparsed(value)[:40]} as {name}")
        return self._inside(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
        yield from (*node.decorator_list, node.args, *filter(None, [node.returns]))  # where it is defined
        self._rebound.append(bound_in(node))
        yield from self._body(node)
        self._rebound.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> Iterator[ast.AST]:
        yield from (*node.decorator_list, *node.bases, *node.keywords)
        yield from self._body(node)

    def visit_Module(self, node: ast.Module) -> Iterator[ast.AST]:
        return self._body(node)

    def _body(self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
        for child in node.body:
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # prose
            yield child
            if isinstance(node, ast.Module):  # only from here on, and only what is bound in any case
                self._rebound[-1] |= bound_by(child)

    def _weigh(self, node: ast.AST) -> None:
        size = sum(len(written(part.value)) for part in ast.walk(node) if isinstance(part, ast.Constant))
        if size > BLOB:
            self._mark(node, "blob", f"holds {size} characters of data")


def _root(node: ast.expr) -> str:
    """`torch` of `torch.nn.functional.relu`."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last(node: ast.expr) -> str:
    """`relu` of `torch.nn.functional.relu`."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
