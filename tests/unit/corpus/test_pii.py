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


MASKED_NUMBERS = {
    "CARD": [
        "4539578763628",  # Visa of 13 digits
        "4539578763621486123",  # and of 19
        "30569309025904",  # Diners of 14
        "4111111111112424",  # three different digits
        "378282246310005",
    ],
    "US_SSN": ["899-22-8726", "536 22 8726", "001-01-0001"],
    "NATIONAL_ID": [
        "123.456.788-10",  # CPF: remainder 1 gives the check digit 0
        "X1234567L", "Y1234567X", "Z1234567R",  # Spain's foreigners
        "PESEL 44051401380",  # its check digit is 0
        "PESEL 44053101356",  # born on a 31st
        "11010519491231002x",
        "110105200001010024",
        "110105189912310023",
        "1 84 12 2A 451 089 33",  # born in southern Corsica
        "2 55 08 2B 168 025 27",  # and in northern
        "2 55 08 14 160 012 97",  # the key for a number that 97 divides
        "MRTMTT91D08F205J",
        "AA 12 34 56 D",
    ],
    "IBAN": ["de89 3704 0044 0532 0130 00", "FR14 2004 1010 0505 0001 3M02 606", "NO93 8601 1117 947"],
    "IP": ["2001:db8:0:0:0:0:2:1", "10.0.0.1", "255.255.255.254"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, numbers in MASKED_NUMBERS.items() for number in numbers]
)
def test_every_branch_of_a_checksum_finds_its_numbers(name: str, number: str):
    word, _, digits = number.rpartition(" ") if number.startswith("PESEL") else ("it is", "", number)
    assert mask(f"{word} {digits} there") == (f"{word} <{name}> there", {name: 1})


@pytest.mark.parametrize(
    "number",
    [
        "4444444444444448",  # passes Luhn, of two different digits
        "45395787636217",  # passes Luhn, but no Visa has 14 digits
        "601100000099011",
        "900-22-8726", "536-22-0000", "536-22 8726",
        "529.982.247-35", "529.982.247-26",  # the first check digit, the second
        "111.111.111-11",  # both right, one digit only
        "X1234567M",
        "PESEL 44051401381", "PESEL 44053201353", "PESEL 44050001352",  # check digit, day 32, day 0
        "44051401380",  # not called a PESEL
        "110105194913310021", "110105194900310022",  # month 13, month 0
        "110105194912320025", "110105194912000021", "110105174912310021",  # day 32, day 0, year 1749
        "110105194912310021",  # the check character should be X
        "1 84 12 2A 451 089 60", "2 55 08 2B 168 025 97", "2 55 08 76 168 025 14",
        "RSSMRA85T10A562T",
        "BG 12 34 56 C", "GB 12 34 56 C", "KN 12 34 56 C", "NK 12 34 56 C", "NT 12 34 56 C",
        "TN 12 34 56 C", "ZZ 12 34 56 C", "AB 12 34 56 E",
        "DE89 3704 0044 0532 0130 0", "XX89370400440532013000",
        "255.255.255.255", "256.1.1.1", "::1",
        "RFC 1.2.3.4", "table 10.0.0.1", "==10.0.0.1", "fig. 1.2.3.4",
    ],
)  # fmt: skip
def test_numbers_that_fail_one_rule_stay(number: str):
    assert mask(f"it is {number} there") == (f"it is {number} there", {})


def test_a_number_is_a_pesel_only_when_its_name_is_near():
    assert mask("PESEL" + " " * 35 + "44051401359")[1] == {"NATIONAL_ID": 1}
    assert mask("PESEL" + " " * 36 + "44051401359")[1] == {}


def test_secrets_are_found_in_code_and_formulas_too():
    token = "ghp_" + "a1B2" * 9
    assert mask(f"```\nx = '{token}'\n```") == ("```\nx = '<SECRET>'\n```", {"SECRET": 1})
    assert mask(f"`{token}` and ${token}$") == ("`<SECRET>` and $<SECRET>$", {"SECRET": 2})


def test_counts_are_by_type_and_text_between_values_stays():
    text = "A 203.0.113.77, b@c.org; 536-22-8726 and d@e.org!"
    assert mask(text) == ("A <IP>, <EMAIL>; <US_SSN> and <EMAIL>!", {"EMAIL": 2, "IP": 1, "US_SSN": 1})
