"""Templates: what they make, what they must not do, and which secrets went in."""

from __future__ import annotations

import base64
import json
import tracemalloc
from types import MappingProxyType

import pytest

from provision.core.manifest.template import render, render_path
from provision.errors import TemplateError
from provision.model.secret import Secret

WIFI = Secret("wifi", "hunter<2>'&x")


def text(template: str, **variables: object) -> str:
    return render(template, name="t.j2", variables=variables).data.decode()


def failure(template: str, **variables: object) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        render(template, name="conf/t.j2", variables=variables)
    return caught.value


def test_variables_and_statements() -> None:
    template = (
        "{% for n in names %}\n- {{ n|upper }}{{ loop.index }}/{{ loop.length }}\n{% endfor %}\n."
    )
    assert text(template, names=("a", "b")) == "- A1/2\n- B2/2\n."


def test_the_last_newline_and_markup_stay() -> None:
    assert text("<{{ a }}>\n", a="<&>") == "<<&>>\n"


def test_nested_mappings_of_any_kind() -> None:
    variables = MappingProxyType({"net": MappingProxyType({"hosts": ("a", "b"), "port": 1883})})
    content = render("{{ net|tojson }}", name="t", variables=variables)
    assert json.loads(content.data) == {"hosts": ["a", "b"], "port": 1883}
    assert not content.sensitive


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 'a' ~ 1 ~ 'b' }}", "a1b"),
        ("{{ [1, 2, 3]|join(', ') }}", "1, 2, 3"),
        ("{{ 'x'|center(5) }}|{{ 'x'.ljust(3) }}|", "  x  |x  |"),
        ("{{ 60 * 60 * 24 }} {{ 2 ** 10 }} {{ '-' * 3 }}", "86400 1024 ---"),
        ("{{ missing|default(86400) }}", "86400"),
        ("{{ '%s-%03d' % ('a', 7) }} {{ '%.2f'|format(1.5) }}", "a-007 1.50"),
        ("{{ '{:>5}|{x}'.format(1, x='y') }}", "    1|y"),
        ("{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(1) }}{{ m(a='b') }}", "[1][b]"),
        ("{{ {'a': 1}.items()|list }} {{ 'abc'[1:] }}", "[('a', 1)] bc"),
        ("{% set a, b = (1, 2) %}{{ a if a > b else b }}", "2"),
        ("{{ range(5)|select('odd')|map('string')|join('') }}", "13"),
        (
            "{% set s = namespace(n=0) %}{% for i in [3] %}{% set s.n = i %}{% endfor %}{{ s.n }}",
            "3",
        ),
        ("{% for x in tree recursive %}{{ x.n }}{{ loop(x.c) }}{% endfor %}", "123"),
        ("{{ [3, 1, 2]|sort|first }}{{ [1, 2]|sum }}{{ 'a,b'.split(',')|last }}", "13b"),
        ("{% filter upper %}abc{% endfilter %}{% raw %}{{ x }}{% endraw %}", "ABC{{ x }}"),
        ("{{ x is defined }} {{ 3 in [1, 3] }} {{ 'a' is in 'abc' }}", "False True True"),
        ("{% call(x) m() %}<{{ x }}>{% endcall %}", "<1>"),
    ],
)
def test_what_jinja_does_is_still_done(template: str, expected: str) -> None:
    if "call(x)" in template:
        template = "{% macro m() %}{{ caller(1) }}{% endmacro %}" + template
    tree = [{"n": 1, "c": [{"n": 2, "c": []}]}, {"n": 3, "c": []}]
    assert text(template, tree=tree) == expected


def test_an_undefined_variable_is_located_in_the_template() -> None:
    problem = failure("a\nb\n  {{ topc }}\n", topic="x").problem
    assert str(problem) == "conf/t.j2:3:6: 'topc' is undefined; did you mean 'topic'?"
    assert problem.source == "  {{ topc }}"


def test_a_missing_key_is_located() -> None:
    assert "conf/t.j2:2:" in str(failure("\n{{ net.host }}", net={}).problem)


