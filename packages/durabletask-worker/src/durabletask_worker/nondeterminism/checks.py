"""Reads the code of one function, and says where it breaks which rule, and what it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from durabletask_worker.nondeterminism.names import CONTEXT, FunctionNode, Scope, parameters_of
from durabletask_worker.nondeterminism.ordering import is_set, takes_order_of
from durabletask_worker.nondeterminism.project import Function, Project, Role
from durabletask_worker.nondeterminism.rule import Rule
from durabletask_worker.nondeterminism.rules import RULES, replacement_for
from durabletask_worker.nondeterminism.shared_state import is_shared_change, is_shared_store

__all__ = ["Breach", "Checker"]

_WAITS = frozenset({f"{CONTEXT}.create_timer", f"{CONTEXT}.wait_for_external_event"})
_GROUPS = (".when_all", ".when_any")
_HARMLESS = frozenset({f"{CONTEXT}.{name}" for name in ("create_replay_safe_logger", "set_custom_status")})
"""What of the context may be called in a replay only, or never in one."""
_UNWINDING = frozenset({"BaseException", "GeneratorExit", "OrchestrationUnloaded", "TaskCancelled"})
_VALUES = (
    ast.Constant
    | ast.JoinedStr
    | ast.List
    | ast.Tuple
    | ast.Dict
    | ast.Set
    | ast.ListComp
    | ast.DictComp
    | ast.SetComp
    | ast.Compare
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A place where a function breaks a rule."""

    node: ast.AST
    rule: Rule
    subject: str
    """The code it is about, as the beginning of a sentence."""
    name: str | None = None
    """The full name of what is called; None where nothing is."""

    @property
    def message(self) -> str:
        """What is wrong there, and what to do instead."""
        return f"{self.subject} {self.rule.problem}; {self.rule.instead_of(self.name)}"


