"""Where code depends on the order of a set, which differs from process to process."""

from __future__ import annotations

import ast

from durabletask_worker.nondeterminism.names import Scope

__all__ = ["is_set", "takes_order_of"]

_MAKERS = frozenset({"builtins.set", "builtins.frozenset"})
_TYPES = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet"})
_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_ORDERED = frozenset({f"builtins.{name}" for name in ("list", "tuple", "enumerate", "iter", "zip", "map")})
"""What keeps the order of what it is given."""


def is_set(expression: ast.expr, scope: Scope, depth: int = 0) -> bool:
    """Whether an expression is a set for sure, and one whose order can differ.

    Args:
        expression: The expression.
        scope: Where it stands.
        depth: How many names were followed to get here.

    Returns:
        Whether it is. Sets of numbers are not meant; their order is the same in each process.
    """
    if depth > 10:
        return False

    if isinstance(expression, ast.Set):
        return not all(isinstance(each, ast.Constant) and isinstance(each.value, int) for each in expression.elts)

    if isinstance(expression, ast.SetComp):
        return True

    if isinstance(expression, ast.BinOp):
        is_operator = isinstance(expression.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor)

        return is_operator and (is_set(expression.left, scope, depth + 1) or is_set(expression.right, scope, depth + 1))

    if isinstance(expression, ast.Call):
        function = expression.func

        if isinstance(function, ast.Attribute) and function.attr in _METHODS:
            return is_set(function.value, scope, depth + 1)

        return bool(expression.args) and scope.resolve(function) in _MAKERS

    return isinstance(expression, ast.Name) and _is_set_name(expression.id, scope, depth)


def takes_order_of(node: ast.Call, name: str | None, scope: Scope) -> bool:
    """Whether a call gives what depends on the order of a set.

    Args:
        node: The call.
        name: The full name of what is called, if it is known.
        scope: Where it stands.

    Returns:
        Whether it does.
    """
    function = node.func

    if isinstance(function, ast.Attribute) and function.attr == "pop" and not node.args:
        return is_set(function.value, scope)

    if isinstance(function, ast.Attribute) and function.attr == "join" and isinstance(function.value, ast.Constant):
        return any(is_set(argument, scope) for argument in node.args)

    is_ordered = name in _ORDERED or (name or "").endswith((".when_all", ".when_any"))

    return is_ordered and any(is_set(argument, scope) for argument in node.args)


def _is_set_name(name: str, scope: Scope, depth: int) -> bool:
    home = scope.home_of(name)

    if home is None:
        return False

    annotation = home.annotation_of(name)

    if annotation is not None:
        return _is_set_type(annotation)

    value = home.value_of(name)

    return value is not None and is_set(value, home, depth + 1)


def _is_set_type(annotation: ast.expr) -> bool:
    base = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
    element = annotation.slice if isinstance(annotation, ast.Subscript) else None

    return name in _TYPES and not (isinstance(element, ast.Name) and element.id in ("int", "bool"))