@pytest.mark.parametrize(
    ("template", "line", "message"),
    [
        ("{{ a", 1, "unexpected end of template"),
        ("a\n{% if %}", 2, "Expected an expression"),
        ("a\n\n{{ 'a'|nonsense }}", 3, "No filter named 'nonsense'"),
        ("{% include 'x' %}", 1, "cannot include or import"),
        ("a\n{{ ().__class__ }}", 2, "unsafe"),
        ("{{ 1 / 0 }}", 1, "ZeroDivisionError"),
        ("{{ 'a'.encode() }}", 1, "unsafe"),
        ("{{ [1].append(2) }}", 1, "unsafe"),
        ("{{ [1, 2]|random }}", 1, "No filter named 'random'"),
        ("{{ " + "(" * 5000 + ")" * 5000 + " }}", 1, "nested too deep"),
        ("{{ '\\ud800' }}", 1, "not text"),
        ("{% for a in x %}" * 30 + "{% endfor %}" * 30, 1, "not a template"),
    ],
)
def test_what_cannot_be_rendered(template: str, line: int, message: str) -> None:
    error = failure(template)
    assert error.problem.place.line == line
    assert message in error.problem.message
    assert error.exit_code == 3


LARGE = "{% set x = 'x' * 499999 %}{% set y = 'x' * 499999 %}"
RANGE = "{% set r = range(99999) %}"
NESTED = "{% set x = (1, 1) %}" + "{% set x = (x, x) %}" * 14
NUMBERS = "{% set x = 9 ** 249999 %}{% set y = 7 ** 150000 %}"
MANY = "{{% for i in range(99999) %}}{}{{% endfor %}}"
BOMBS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}"
    + "x" * 9999
    + "{% endfor %}{% endfor %}",
    "{% macro f(n) %}{{ f(n-1) }}{{ f(n-1) }}{% endmacro %}{{ f(1) }}",
    "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(64) }}",
    "{% for a in [1] recursive %}{{ loop([1]) }}{{ loop([1]) }}{% endfor %}",
    "{% macro f() %}{% for a in range(99999) %}"
    + "x" * 999
    + "{% endfor %}{% endmacro %}{{ f()|length }}",
    "{{ 9 ** (9 ** 9) }}",
    "{{ 'x' * 10 ** 10 }}",
    "{{ 10 ** 10 * 'x' }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ 'x'|center(10 ** 9) }}",
    "{{ 'x'.zfill(10 ** 9) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%*d'|format(1000000000, 1) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ '{:{w}}'.format(1, w=10 ** 9) }}",
    "{{ 'x'|indent(10 ** 9, true) }}",
    "{{ ('\n' * 100000)|indent('y' * 100000) }}",
    "{{ ('y' * 9999)|replace('', 'y' * 9999) }}",
    "{{ ('y' * 9999).replace('', 'y' * 9999) }}",
    "{{ range(9999)|join('y' * 9999) }}",
    "{{ ('y' * 9999).join('y' * 9999) }}",
    "{{ range(99999)|map('string')|map('center', 9999)|join }}",
    "{{ range(99999)|map('string')|map('center', 9999)|list|length }}",
    "{{ [[[[1]]]]|tojson(indent=1000000) }}",
    "{{ ('y ' * 9999)|wordwrap(1, wrapstring='y' * 9999) }}",
    "{{ 1.5|round(10 ** 9, 'ceil') }}",
    "{{ [[1]]|sum(start=[]) }}",
    "{{ [[0] * 9999] * 9999 }}",
    "{{ range(10 ** 9) }}",
    "{% set x = 'xxxxxxxxxxxxxxxx' %}" + "{% set x = x ~ x %}" * 40 + "{{ x|length }}",
    "{% set x = 'xxxxxxxxxxxxxxxx' %}" + "{% set x = x + x %}" * 40 + "{{ x|length }}",
    "{% set x = ['xxxxxxxxxxxxxxxx'] %}" + "{% set x = [x, x] %}" * 40 + "{{ x }}",
    "{% set x = ['xxxxxxxxxxxxxxxx'] %}" + "{% set x = (x, x) %}" * 40 + "{{ x|string }}",
    "{% set x = {'a': 1} %}" + "{% set x = {'a': x, 'b': x} %}" * 40 + "{{ x|tojson }}",
    "{% set x = [1] %}{% set y = [1] %}"
    + "{% set x = [x, x] %}{% set y = [y, y] %}" * 40
    + "{{ x == y }}",
    "{% set x = 'x' * 499999 %}{% for i in range(99999) %}{{ x[1:] == x[1:] }}{% endfor %}",
    "{% set x = 'x' * 499999 %}{% for i in range(99999) %}{{ x|upper|length }}{% endfor %}",
    "{% set s = namespace(x='xx') %}{% for i in range(99) %}{% set s.x = s.x ~ s.x %}{% endfor %}",
    "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
    "{% set a = 'x' * 99999 %}{{ dict.fromkeys(range(9999), a) }}",
    "{{ dict(a='y' * 499999)|list|length }}{% for i in range(9999) %}{{ 'y' * 9999 }}{% endfor %}",
    "{% for a in range(99999) %}" + "{{ x.y.z is defined }}" * 999 + "{% endfor %}",
    "{% for a in range(99999) %}{{ a" + "|abs" * 300 + " }}{% endfor %}",
    "{% for a in range(99999) %}{{ a" + " + 1" * 300 + " }}{% endfor %}",
    "{% block b %}{{ self.b() }}{{ self.b() }}{% endblock %}",
    # Each of these passes when one thing is not charged for, and then takes minutes.
    *(
        LARGE + MANY.format(body)
        for body in (
            "{% set n = x.isalpha() %}",
            "{% set n = x|wordcount %}",
            "{% set n = x[1:] %}",
            "{% set n = {}[x] is defined %}",
            "{% set n = dict(a=x) %}",
            "{% if x == y %}{% endif %}",
            "{% if 'a' in x %}{% endif %}",
            "{% if x is upper %}{% endif %}",
        )
    ),
    RANGE + "{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
    RANGE + "{% for a in r|select %}" + "{% if a %}{% endif %}" * 3000 + "{% endfor %}",
    RANGE + MANY.format("{% set s = r|sum %}"),
    RANGE + "{% for i in range(999) %}{% set s = r" + "|select" * 90 + "|sum %}{% endfor %}",
    RANGE + MANY.format("{% set c = cycler(*r) %}"),
    RANGE
    + "{% set d = dict.fromkeys(r|map('string')) %}"
    + MANY.format("{% set n = namespace(**d) %}"),
    RANGE
    + "{% for a in r recursive %}{% if loop.depth0 < 1 %}{% set s = loop(r|select) %}{% endif %}"
    + "{% if a %}{% endif %}" * 3000
    + "{% endfor %}",
    "{% macro f() %}"
    + "{% if 1 %}{% endif %}" * 3000
    + "{% endmacro %}"
    + MANY.format("{% set z = f() %}"),
    "{% set x = (1, 1) %}"
    + "{% set x = (x, x) %}" * 14
    + MANY.format("{% set n = {}[x] is defined %}"),
    "{% set x = (1, 1) %}" + "{% set x = (x, x) %}" * 14 + MANY.format("{% set n = {x: 1} %}"),
    *(
        "{% set x = 9 ** 249999 %}{% set y = 7 ** 150000 %}"
        + MANY.format("{% set z = x " + sign + " y %}")
        for sign in ("+", "-", "*", "/", "//", "%")
    ),
]


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_ends_in_an_error(bomb: str) -> None:
    failure(bomb)


