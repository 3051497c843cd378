"""File names of artifacts: each rule at its edge, and what a refusal says."""

import pytest

from rpt_core.artifacts.names import check_distinct, checked_path, is_plain, is_sha256


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/etc//x", "'/etc//x' is absolute"),
        ("a/../b", "has a part '..'"),
        ("a/./b", "has a part '.'"),
        ("a//b", "has a part ''"),
        ("a\\b", "holds a backslash or begins with a drive"),
        ("C:x", "holds a backslash or begins with a drive"),
        ("a\tb", "holds a control character or half a character"),
        ("a\x7fb", "holds a control character or half a character"),
        ("a\udc80b", "holds a control character or half a character"),
        ("é" * 128, "is longer than file systems allow"),
        ("/".join(["a" * 204] * 5) + "b", "is longer than file systems allow"),
        ("Manifest.JSON", "is that of the manifest itself"),
    ],
)
def test_a_refusal_says_which_rule_was_broken(name: str, problem: str):
    with pytest.raises(ValueError, match="would leave the artifact's folder") as raised:
        checked_path(name)
    assert f"{problem}, so it would" in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "é" * 127 + "a",  # 255 bytes
        "/".join(["a" * 204] * 5),  # 1,024 bytes
        "model/manifest.json",
        "ab:c",
        "1:c",
        "...",
        ".hidden",
        "a b",
        "\U0001f600",
    ],
)
def test_what_lies_just_within_the_rules_passes(name: str):
    assert checked_path(name) == name


def test_a_long_name_is_shown_by_its_first_80_characters():
    with pytest.raises(ValueError, match="is longer") as raised:
        checked_path("x" * 79 + "yz" + "w" * 300)
    assert f"the file name '{'x' * 79}y' is longer" in str(raised.value)


def test_names_that_are_one_file_somewhere_are_told_in_their_order():
    with pytest.raises(ValueError, match="the file names 'd/é' and 'D/E\u0301' are one file on some systems"):
        check_distinct(["a", "d/é", "D/E\u0301", "z"])
    with pytest.raises(ValueError, match="'A' is named as a file and, by 'a/b/c', as a folder"):
        check_distinct(["a/b/c", "A"])
    with pytest.raises(ValueError, match="'a/B' is named as a file and, by 'a/b/c/d', as a folder"):
        check_distinct(["x", "a/B", "a/b/c/d"])
    check_distinct(["a/b", "a/c", "ab", "b/a", "a.b/c"])


@pytest.mark.parametrize("part", ["a", "7", "_x", "a.b+c-d_9", "Z" * 300])
def test_a_plain_part(part: str):
    assert is_plain(part)


@pytest.mark.parametrize("part", ["", ".a", "-a", "+a", "a/b", "a b", "a\n", "é", "a:b"])
def test_a_part_that_is_not_plain(part: str):
    assert not is_plain(part)


def test_a_sha256_is_64_small_hex_digits():
    assert is_sha256("0123456789abcdef" * 4)
    for text in ("0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", ""):
        assert not is_sha256(text)
