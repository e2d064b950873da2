"""Compiles value templates: a safe part of Jinja, read into plain functions; no code of a template is executed. Pure.

Jinja's parser gives the grammar; its code generator is not used. The tree is checked node by node: what is
not known here is refused when the announcement is read, with the construct's name. There are no loops, no
powers, no repetition of texts, no attributes of Python objects: a name after a point is a key of a JSON
object. A template has at most LONGEST_TEMPLATE characters, MOST_NODES nodes, DEEPEST levels, and each node is
evaluated at most once a message, in bounded time (`template_values`, `template_functions`).
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from types import MappingProxyType
from typing import Final, NoReturn

from jinja2 import Environment, TemplateSyntaxError, nodes

from devices.errors import DecodeError
from devices.payloads.homeassistant.template_functions import FILTERS, FUNCTIONS, METHODS, TESTS
from devices.payloads.homeassistant.template_values import (
    COMPARISONS,
    UNDEFINED,
    add,
    bounded,
    divide,
    floor_divide,
    item_of,
    multiply,
    remainder,
    scalar,
    slice_of,
    subtract,
    text_of,
)
from devices.payloads.homeassistant.templates import Evaluator, Scope, Template

LONGEST_TEMPLATE: Final = 2048
MOST_NODES: Final = 256
DEEPEST: Final = 48

_GRAMMAR: Final = Environment(autoescape=True)  # parses only; escaping is a matter of the generator


def compile_template(source: str) -> Template:
    """Returns the template; raises `DecodeError` saying what it has that is not supported."""
    if len(source) > LONGEST_TEMPLATE:
        raise DecodeError(f"template: longer than {LONGEST_TEMPLATE} characters")
    try:
        tree = _GRAMMAR.parse(source)
    except TemplateSyntaxError as error:
        raise DecodeError(f"template: not one, by Jinja's grammar (line {error.lineno})") from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise DecodeError("template: too deep, or a number too long") from error
    _check_size(tree)
    names = {"value", "value_json"} | {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    needs_json = any(name.name == "value_json" for name in tree.find_all(nodes.Name))
    compiler = _Compiler(frozenset(names))
    return Template(source, needs_json, compiler.document(tree.body))


def _check_size(tree: nodes.Node) -> None:
    level: list[nodes.Node] = [tree]
    count = depth = 0
    while level:
        depth += 1
        count += len(level)
        if depth > DEEPEST or count > MOST_NODES:
            raise DecodeError(f"template: more than {MOST_NODES} nodes or {DEEPEST} levels")
        level = [child for node in level for child in node.iter_child_nodes()]


_CONSTRUCTS: Final = {
    nodes.Pow: "powers (**)",
    nodes.For: "loops",
    nodes.Macro: "macros",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "blocks",
    nodes.CallBlock: "call blocks",
    nodes.FilterBlock: "filter blocks",
    nodes.AssignBlock: "set blocks",
    nodes.NSRef: "namespaces",
}


def _refuse(construct: str) -> NoReturn:
    raise DecodeError(f"template: {construct} not supported")


def _shown(name: str) -> str:
    return ascii(name[:64])[1:-1]


def _refuse_node(node: nodes.Node) -> NoReturn:
    _refuse(_CONSTRUCTS.get(type(node), f"{type(node).__name__.lower()} expressions"))


class _Compiler:
    """Turns nodes into functions of the scope. `names` are the variables that there can be."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def document(self, body: Sequence[nodes.Node]) -> Evaluator:
        """Compiles the whole: to the value of its only expression, or to the text that it writes."""
        written = [
            part
            for node in body
            for part in (node.nodes if isinstance(node, nodes.Output) else [node])
            if not (isinstance(part, nodes.TemplateData) and not part.data.strip())
        ]
        if len(written) == 1 and isinstance(written[0], nodes.Expr) and not _is_data(written[0]):
            return self.expression(written[0])
        write = self._block(body)

        def evaluate(scope: Scope) -> object:
            return write(scope).strip()

        return evaluate

    def _block(self, body: Sequence[nodes.Node]) -> Callable[[Scope], str]:
        writers = [self._statement(node) for node in body]

        def write(scope: Scope) -> str:
            return bounded("".join([writer(scope) for writer in writers]))

        return write

    def _statement(self, node: nodes.Node) -> Callable[[Scope], str]:
        match node:
            case nodes.Output():
                return self._output(node)
            case nodes.If():
                return self._if(node)
            case nodes.Assign(target=nodes.Name(name=name), node=assigned):
                return self._assign(name, self.expression(assigned))
            case _:
                _refuse_node(node)

    def _output(self, node: nodes.Output) -> Callable[[Scope], str]:
        parts = [self.expression(part) for part in node.nodes]

        def write(scope: Scope) -> str:
            return "".join([text_of(part(scope)) for part in parts])

        return write

    def _if(self, node: nodes.If) -> Callable[[Scope], str]:
        branches = [(self.expression(one.test), self._block(one.body)) for one in (node, *node.elif_)]
        otherwise = self._block(node.else_)

        def write(scope: Scope) -> str:
            for test, block in branches:
                if test(scope):
                    return block(scope)
            return otherwise(scope)

        return write

    def _assign(self, name: str, expression: Evaluator) -> Callable[[Scope], str]:
        def write(scope: Scope) -> str:
            scope[name] = expression(scope)
            return ""

        return write

    def expression(self, node: nodes.Node) -> Evaluator:
        match node:
            case nodes.Const(value=value):
                return _constant(value)
            case nodes.TemplateData(data=data):
                return _constant(data)
            case nodes.Name(name=name):
                return self._variable(name)
            case nodes.Getattr(node=inner, attr=key):
                return _key(self.expression(inner), key)
            case nodes.Getitem(node=inner, arg=nodes.Slice(start=start, stop=stop, step=None)):
                return _slice(self.expression(inner), self._bound(start), self._bound(stop))
            case nodes.Getitem(node=inner, arg=nodes.Const(value=str(key))):
                return _key(self.expression(inner), key)
            case nodes.Getitem(node=inner, arg=key):
                return _item(self.expression(inner), self.expression(key))
            case nodes.Filter(node=inner, name=name) if inner is not None:
                return self._apply("the filter", FILTERS, name, inner, node)
            case nodes.Test(node=inner, name=name):
                return self._apply("the test", TESTS, name, inner, node)
            case nodes.Call(node=nodes.Getattr(node=inner, attr=name)):
                return self._apply("the method", METHODS, name, inner, node)
            case nodes.Call(node=nodes.Name(name=name)):
                return self._apply("the function", FUNCTIONS, name, None, node)
            case nodes.Compare():
                return self._comparison(node)
            case nodes.CondExpr():
                return self._choice(node)
            case nodes.And(left=left, right=right):
                return _and(self.expression(left), self.expression(right))
            case nodes.Or(left=left, right=right):
                return _or(self.expression(left), self.expression(right))
            case nodes.Not(node=inner):
                return _not(self.expression(inner))
            case nodes.BinExpr() if type(node) in _ARITHMETIC:
                operate = _ARITHMETIC[type(node)]
                return _binary(operate, self.expression(node.left), self.expression(node.right))
            case nodes.Neg(node=inner):
                return _binary(subtract, _constant(0), self.expression(inner))
            case nodes.Pos(node=inner):
                return _binary(add, _constant(0), self.expression(inner))
            case nodes.Concat(nodes=parts):
                return self._concatenation(parts)
            case nodes.List(items=items) | nodes.Tuple(items=items):
                return _list([self.expression(item) for item in items])
            case nodes.Dict(items=pairs):
                return _mapping([(self.expression(one.key), self.expression(one.value)) for one in pairs])
            case _:
                _refuse_node(node)

    def _variable(self, name: str) -> Evaluator:
        if name not in self._names:
            _refuse(f"the variable {_shown(name)}")
        return lambda scope: scope.get(name, UNDEFINED)

    def _bound(self, node: nodes.Expr | None) -> Evaluator:
        return _constant(None) if node is None else self.expression(node)

    def _apply(
        self,
        what: str,
        known: Mapping[str, Callable[..., object]],
        name: str,
        first: nodes.Expr | None,
        node: nodes.Filter | nodes.Test | nodes.Call,
    ) -> Evaluator:
        """Compiles the use of a filter, test, method or function; `first` is what it is applied to."""
        operate = known.get(name)
        if operate is None:
            _refuse(f"{what} {_shown(name)}")
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            _refuse("arguments by * and **")
        arguments = [self.expression(one) for one in ([] if first is None else [first]) + node.args]
        keywords: dict[str, Evaluator] = {str(one.key): self.expression(one.value) for one in node.kwargs}
        try:
            signature(operate).bind(*arguments, **keywords)
        except TypeError:
            _refuse(f"{what} {name} with these arguments")

        def evaluate(scope: Scope) -> object:
            return operate(
                *[argument(scope) for argument in arguments],
                **{key: argument(scope) for key, argument in keywords.items()},
            )

        return evaluate

    def _comparison(self, node: nodes.Compare) -> Evaluator:
        left = self.expression(node.expr)
        steps = [(COMPARISONS[one.op], self.expression(one.expr)) for one in node.ops]

        def evaluate(scope: Scope) -> object:
            before = left(scope)
            for holds, right in steps:
                after = right(scope)
                if not holds(before, after):
                    return False
                before = after
            return True

        return evaluate

    def _choice(self, node: nodes.CondExpr) -> Evaluator:
        test, chosen, otherwise = (
            self.expression(node.test),
            self.expression(node.expr1),
            _constant(UNDEFINED) if node.expr2 is None else self.expression(node.expr2),
        )
        return lambda scope: chosen(scope) if test(scope) else otherwise(scope)

    def _concatenation(self, parts: Sequence[nodes.Expr]) -> Evaluator:
        evaluators = [self.expression(part) for part in parts]
        return lambda scope: bounded("".join([text_of(part(scope)) for part in evaluators]))