@pytest.mark.parametrize(
    "bomb",
    [
        "{{ range(9999)|join('y' * 9999) }}",
        "{{ ('y' * 9999).join('y' * 9999) }}",
        "{{ ('y' * 9999)|replace('', 'y' * 9999) }}",
        "{{ ('y' * 9999).replace('', 'y' * 9999) }}",
        "{{ ('\n' * 9999)|indent('y' * 9999) }}",
        "{{ ('y ' * 9999)|wordwrap(1, wrapstring='y' * 9999) }}",
        "{{ [[[[1]]]]|tojson(indent=99999999) }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '%99999999d'|format(1) }}",
        "{{ '{:>99999999}'.format(1) }}",
        "{{ 'x'|center(99999999) }}",
        "{{ 'x'.ljust(99999999) }}",
        "{{ 'x' * 99999999 }}",
        "{{ [1]|batch(9999999, 'x')|list }}",
        "{{ [1]|slice(9999999)|list }}",
        "{% set x = 'x' * 99 %}" + "{% set x = x ~ x %}" * 20 + "{{ x|length }}",
        "{% set x = 'x' * 99 %}" + "{% set x = x + x %}" * 20 + "{{ x|length }}",
    ],
)
def test_a_bomb_fills_no_memory(bomb: str) -> None:
    tracemalloc.start()
    try:
        failure(bomb)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ 7 // 2 }} {{ 7 / 2 }} {{ 7 - 9 }} {{ 2 ** 40 }}", "3 3.5 -2 1099511627776"),
        ("{{ 2 ** -1 }} {{ 2 ** 8000 > 1 }}", "0.5 True"),
        ("{{ {(1, 2): 'a'}[(1, 2)] }}{{ {'b': 1, 2: 3}['b'] }}", "a1"),
        ("{{ [1, 2, 3][1:] }}{{ 'abc'[::-1] }}{{ 'abc'[:2] }}", "[2, 3]cbaab"),
    ],
)  # fmt: skip
def test_arithmetic_slices_and_look_ups_are_as_ever(template: str, shown: str) -> None:
    assert text(template) == shown


