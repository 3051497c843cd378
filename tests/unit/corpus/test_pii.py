import pytest

from rpt_core.corpus.pii import find, mask


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("write to ada.l+x@mail.example.co.uk.", "EMAIL", "ada.l+x@mail.example.co.uk"),
        ("server 203.0.113.77 answered", "IP", "203.0.113.77"),
        ("host 2001:db8:85a3::8a2e:370:7334 up", "IP", "2001:db8:85a3::8a2e:370:7334"),
        ("card 4539 5787 6362 1486 ok", "CARD", "4539 5787 6362 1486"),
        ("card 378282246310005 ok", "CARD", "378282246310005"),
        ("to DE89 3704 0044 0532 0130 00 please", "IBAN", "DE89 3704 0044 0532 0130 00"),
        ("to GB82WEST12345698765432 please", "IBAN", "GB82WEST12345698765432"),
        ("ssn 536-22-8726 there", "US_SSN", "536-22-8726"),
        ("cpf 529.982.247-25 there", "NATIONAL_ID", "529.982.247-25"),
        ("dni 12345678Z there", "NATIONAL_ID", "12345678Z"),
        ("PESEL 44051401359 there", "NATIONAL_ID", "44051401359"),
        ("id 11010519491231002X there", "NATIONAL_ID", "11010519491231002X"),
        ("cf RSSMRA85T10A562S there", "NATIONAL_ID", "RSSMRA85T10A562S"),
        ("nir 1 84 12 76 451 089 46 there", "NATIONAL_ID", "1 84 12 76 451 089 46"),
        ("nino AB 12 34 56 C there", "NATIONAL_ID", "AB 12 34 56 C"),
        ("key ghp_" + "a1B2" * 9 + " there", "SECRET", "ghp_" + "a1B2" * 9),
        ("key AKIAIOSFODNN7EXAMPLE there", "SECRET", "AKIAIOSFODNN7EXAMPLE"),
    ],
)
def test_every_type_is_found_whole(text, name, value):
    (found,) = find(text)
    assert (found.name, text[found.start : found.end]) == (name, value)
    assert mask(text)[0] == text.replace(value, f"<{name}>")


@pytest.mark.parametrize(
    "text",
    [
        "See Section 2.10.3.12 and version 1.2.3.4 of it.",
        "requires foo==1.2.3.4 and v10.4.11.2",
        "the sum 4539 5787 6362 1487 is no card",
        "formula $4539578763621486$ and `4539578763621486` are shielded",
        "```\nx = 4539578763621486\n```",
        "ISBN 978-3-16-148410-0, born 1912-06-23, pages 1234-5678",
        "DE89 3704 0044 0532 0130 01 fails its check",
        "000-22-8726 and 666-22-8726 and 536-00-8726",
        "at 12:34:56 on 3:4",
        "the ratio 1.2.3 and 300.300.300.300",
        "12345678A has the wrong letter",
        "user@localhost and @handle and a@b",
        "π = 3.14159265358979323846264338327950288",
        "0.0.0.0 and 127.0.0.1 belong to nobody",
    ],
)
def test_look_alikes_stay(text):
    assert mask(text) == (text, {})


def test_phones_only_when_asked_for():
    text = "call +49 30 901820 or (555) 123-4567"
    assert mask(text) == (text, {})
    assert mask(text, phones=True) == ("call <PHONE> or <PHONE>", {"PHONE": 2})


def test_masking_twice_changes_nothing():
    once, counts = mask("a@b.org, a@b.org and 203.0.113.77")
    assert (once, counts) == ("<EMAIL>, <EMAIL> and <IP>", {"EMAIL": 2, "IP": 1})
    assert mask(once) == (once, {})