def _is_data(node: nodes.Node) -> bool:
    return isinstance(node, nodes.TemplateData)


def _constant(value: object) -> Evaluator:
    return lambda _scope: value


def _key(value: Evaluator, key: str) -> Evaluator:
    """Compiles `value.key` and `value["key"]`, which is what most templates are."""

    def evaluate(scope: Scope) -> object:
        mapping = value(scope)
        return mapping.get(key, UNDEFINED) if isinstance(mapping, dict) else item_of(mapping, key)

    return evaluate


def _item(value: Evaluator, key: Evaluator) -> Evaluator:
    return lambda scope: item_of(value(scope), key(scope))


def _slice(value: Evaluator, start: Evaluator, stop: Evaluator) -> Evaluator:
    return lambda scope: slice_of(value(scope), start(scope), stop(scope))


def _and(left: Evaluator, right: Evaluator) -> Evaluator:
    return lambda scope: left(scope) and right(scope)


def _or(left: Evaluator, right: Evaluator) -> Evaluator:
    return lambda scope: left(scope) or right(scope)


def _not(inner: Evaluator) -> Evaluator:
    return lambda scope: not inner(scope)


def _list(items: Sequence[Evaluator]) -> Evaluator:
    return lambda scope: [item(scope) for item in items]


def _mapping(pairs: Sequence[tuple[Evaluator, Evaluator]]) -> Evaluator:
    return lambda scope: {scalar(key(scope)): value(scope) for key, value in pairs}


def _binary(operate: Callable[[object, object], object], left: Evaluator, right: Evaluator) -> Evaluator:
    return lambda scope: operate(left(scope), right(scope))


_ARITHMETIC: Final[Mapping[type[nodes.Node], Callable[[object, object], object]]] = MappingProxyType(
    {
        nodes.Add: add,
        nodes.Sub: subtract,
        nodes.Mul: multiply,
        nodes.Div: divide,
        nodes.FloorDiv: floor_divide,
        nodes.Mod: remainder,
    }
)
