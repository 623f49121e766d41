"""From a name in source code to the full name of what it stands for, without running anything."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["CONTEXT", "FunctionNode", "Scope", "is_context", "parameters_of"]

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
"""What has parameters and a body."""

CONTEXT = "durabletask_worker.OrchestrationContext"
"""The full name of the context, and of every parameter that is one."""

_LOGGER = "logging.getLogger"

_BUILTINS = frozenset(dir(builtins))
_DEEPEST = 20
"""How many aliases of aliases are followed."""


class Scope(ast.NodeVisitor):
    """The names of one module, or of one function in it.

    Args:
        node: The module or function.
        qualified: Its full name.
        parent: The scope around it, that of a class left out; None for a module.
        package: The package that relative imports start from.
        owner: For a method, its class's full name; its first parameter stands for it.
    """

    def __init__(
        self,
        node: ast.Module | FunctionNode,
        qualified: str,
        parent: Scope | None = None,
        *,
        package: str = "",
        owner: str | None = None,
    ) -> None:
        self.qualified = qualified
        self.parent = parent
        self.package: str = parent.package if parent is not None else package
        self.definitions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef] = {}
        self.imports: dict[str, str] = {}
        self.globals: set[str] = set()
        self.known: dict[str, str] = {}
        """Names of parameters that stand for something with a full name."""
        self.stores: Counter[str] = Counter()
        """How often each name is assigned."""
        self.nonlocals: set[str] = set()
        self._values: dict[str, ast.expr] = {}
        self._annotations: dict[str, ast.expr] = {}

        if not isinstance(node, ast.Module):
            self._add_parameters(node, owner)

        for statement in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(statement)

    @property
    def module(self) -> Scope:
        """The outermost scope."""
        return self if self.parent is None else self.parent.module

    def home_of(self, name: str) -> Scope | None:
        """The scope that a name belongs to; None for a builtin or unknown one."""
        scope: Scope | None = self

        while scope is not None:
            if name in scope.globals:
                return scope.module

            if name not in scope.nonlocals and (
                name in scope.stores or name in scope.imports or name in scope.definitions
            ):
                return scope

            scope = scope.parent

        return None

    def value_of(self, name: str) -> ast.expr | None:
        """What a name of this scope is assigned, if that happens once."""
        return self._values.get(name) if self.stores[name] == 1 else None

    def annotation_of(self, name: str) -> ast.expr | None:
        """The annotation of a name of this scope."""
        return self._annotations.get(name)

    def class_of(self, name: str, depth: int = 0) -> str | None:
        """The full name of the class that the annotation of a name of this scope says, if it says one."""
        annotation = self._annotations.get(name)

        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = _parsed(annotation.value)

        # Parameters are annotated with names of the scope around.
        return None if annotation is None else _as_class((self.parent or self).resolve(annotation, depth + 1))

    def is_variable(self, name: str) -> bool:
        """Whether a name of this scope is assigned something, and is no import or definition."""
        return name in self.stores and name not in self.imports and name not in self.definitions

    def resolve(self, expression: ast.expr, depth: int = 0) -> str | None:
        """Find the full name of what an expression stands for.

        Args:
            expression: A name, attributes of one, or what makes a well-known object.
            depth: How many names were followed to get here.

        Returns:
            The full name, as in `datetime.datetime.now`; None if it is not known.
        """
        if depth > _DEEPEST:
            return None

        if isinstance(expression, ast.Name):
            return self._resolve_name(expression.id, depth)

        if isinstance(expression, ast.Attribute):
            base = self.resolve(expression.value, depth + 1)

            return None if base is None else f"{base}.{expression.attr}"

        if isinstance(expression, ast.Call):
            made = self.resolve(expression.func, depth + 1)

            return f"{_LOGGER}()" if made == _LOGGER else _as_class(made)

        if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Div):
            left = self.resolve(expression.left, depth + 1)

            return left if left == "pathlib.Path" else None

        return None

    def visit_Import(self, node: ast.Import) -> None:  # noqa: D102 - of NodeVisitor
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self.imports[alias.asname or top] = alias.name if alias.asname else top

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: D102 - of NodeVisitor
        source = self._absolute(node)

        for alias in node.names:
            self.imports[alias.asname or alias.name] = f"{source}.{alias.name}" if source else alias.name

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:  # noqa: D102 - of NodeVisitor
        self.definitions[node.name] = node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:  # noqa: D102 - of NodeVisitor
        self.definitions[node.name] = node

    def visit_ClassDef(self, node: ast.ClassDef) -> None:  # noqa: D102 - of NodeVisitor
        self.definitions[node.name] = node

    def visit_Lambda(self, node: ast.Lambda) -> None:  # noqa: D102 - of NodeVisitor
        pass

    def visit_Global(self, node: ast.Global) -> None:  # noqa: D102 - of NodeVisitor
        self.globals.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:  # noqa: D102 - of NodeVisitor
        self.nonlocals.update(node.names)

    def visit_Name(self, node: ast.Name) -> None:  # noqa: D102 - of NodeVisitor
        if not isinstance(node.ctx, ast.Load):
            self.stores[node.id] += 1

    def visit_Assign(self, node: ast.Assign) -> None:  # noqa: D102 - of NodeVisitor
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._values[target.id] = node.value

        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:  # noqa: D102 - of NodeVisitor
        if isinstance(node.target, ast.Name):
            self._annotations[node.target.id] = node.annotation

            if node.value is not None:
                self._values[node.target.id] = node.value

        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:  # noqa: D102 - of NodeVisitor
        self._store(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:  # noqa: D102 - of NodeVisitor
        self._store(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:  # noqa: D102 - of NodeVisitor
        self._store(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:  # noqa: D102 - of NodeVisitor
        self._store(node.rest)
        self.generic_visit(node)

    def _store(self, name: str | None) -> None:
        if name is not None:
            self.stores[name] += 1

    def _add_parameters(self, node: FunctionNode, owner: str | None) -> None:
        for argument in parameters_of(node):
            self.stores[argument.arg] += 1

            if argument.annotation is not None:
                self._annotations[argument.arg] = argument.annotation

            if self.parent is not None and is_context(argument.annotation, self.parent):
                self.known[argument.arg] = CONTEXT

        first = next(iter(parameters_of(node)), None)

        if owner is not None and first is not None:
            self.known[first.arg] = owner

    def _absolute(self, node: ast.ImportFrom) -> str:
        """The full name of the module that is imported from."""
        if not node.level:
            return node.module or ""

        parts = self.package.split(".") if self.package else []
        base = parts[: len(parts) - node.level + 1]

        return ".".join([*base, *([node.module] if node.module else [])])

    def _resolve_name(self, name: str, depth: int) -> str | None:
        home = self.home_of(name)

        if home is None:
            return f"builtins.{name}" if name in _BUILTINS else None

        # An import may have a fall-back that is assigned.
        if name in home.imports:
            return home.imports[name]

        if name in home.definitions:
            return f"{home.qualified}.{name}"

        if home.stores[name] != 1:
            return None

        if name in home.known:
            return home.known[name]

        value = home.value_of(name)
        found = None if value is None else home.resolve(value, depth + 1)

        return found or home.class_of(name, depth)


def _as_class(name: str | None) -> str | None:
    """A full name, if it is that of a class by its looks. An instance has the methods of its class, and so their full names."""
    return name if name is not None and name.rpartition(".")[2][:1].isupper() else None


def _parsed(annotation: str) -> ast.expr | None:
    try:
        return ast.parse(annotation, mode="eval").body
    except SyntaxError:
        return None


def parameters_of(node: FunctionNode) -> Iterable[ast.arg]:
    """The parameters of a function, in their order."""
    arguments = node.args
    more = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]

    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *more]


def is_context(annotation: ast.expr | None, scope: Scope, name: str = "OrchestrationContext") -> bool:
    """Whether an annotation says that a parameter is a context.

    Args:
        annotation: The annotation; None for none.
        scope: Where it stands.
        name: Which context.

    Returns:
        Whether it does, also as a string.
    """
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        last = annotation.value.rpartition(".")[2]
    else:
        last = "" if annotation is None else (scope.resolve(annotation) or "").rpartition(".")[2]

    # Generic contexts are subscripted.
    if isinstance(annotation, ast.Subscript):
        return is_context(annotation.value, scope, name)

    return last == name
