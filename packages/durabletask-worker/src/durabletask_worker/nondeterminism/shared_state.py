"""Where code changes what belongs to its module, and so to all orchestrations of the process."""

from __future__ import annotations

import ast

from durabletask_worker.nondeterminism.names import Scope

__all__ = ["is_shared_change", "is_shared_store"]

_METHODS = frozenset(
    {"append", "appendleft", "extend", "insert", "add", "update", "setdefault", "pop", "popleft", "popitem"}
    | {"clear", "remove", "discard", "sort", "reverse"}
)
"""What changes a container."""
_CONTAINERS = frozenset(
    {f"builtins.{name}" for name in ("list", "dict", "set", "bytearray")}
    | {f"collections.{name}" for name in ("defaultdict", "deque", "Counter", "OrderedDict")}
)


def is_shared_store(node: ast.Attribute | ast.Subscript, scope: Scope) -> bool:
    """Whether storing or deleting something there changes what belongs to the module, or to another one.

    Args:
        node: The target.
        scope: Where it stands.

    Returns:
        Whether it does.
    """
    base: ast.expr = node.value

    while isinstance(base, ast.Attribute | ast.Subscript):
        base = base.value

    home = _module_scope(base, scope)

    # `Class.count = 1` and `settings.debug = True` are stores, too, but the items of a class are no one's business here.
    return home is not None and (isinstance(node, ast.Attribute) or home.is_variable(ast.unparse(base)))


def is_shared_change(node: ast.Call, scope: Scope) -> bool:
    """Whether a call changes a container that belongs to the module, as in `seen.append(item)`.

    Args:
        node: The call.
        scope: Where it stands.

    Returns:
        Whether it does for sure.
    """
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _METHODS:
        return False

    base = node.func.value
    home = _module_scope(base, scope)
    value = home.value_of(base.id) if home is not None and isinstance(base, ast.Name) else None

    if home is not None and isinstance(value, ast.Call):
        return home.resolve(value.func) in _CONTAINERS

    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _module_scope(base: ast.expr, scope: Scope) -> Scope | None:
    """The module's scope, if that is where a name belongs."""
    home = scope.home_of(base.id) if isinstance(base, ast.Name) else None

    return home if home is not None and home.parent is None else None
