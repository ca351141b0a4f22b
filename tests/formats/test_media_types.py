"""Media types as clients spell them."""

import re

import pytest

from toolkit.formats.media_types import MediaType, parse, parse_list

SPELLINGS = {
    "text/csv": MediaType("text/csv"),
    "text/csv;label_size=0": MediaType("text/csv", {"label_size": "0"}),
    " text/csv ; label_size = 1 ": MediaType("text/csv", {"label_size": "1"}),
    "Application/JSON": MediaType("application/json"),
    'text/csv; charset="UTF-8"': MediaType("text/csv", {"charset": "UTF-8"}),
    r'text/csv; a="say \"hi\"; or, not"': MediaType("text/csv", {"a": 'say "hi"; or, not'}),
    "text/csv; Charset=UTF-8; Header=present": MediaType("text/csv", {"charset": "UTF-8", "header": "present"}),
    "application/jsonlines; verbose=true": MediaType("application/jsonlines", {"verbose": "true"}),
    "text/csv;": MediaType("text/csv"),
    "*/*;q=0.8": MediaType("*/*", {"q": "0.8"}),
}


@pytest.mark.parametrize(("text", "media_type"), SPELLINGS.items())
def test_spellings_of_a_media_type(text, media_type):
    assert parse(text) == media_type


@pytest.mark.parametrize(
    "text", ["", "text/", "text/csv charset", "text/csv; q", "a/b/c", "text/csv,", 'a/b; c="d', "é/ü"]
)
def test_what_is_no_media_type(text):
    with pytest.raises(ValueError, match=f"^{re.escape(repr(text))} is not a media type$"):
        parse(text)


def test_a_list_has_commas_between_but_not_within_quotes():
    assert parse_list('text/csv;a="1,2", */*;q=0.1,') == [
        MediaType("text/csv", {"a": "1,2"}),
        MediaType("*/*", {"q": "0.1"}),
    ]


def test_a_media_type_is_shown_as_it_is_written():
    assert str(parse("TEXT/csv;label_size=0;charset=utf-8")) == "text/csv; label_size=0; charset=utf-8"
