"""Which names a piece of Python binds in any case: there they never mean a built-in."""

from __future__ import annotations

import ast


def bound_by(statement: ast.stmt) -> set[str]:
    """The names that a statement binds whatever happens."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return {name}
    return set()


def bound_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names that never mean a built-in inside: what a function binds anywhere is its own."""
    given = function.args
    arguments = (*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg)))
    elsewhere = {
        name for part in ast.walk(function) if isinstance(part, ast.Global | ast.Nonlocal) for name in part.names
    }
    return {argument.arg for argument in arguments}.union(*map(bound_by, function.body)) - elsewhere
