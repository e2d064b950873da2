"""Value templates: what devices announce with, and what is refused."""

import json

import pytest

from devices.errors import DecodeError
from devices.payloads.homeassistant.template_compiler import compile_template
from devices.payloads.homeassistant.template_values import UNDEFINED
from devices.payloads.homeassistant.templates import Scalar


def render(source: str, document: object) -> Scalar:
    return compile_template(source).render(json.dumps(document), document)


@pytest.mark.parametrize(
    ("source", "document", "result"),
    [
        # Zigbee2MQTT
        ("{{ value_json.temperature }}", {"temperature": 21.5}, 21.5),
        ("{{ value_json.occupancy }}", {"occupancy": True}, True),
        ("{{ value_json.state_l1 }}", {"state_l1": "ON"}, "ON"),
        ("{{ value_json['update']['state'] == \"available\" }}", {"update": {"state": "available"}}, True),
        ("{{ value_json.log_level | lower }}", {"log_level": "INFO"}, "info"),
        ('{{ "offline" }}', {}, "offline"),
        ("{{ {'off':0, 'low':1}[value_json.fan_mode] | default('None') }}", {"fan_mode": "low"}, 1),
        ("{{ {'off':0, 'low':1}[value_json.fan_mode] | default('None') }}", {"fan_mode": "?"}, "None"),
        (
            "{% if value_json.moving %} {{ value_json.moving }} {% else %} stopped {% endif %}",
            {"moving": "UP"},
            "UP",
        ),
        (
            '{% if "moving" in value_json and value_json.moving %} up {% else %} stopped {% endif %}',
            {},
            "stopped",
        ),
        ("{% set values = {None:None,'idle':'off'} %}{{ values[value_json.s] }}", {"s": "idle"}, "off"),
        # Tasmota
        ("{{value_json['DS18B20']['Temperature']}}", {"DS18B20": {"Temperature": 20.6}}, 20.6),
        ("{{value_json['ENERGY']['Power'][0]}}", {"ENERGY": {"Power": [3, 4]}}, 3),
        ("{{ value_json['DS18B20'].Temperature }}", {"DS18B20": {"Temperature": 20.6}}, 20.6),
        ("{{value_json.POWER2}}", {"POWER2": "OFF"}, "OFF"),
        ("{{value_json['RSSI']}}", {"RSSI": 70}, 70),
        ("{{value_json.HSBColor.split(',')[0:2]|join(',')}}", {"HSBColor": "9,8,7"}, "9,8"),
        ("{%if value_json.White%}white{%else%}hs{%endif %}", {"White": 0}, "hs"),
        # others
        ("{{ value_json.temp | float }}", {"temp": "21.5"}, 21.5),
        ("{{ value_json.tempc | is_defined }}", {"tempc": 3}, 3),
        ("{{ value_json.outdoor if value_json.outdoor is defined else 0 }}", {}, 0),
        ("{{ 'online' if value_json.outdoor is defined else 'offline' }}", {}, "offline"),
        ("{{ value_json.v | float(0) * 0.001 | round(3) }}", {"v": 3012}, 3.012),
        ("{{ (value_json.f - 32) * 5 / 9 }}", {"f": 212}, 100.0),
        ("{{ value_json.get('x', 7) }}", {}, 7),
        ("{{ iif(value_json.x, 'ON', 'OFF') }}", {"x": 1}, "ON"),
        ("{{ not value_json.contact }}", {"contact": False}, True),
        ("{{ value_json.x is number and 3 < value_json.x <= 4 }}", {"x": 4}, True),
        ("{{ value_json.x is not none and value_json.x is not string }}", {"x": 4}, True),
        ("{{ value_json.a ~ '/' ~ value_json.b }}", {"a": 1, "b": None}, "1/None"),
        ("{{ -value_json.a // 2 + 7 % 4 }}", {"a": 5}, 0),
        ("{{ value_json.a | default(5) }}", {"a": None}, None),
        ("{{ value_json.a | default(5, true) }}", {"a": None}, 5),
        ("{{ value_json.a | int(base=16) }}", {"a": "ff"}, 255),
        ("{{ value_json.a | int }}", {"a": "21.7"}, 21),
        ("{{ value_json.a | round }}", {"a": 21.7}, 22),
        ("{{ value_json.a | round(1, 'floor') }}", {"a": 21.77}, 21.7),
        ("{{ value_json.a | round(0, 'ceil') }}", {"a": 21.2}, 22),
        ("{{ value_json.a | round(0, 'half') }}", {"a": 21.3}, 21.5),
        ("{{ [value_json.a, 3] | max }}", {"a": 2}, 3),
        ("{{ min(value_json.a, 3) }}", {"a": 2}, 2),
        ("{{ value_json.list | length }}", {"list": [1, 2]}, 2),
        ("{{ value_json.a | replace(',', '.') | float }}", {"a": "1,5"}, 1.5),
        ("{{ value_json.list[-1] }}", {"list": [1, 2]}, 2),
        ("{{ 'b' in value_json.list }}", {"list": ["a", "b"]}, True),
        ("{{ value_json.a in ['x', 'y'] }}", {"a": "z"}, False),
        ("{% if value_json.a > 2 %}1{% elif value_json.a > 1 %}2{% else %}3{% endif %}", {"a": 1.5}, "2"),
        ("{#- a comment -#}\n  {{- value_json.a -}}  ", {"a": 4}, 4),
        ("{{ value_json.a | bool }}", {"a": "on"}, True),
        ("{{ value_json.a | abs | string | trim | upper }}", {"a": -1e16}, "1E+16"),
        ("{{ value_json.a.startswith('x') or value_json.a.endswith('z') }}", {"a": "yz"}, True),
        ("{{ value_json.items }}", {"items": 4}, 4),
        ("{{ value_json._id }}", {"_id": 4}, 4),
    ],
)
def test_a_template_gives_what_home_assistant_would(source: str, document: object, result: Scalar) -> None:
    found = render(source, document)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("source", "document"),
    [
        ("{{ value_json.temperature }}", {}),
        ("{{ value_json.temperature }}", {"temperature": None}),
        ("{{ value_json.temperature }}", {"temperature": {"deep": 1}}),
        ("{{ value_json.PN532.UID }}", {"Time": "2019-01-10T18:31:39", "BME280": {}}),
        ("{{ value_json.a | float }}", {"a": "warm"}),
        ("{{ value_json.a + 1 }}", {"a": "warm"}),
        ("{{ value_json.a / 0 }}", {"a": 1}),
        ("{{ value_json.a % 0.0 }}", {"a": 1}),
        ("{{ value_json.a > 3 }}", {"a": "warm"}),
        ("{{ value_json.a | is_defined }}", {}),
        ("{{ value_json.a * 10 }}", {"a": 1e308}),
        ("{{ 'x' * 1000000000 }}", {}),
        ("{{ value_json.a * 1000000000 }}", {"a": [1]}),
        ("{{ '%1000000000d' % 1 }}", {}),
        ("{{ value_json.a.replace('', 'xxxx') }}", {"a": "y" * 4000}),
        ("{{ value_json.a.b.c | default(1) }}", {}),
        ("{{ value_json.a == value_json.b }}", {"a": [1], "b": [1]}),
        ("{{ value_json.a | int }}", {"a": "9" * 4000}),
        ("{{ value_json }}", {"a": 1}),
        ("{{ value_json.a | round(400) }}", {"a": 1.5}),
        ("{{ value_json.a | float }}", {"a": "1_000"}),
        ("{{ value_json.a | float }}", {"a": "nan"}),
    ],
)
def test_what_has_no_result_is_no_value(source: str, document: object) -> None:
    assert render(source, document) is None