def test_much_is_possible_below_the_bounds() -> None:
    rows = text("{% for i in range(20000) %}{{ i }},{{ i * i }}\n{% endfor %}")
    assert rows.count("\n") == 20000


@pytest.mark.parametrize(
    "template",
    [
        "{{ wifi }}",
        "{{ wifi|upper }}",
        "{{ wifi[2:5] }}",
        "{{ wifi|length }}",
        "{{ wifi|tojson }}",
        "{{ wifi|list|join('-') }}",
        "{% set a = wifi %}{{ a|urlencode }}",
        "{% macro m(x) %}{{ x|first }}{% endmacro %}{{ m(wifi) }}",
        "{% for c in wifi %}{{ c }}{% endfor %}",
        "{{ net.psk }}",
        "{{ net|tojson }}",
        "{{ net['psk']|reverse }}",
        "{% for k, v in net.items() %}{{ k }}={{ v[0] }}{% endfor %}",
        "{{ net.values()|map('length')|list }}",
        "{{ nets[1].psk|upper|lower }}",
        "{{ nets|map(attribute='psk')|list|last|last }}",
    ],
)
def test_a_secret_is_known_to_be_in_a_content_whatever_it_went_through(template: str) -> None:
    variables = {"wifi": WIFI, "net": {"psk": WIFI}, "nets": [{"psk": "open"}, {"psk": WIFI}]}
    content = render(template, name="t", variables=variables)
    assert content.secrets == {WIFI.reveal()}
    assert WIFI.reveal() not in repr(content)


def test_a_secret_that_stays_out_is_not_in_the_content() -> None:
    variables = {"wifi": WIFI, "net": {"ssid": "home", "psk": WIFI}, "topic": "kitchen"}
    content = render("{{ net.ssid }}/{{ topic }}/{{ net|length }}", name="t", variables=variables)
    assert content.data == b"home/kitchen/2"
    assert not content.sensitive


def test_only_the_secrets_that_went_in_are_named() -> None:
    keys = {"a": Secret("a", "first"), "b": Secret("b", "second"), "c": Secret("c", "third")}
    content = render("{{ keys.a }}{{ keys['c']|length }}", name="t", variables={"keys": keys})
    assert content.secrets == {"first", "third"}


def test_a_secret_under_the_name_of_a_builtin() -> None:
    content = render("{{ range }}{{ dict }}", name="t", variables={"range": WIFI, "dict": "x"})
    assert content.secrets == {WIFI.reveal()}


@pytest.mark.parametrize(
    "template",
    [
        "{{ {}[wifi] }}",
        "{{ {}[wifi|upper] }}",
        "{{ wifi + 1 }}",
        "{{ ('%d' % wifi) }}",
        "{{ {}[net.psk] }}",
        "{{ wifi|int / 0 }}",
        "{{ [].index(wifi) }}",
    ],
)
def test_an_error_does_not_show_a_secret(template: str) -> None:
    error = failure(template, wifi=WIFI, net={"psk": WIFI})
    assert "hunter" not in f"{error} {error!r} {error.problem}".lower()
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_the_empty_secret_hides_nothing() -> None:
    assert not render("{{ a }}", name="t", variables={"a": Secret("a", "")}).sensitive


def test_a_path() -> None:
    assert (
        render_path("/conf/{{ name }}.json", variables={"name": "kitchen"}) == "/conf/kitchen.json"
    )
    assert render_path("/plain", variables={}) == "/plain"


@pytest.mark.parametrize("path", ["/{{ wifi }}", "/{{ net.psk|length }}", "/{{ nothing }}"])
def test_a_path_with_a_secret_or_nothing_in_it(path: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render_path(path, variables={"wifi": WIFI, "net": {"psk": WIFI}})
    assert "hunter" not in str(caught.value.problem)


def test_base64_of_a_secret_would_still_be_masked() -> None:
    encoded = base64.b64encode(WIFI.reveal().encode()).decode()
    content = render("{{ cred }}", name="t", variables={"cred": Secret("cred", encoded)})
    assert content.secrets == {encoded}


def test_what_python_thinks_of_a_template_s_code_is_not_shown() -> None:
    assert "not callable" in failure("{{ 2(3) }}").problem.message