class Checker(ast.NodeVisitor):
    """Checks one function, and what is defined in it.

    Args:
        project: The files that are linted together.
        function: The function.
    """

    def __init__(self, project: Project, function: Function) -> None:
        self.breaches: list[Breach] = []
        self.callees: list[Function] = []
        """The functions of the project that it calls, and that run as a part of it."""
        self.inner: list[Function] = []
        """The functions inside of it that were checked with it."""
        self._project = project
        self._function = function
        self._module = function.module
        self._scope = function.scope
        self._is_logging_once = False

        if function.role in (Role.ORCHESTRATOR, Role.CONTEXTUAL):
            self._learn_context()

        for statement in function.node.body:
            self.visit(statement)

    def visit_Call(self, node: ast.Call) -> None:  # noqa: D102 - of NodeVisitor
        name = self._scope.resolve(node.func)
        rule = replacement_for(name, len(node.args) + len(node.keywords)) if name is not None else None

        if name is not None and rule is not None and name not in rule.reads:
            self._report(node, rule, f"{_shown(node.func, name)}()", name)
        elif name is not None:
            self._follow(node, name)

        if is_shared_change(node, self._scope):
            self._report(node, RULES["DT401"], f"{ast.unparse(node.func)}()")

        if takes_order_of(node, name, self._scope):
            self._report(node, RULES["DT402"], f"{_shown(node.func, name)}()")

        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:  # noqa: D102 - of NodeVisitor
        self._check_read(node)

        if isinstance(node.ctx, ast.Store) and node.id in self._scope.globals:
            self._report(node, RULES["DT401"], f"global {node.id}")

    def visit_Attribute(self, node: ast.Attribute) -> None:  # noqa: D102 - of NodeVisitor
        if not self._check_read(node):
            self.generic_visit(node)

        self._check_store(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:  # noqa: D102 - of NodeVisitor
        self._check_store(node)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:  # noqa: D102 - of NodeVisitor
        if isinstance(node.value, ast.Call):
            name = self._scope.resolve(node.value.func) or ""

            if name in _WAITS or (name.startswith("durabletask") and name.endswith(_GROUPS)):
                self._report(node, RULES["DT305"], f"{_shown(node.value.func, name)}()")

        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield) -> None:  # noqa: D102 - of NodeVisitor
        is_own = self._scope is self._function.scope and isinstance(self._function.node, ast.FunctionDef)

        if (
            is_own
            and self._function.role is Role.ORCHESTRATOR
            and (node.value is None or isinstance(node.value, _VALUES))
        ):
            self._report(node, RULES["DT306"], "nothing" if node.value is None else ast.unparse(node.value))

        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:  # noqa: D102 - of NodeVisitor
        # Adding up what is in a set gives the same in any order.
        if is_set(node.iter, self._scope) and any(
            _matters(each) for statement in node.body for each in _own(statement)
        ):
            self._report(node.iter, RULES["DT402"], "this loop")

        self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:  # noqa: D102 - of NodeVisitor
        self._check_async(node, node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:  # noqa: D102 - of NodeVisitor
        if node.is_async:
            self._check_async(node.iter, node.iter)

        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:  # noqa: D102 - of NodeVisitor
        self._check_comprehension(node.generators)
        self.generic_visit(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:  # noqa: D102 - of NodeVisitor
        self._check_comprehension(node.generators)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:  # noqa: D102 - of NodeVisitor
        if not self._asks_whether_replaying(node.test):
            self.generic_visit(node)

            return

        branches = [each for statement in [*node.body, *node.orelse] for each in _own(statement)]
        self._check_replay_branch(node, branches)
        self.visit(node.test)
        before, self._is_logging_once = self._is_logging_once, True

        for statement in [*node.body, *node.orelse]:
            self.visit(statement)

        self._is_logging_once = before

    def visit_IfExp(self, node: ast.IfExp) -> None:  # noqa: D102 - of NodeVisitor
        if self._asks_whether_replaying(node.test):
            self._check_replay_branch(node, [*_own(node.body), *_own(node.orelse)])

        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:  # noqa: D102 - of NodeVisitor
        if self._asks_whether_replaying(node.test):
            self._check_replay_branch(node, [each for statement in node.body for each in _own(statement)])

        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:  # noqa: D102 - of NodeVisitor
        self._check_handlers(node)
        self.generic_visit(node)

    def visit_TryStar(self, node: ast.TryStar) -> None:  # noqa: D102 - of NodeVisitor
        self._check_handlers(node)
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:  # noqa: D102 - of NodeVisitor
        for item in node.items:
            call = item.context_expr

            if isinstance(call, ast.Call) and self._scope.resolve(call.func) == "contextlib.suppress":
                caught = next((name for each in call.args if (name := self._unwinding(each))), None)

                if caught and self._can_unwind(node.body):
                    self._report(call, RULES["DT501"], f"suppress({caught})")

        self.generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:  # noqa: D102 - of NodeVisitor
        self._enter(node, Scope(node, f"{self._scope.qualified}.<lambda>", self._scope), [node.body])

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:  # noqa: D102 - of NodeVisitor
        self._visit_inner(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:  # noqa: D102 - of NodeVisitor
        self._visit_inner(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:  # noqa: D102 - of NodeVisitor
        # Its methods are followed where they are called.
        pass

    def _visit_inner(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        function = self._module.functions.get(f"{self._scope.qualified}.{node.name}")

        if function is not None and function.node is node and function.role in (Role.PLAIN, Role.CONTEXTUAL):
            self.inner.append(function)
            self._enter(node, function.scope, node.body)

    def _enter(self, node: FunctionNode, scope: Scope, body: Iterable[ast.AST]) -> None:
        # Defaults belong to the code around.
        for default in [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]:
            self.visit(default)

        around, self._scope = self._scope, scope

        for each in body:
            self.visit(each)

        self._scope = around

    def _learn_context(self) -> None:
        """An orchestrator's first parameter is its context, whether it says so or not."""
        names = [argument.arg for argument in parameters_of(self._function.node)]

        if CONTEXT not in self._scope.known.values():
            for name in names[1 if self._function.owner is not None and len(names) > 1 else 0 :][:1]:
                self._scope.known[name] = CONTEXT

    def _report(self, node: ast.AST, rule: Rule, subject: str, name: str | None = None) -> None:
        if not (self._is_logging_once and rule.is_mild):
            self.breaches.append(Breach(node=node, rule=rule, subject=subject, name=name))

    def _follow(self, node: ast.Call, name: str) -> None:
        """Look at what a call of the project's own runs."""
        callee = self._project.find(name, self._module)

        if callee is None or callee.role in (Role.ORCHESTRATOR, Role.ENTITY):
            return

        if callee.role is Role.ACTIVITY:
            self._report(node, RULES["DT304"], f"{_shown(node.func, name)}()")

            return

        names = [argument.arg for argument in parameters_of(callee.node)][1 if callee.owner is not None else 0 :]

        for argument, parameter in zip(node.args, names, strict=False):
            if self._scope.resolve(argument) == CONTEXT:
                callee.scope.known.setdefault(parameter, CONTEXT)

        self.callees.append(callee)

    def _check_read(self, node: ast.Name | ast.Attribute) -> bool:
        name = self._scope.resolve(node) if isinstance(node.ctx, ast.Load) else None
        rule = replacement_for(name) if name is not None else None

        if name is None or rule is None or name not in rule.reads:
            return False

        self._report(node, rule, _shown(node, name))

        return True

    def _check_store(self, node: ast.Attribute | ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load) and is_shared_store(node, self._scope):
            self._report(node, RULES["DT401"], ast.unparse(node))

    def _check_async(self, node: ast.AST, iterated: ast.expr) -> None:
        name = self._scope.resolve(iterated.func) if isinstance(iterated, ast.Call) else None

        if name is None or not name.startswith("durabletask"):
            self._report(node, RULES["DT303"], "async for")

    def _check_comprehension(self, generators: list[ast.comprehension]) -> None:
        for each in generators:
            if not each.is_async and is_set(each.iter, self._scope):
                self._report(each.iter, RULES["DT402"], "this comprehension")

    def _asks_whether_replaying(self, test: ast.expr) -> bool:
        return any(
            isinstance(each, ast.Attribute) and self._scope.resolve(each) == f"{CONTEXT}.is_replaying"
            for each in ast.walk(test)
        )

    def _check_replay_branch(self, node: ast.If | ast.IfExp | ast.While, branches: list[ast.AST]) -> None:
        if any(isinstance(each, ast.Return | ast.Raise) or self._is_step(each) for each in branches):
            self._report(node, RULES["DT403"], f"`{ast.unparse(node.test)}`")

    def _is_step(self, node: ast.AST) -> bool:
        """Whether code waits, or has its context do something."""
        if isinstance(node, ast.Call):
            name = self._scope.resolve(node.func) or ""

            return name.startswith(f"{CONTEXT}.") and name not in _HARMLESS

        return isinstance(node, ast.Await | ast.Yield | ast.YieldFrom)

    def _check_handlers(self, node: ast.Try | ast.TryStar) -> None:
        if not self._can_unwind(node.body):
            return

        for handler in node.handlers:
            caught = "a bare except" if handler.type is None else self._unwinding(handler.type)

            if caught and not any(
                isinstance(each, ast.Raise) for statement in handler.body for each in _own(statement)
            ):
                self._report(handler, RULES["DT501"], caught if handler.type is None else f"except {caught}")

            # An earlier handler that raises leaves nothing to the later ones.
            if caught in ("BaseException", "a bare except"):
                break

    def _can_unwind(self, body: list[ast.stmt]) -> bool:
        return any(self._is_step(each) for statement in body for each in _own(statement))

    def _unwinding(self, caught: ast.expr) -> str | None:
        """The name of an exception that must go on, if it is among those that are caught."""
        for each in caught.elts if isinstance(caught, ast.Tuple) else [caught]:
            name = (self._scope.resolve(each) or "").rpartition(".")[2]

            if name in _UNWINDING:
                return name

        return None


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, but for the functions that are defined there."""
    yield node

    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return

    for child in ast.iter_child_nodes(node):
        yield from _own(child)


def _matters(node: ast.AST) -> bool:
    return isinstance(node, ast.Call | ast.Await | ast.Yield | ast.YieldFrom | ast.Return | ast.Break)


def _shown(node: ast.expr, name: str | None) -> str:
    """What messages call a function: as the code does, if that tells which one it is."""
    written = ast.unparse(node)

    if name is None or written.rpartition(".")[2] == name.rpartition(".")[2]:
        return written

    return name.removeprefix("builtins.")