@pytest.mark.parametrize(
    ("source", "construct"),
    [
        ("{{ value_json.a ** 99 }}", "powers"),
        ("{% for x in value_json %}{{ x }}{% endfor %}", "loops"),
        ("{% macro m() %}{% endmacro %}", "macros"),
        ("{% include 'x' %}", "include"),
        ("{% import 'x' as y %}", "import"),
        ("{% extends 'x' %}", "extends"),
        ("{% block b %}{% endblock %}", "blocks"),
        ("{% filter upper %}x{% endfilter %}", "filter blocks"),
        ("{% set x %}y{% endset %}", "set blocks"),
        ("{% set a, b = 1, 2 %}", "assign"),
        ("{{ states('sensor.x') }}", "the function states"),
        ("{{ now() }}", "the function now"),
        ("{{ range(10**9) }}", "the function range"),
        ("{{ this.state }}", "the variable this"),
        ("{{ self }}", "the variable self"),
        ("{{ value.__class__.__mro__() }}", "the method __mro__"),
        ("{{ value.format(1) }}", "the method format"),
        ("{{ value.join(['a']) }}", "the method join"),
        ("{{ (value.strip)() }}", None),
        ("{{ value_json['x']() }}", "call expressions"),
        ("{{ value | attr('x') }}", "the filter attr"),
        ("{{ value | map('x') }}", "the filter map"),
        ("{{ value | regex_replace('(a+)+$', '') }}", "the filter regex_replace"),
        ("{{ value | center(1000000000) }}", "the filter center"),
        ("{{ value is callable }}", "the test callable"),
        ("{{ value | round(1, 'common', 0, 4) }}", "the filter round with these arguments"),
        ("{{ value | float(*value_json) }}", "arguments by"),
        ("{{ value[::2] }}", "slice"),
    ],
)
def test_what_is_not_supported_is_named(source: str, construct: str | None) -> None:
    if construct is None:
        assert compile_template(source).render(" x ") == "x"
        return
    with pytest.raises(DecodeError, match=construct):
        compile_template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ value_json.a",
        "{{ }}",
        "{% if %}{% endif %}",
        "{% unknown %}",
        "{{ value | }}",
        "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
        "{{ " + "+".join(["1"] * 100) + " }}",
        "{{ " + "[" * 200 + "]" * 200 + " }}",
        "{{ [" + "1," * 300 + "] }}",
        "{% if 1 %}" * 60 + "{% endif %}" * 60,
        "x" * 2049,
    ],
)
def test_what_is_no_template_or_too_large_is_a_decode_error(source: str) -> None:
    with pytest.raises(DecodeError):
        compile_template(source)


def test_without_json_a_template_may_still_use_the_text() -> None:
    template = compile_template("{{ value_json.t if value_json is defined else value }}")
    assert template.needs_json
    assert template.render("21.5", UNDEFINED) == "21.5"
    assert not compile_template("{{ value | float }}").needs_json


def test_integers_stay_small_however_a_template_multiplies() -> None:
    result = render("{{ " + " * ".join(["value_json.a"] * 10) + " }}", {"a": 2**60})
    assert isinstance(result, float)


def test_a_text_longer_than_the_bound_is_no_value() -> None:
    template = compile_template("{{ value ~ value }}")
    assert template.render("x" * 2048) == "x" * 4096
    assert template.render("x" * 2049) is None


def test_a_setting_is_of_one_message_only() -> None:
    template = compile_template("{% if value_json.a %}{% set x = 1 %}{% endif %}{{ x | default(0) }}")
    assert template.render("", {"a": True}) == "1"
    assert template.render("", {"a": False}) == "0"
