"""`value; name=parameter` fields: RFC 9110 section 5.6.6 and RFC 8187."""


import pytest

from tests.support.growth import assert_linear
from tremolo.protocol.options import decode_extended, parse_options_header

VALID = {
    "empty": ("", "", {}),
    "value alone": ("Text/HTML ", "text/html", {}),
    "token": ("text/html; charset=utf-8", "text/html", {"charset": "utf-8"}),
    "name in capitals": ("a/b;CharSet=UTF-8", "a/b", {"charset": "UTF-8"}),
    "spaces around the semicolon": ("a/b \t; \tx=1 ; y=2", "a/b", {"x": "1", "y": "2"}),
    "stray semicolons": ("a/b;; ;x=1;", "a/b", {"x": "1"}),
    "empty parameter": ("a/b; x=; y=", "a/b", {"x": "", "y": ""}),
    "quoted": ('a/b; x="1; y=2"; z=3', "a/b", {"x": "1; y=2", "z": "3"}),
    "empty quoted": ('a/b; x=""', "a/b", {"x": ""}),
    "escaped quotation mark": (r'a; x="\"1\""', "a", {"x": '"1"'}),
    "escaped backslash": (r'a; x="1\\"; y=2', "a", {"x": "1\\", "y": "2"}),
    "backslash that escapes nothing": (r'a; x="C:\new"', "a", {"x": r"C:\new"}),
    "backslash at the very end": ('a; x="C:\\new\\" ', "a", {"x": "C:\\new\\"}),
    "unquoted characters of all kinds": (
        "a; x=/=?:@()<>[]{},é",
        "a",
        {"x": "/=?:@()<>[]{},é"},
    ),
    "UTF-8": ('a; x="größe"'.encode(), "a", {"x": "größe"}),
    "not UTF-8": (b'a; x="gr\xf6"', "a", {"x": "gr\ufffd"}),
}


@pytest.mark.parametrize("value, kind, parameters", VALID.values(), ids=VALID)
def test_a_field_is_taken_apart(value, kind, parameters):
    assert parse_options_header(value) == (kind, parameters)


INVALID = {
    "parameter without a value": "a; x",
    "space before the equals sign": "a; x =1",
    "space after the equals sign": "a; x= 1",
    "two words": "a; x=1 2",
    "no semicolon after a quoted string": 'a; x="1"2',
    "open quotation": 'a; x="1',
    "quotation mark inside": 'a; x=1"2',
    "no name": "a; =1",
    "name that is no token": "a; x(=1",
    "twice": "a; x=1; X=1",
    "escape that closes nothing": 'a; x="1\\"; y="2"',
}


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID)
def test_a_malformed_parameter_is_refused(value):
    with pytest.raises(ValueError):
        parse_options_header(value)


@pytest.mark.parametrize(
    "value, decoded",
    [
        ("UTF-8''%e2%82%ac%20rates", "€ rates"),
        ("utf-8'de'a", "a"),
        ("iso-8859-1'en'%A3", "£"),
        ("UTF-8''", ""),
    ],
)
def test_an_extended_parameter_is_decoded(value, decoded):
    assert decode_extended(value) == decoded


@pytest.mark.parametrize(
    "value", ["", "a", "'", "''a", "utf-16''a", "utf-8''%ff", "utf-8''a b"]
)
def test_a_malformed_extended_parameter_is_refused(value):
    with pytest.raises(ValueError):
        decode_extended(value)


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(lambda n: 'a; x="' + "\\" * n, id="backslashes"),
        pytest.param(lambda n: 'a; x="' + '\\"' * (n // 2), id="escaped quotation marks"),
        pytest.param(lambda n: 'a; x="' + '\\" ' * (n // 3) + "x", id="escapes and spaces"),
        pytest.param(lambda n: "a" + "; " * (n // 2) + "x", id="semicolons"),
        pytest.param(lambda n: "a;" + " " * n + "x", id="spaces"),
        pytest.param(lambda n: "a; x=" + "y" * n + " z", id="long token"),
        pytest.param(lambda n: "a; x=1" + " " * n + "z", id="spaces after a token"),
        pytest.param(lambda n: 'a; x="' + "a" * n, id="open quotation"),
        pytest.param(lambda n: 'a; x="' + "a" * n + '"b', id="junk after a quotation"),
        pytest.param(lambda n: "a; " + "!" * n, id="name without a value"),
    ],
)
def test_a_hostile_field_takes_linear_time(hostile):
    def work(size):
        value = hostile(size)

        def parse():
            with pytest.raises(ValueError):
                parse_options_header(value)
        return parse

    assert_linear(work)


@pytest.mark.parametrize(
    "value",
    [
        "text/html; charset=utf-8",
        'multipart/form-data; boundary="a b"; x=1',
        'form-data; name="a"; filename="b.txt"',
        r'form-data; name="a\"b"',
    ],
)
def test_werkzeug_agrees(value):
    http = pytest.importorskip("werkzeug.http")
    assert parse_options_header(value) == http.parse_options_header(value)
