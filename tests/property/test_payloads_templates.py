"""Any template is compiled or refused, and rendering it takes a bounded time, gives a bounded result, never raises."""

import sys
from types import FrameType

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.errors import DecodeError
from devices.payloads.homeassistant.template_compiler import MOST_NODES, compile_template
from devices.payloads.homeassistant.template_functions import FILTERS, METHODS, TESTS
from devices.payloads.homeassistant.template_values import LONGEST_LIST, LONGEST_TEXT, UNDEFINED
from devices.payloads.homeassistant.templates import Scalar

keys = st.sampled_from(["a", "b", "c", "0", "items", "__class__"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**64, -(10**400), 1e308, -1e-308, 0.0, "", "x" * 5000, "9" * 5000, "1e308", "nan", "ON"])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
values_json = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=300) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)

atoms = st.sampled_from(
    [
        "value",
        "value_json",
        "value_json.a",
        "value_json['b'].c",
        "value_json[0]",
        "value_json.a[-1]",
        "none",
        "true",
        "0",
        "-1",
        "3.5",
        "1e308",
        "9" * 400,
        "'x'",
        "''",
        "'%s'",
        "[1, 'a']",
        "{'a': 1}",
        "nothing",
        "(1, 2)",
    ]
)


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]
    arguments = st.lists(inner, max_size=3).map(", ".join)
    return st.one_of(
        st.tuples(inner, st.sampled_from(operators), inner).map(lambda one: f"({one[0]} {one[1]} {one[2]})"),
        st.tuples(inner, st.sampled_from(sorted(FILTERS)), arguments).map(
            lambda one: f"({one[0]} | {one[1]}({one[2]}))"
        ),
        st.tuples(inner, st.sampled_from(sorted(METHODS)), arguments).map(lambda one: f"({one[0]}).{one[1]}({one[2]})"),
        st.tuples(inner, st.sampled_from(sorted(TESTS)), arguments).map(
            lambda one: f"({one[0]} is {one[1]}({one[2]}))"
        ),
        st.tuples(inner, inner, inner).map(lambda one: f"({one[0]} if {one[1]} else {one[2]})"),
        st.tuples(inner, inner).map(lambda one: f"({one[0]})[{one[1]}]"),
        st.tuples(inner, inner, inner).map(lambda one: f"({one[0]})[{one[1]}:{one[2]}]"),
        st.tuples(st.sampled_from(["float", "int", "min", "max", "iif", "range"]), arguments).map(
            lambda one: f"{one[0]}({one[1]})"
        ),
        st.tuples(st.sampled_from(["-", "+", "not "]), inner).map(lambda one: f"({one[0]}{one[1]})"),
        st.lists(inner, max_size=3).map(lambda one: f"[{', '.join(one)}]"),
        st.tuples(inner, inner).map(lambda one: f"{{{one[0]}: {one[1]}}}"),
    )


expressions = st.recursive(atoms, combined, max_leaves=10)
templates = st.one_of(
    expressions.map(lambda one: f"{{{{ {one} }}}}"),
    st.tuples(expressions, expressions).map(lambda one: f"{{{{ {one[0]} }}}} text {{{{ {one[1]} }}}}"),
    st.tuples(expressions, expressions, expressions).map(
        lambda one: f"{{% if {one[0]} %}}{{{{ {one[1]} }}}}{{% else %}}{{% set x = {one[2]} %}}{{{{ x }}}}{{% endif %}}"
    ),
    st.text(st.sampled_from("{}%#|().[]'\"-+*~ value_json1e9") | st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text(st.sampled_from("{%-}# endifsetforvalue|x'"), max_size=60),
)


def work_and_result(source: str, value: str, value_json: object) -> tuple[int, Scalar]:
    """Returns how many calls of Python and C functions rendering makes, and what it gives."""
    template = compile_template(source)
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        result = template.render(value, value_json)
    finally:
        sys.setprofile(before)
    return calls, result


@settings(max_examples=300, deadline=None)
@given(templates, st.text(max_size=20) | st.just("1" * 100_000), values_json | st.just(UNDEFINED))
def test_any_template_is_refused_or_gives_a_bounded_result_in_bounded_work(
    source: str, value: str, value_json: object
) -> None:
    try:
        calls, result = work_and_result(source, value, value_json)
    except DecodeError as error:
        assert error.reason.startswith("template: ")
        return
    assert calls <= MOST_NODES * (LONGEST_LIST + 1) * 4
    assert result is None or isinstance(result, str | int | float)
    if isinstance(result, str):
        assert len(result) <= 100_000 if result == value else len(result) <= 2 * LONGEST_TEXT
    if isinstance(result, int) and "value_json" not in source:
        assert len(str(result)) <= 400


@settings(max_examples=100, deadline=None)
@given(
    st.integers(min_value=1, max_value=60), st.sampled_from(["|join(value)", "~value", "|replace('x','yy')", "+value"])
)
def test_repeating_what_makes_texts_longer_never_gets_past_the_bound(times: int, step: str) -> None:
    source = "{{ value" + step * times + " }}"
    try:
        _, result = work_and_result(source, "x" * 1000, UNDEFINED)
    except DecodeError:
        return
    assert result is None or (isinstance(result, str) and len(result) <= LONGEST_TEXT)
