import pytest

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.latex.convert import to_text
from rpt_core.corpus.latex.encodings import decode_tex

RUSSIAN, POLISH, TURKISH = "Следствие верно всегда.", "Żółta gęś łąki.", "Işık değişti, şöyle."


@pytest.mark.parametrize(
    ("declared", "codec", "words"),
    [
        ("cp1251", "cp1251", RUSSIAN),
        ("koi8-r", "koi8-r", RUSSIAN),
        ("koi8-u", "koi8-u", "Її праця є тут."),
        ("cp866", "cp866", RUSSIAN),
        ("iso88595", "iso8859-5", RUSSIAN),
        ("maccyr", "mac-cyrillic", RUSSIAN),
        ("latin2", "iso8859-2", POLISH),
        ("cp1250", "cp1250", POLISH),
        ("macce", "mac-latin2", POLISH),
        ("latin5", "iso8859-9", TURKISH),
        ("latin9", "iso8859-15", "Œuvre à 5 €."),
        ("latin1", "latin-1", "Größe über alles."),
        ("ansinew", "cp1252", "„Größe“ — ja."),
        ("applemac", "mac-roman", "Élève à l'œuvre."),
        ("utf8", "utf-8", POLISH),
        ("utf8x", "utf-8", RUSSIAN),
        ("T1,koi8-r", "koi8-r", RUSSIAN),
    ],
)
def test_the_declared_encoding_counts(declared, codec, words):
    source = (
        f"\\documentclass{{a}}\\usepackage[{declared}]{{inputenc}}\\begin{{document}}{words}\\end{{document}}"
    )
    assert to_text({"a.tex": source.encode(codec)}, "a.tex").text == words


@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [
        ("GBK", "gbk", "我们证明这个定理。"),
        ("GB", "gb2312", "结果是好的。"),
        ("Bg5", "big5", "我們證明這個定理。"),
        ("SJIS", "shift_jis", "定理を証明する。"),
        ("JIS", "euc-jp", "定理を証明する。"),
        ("KS", "euc-kr", "정리를 증명한다."),
        ("UTF8", "utf-8", "一切都好。"),
    ],
)
def test_a_cjk_environment_names_its_own(name, codec, words):
    body = f"\\begin{{CJK*}}{{{name}}}{{x}}{words}\\end{{CJK*}}"
    source = f"\\documentclass{{a}}\\begin{{document}}{body}\\end{{document}}"
    assert to_text({"a.tex": source.encode(codec)}, "a.tex").text == words


def test_encodings_change_within_a_file_and_hold_for_its_inputs():
    main = b"\\documentclass{a}\\usepackage[latin2]{inputenc}\\begin{document}\\input{b}"
    main += "łąka \\inputencoding{cp1251}".encode("iso8859-2") + "дом".encode("cp1251") + b"\\end{document}"
    assert to_text({"a.tex": main, "b.tex": "gęś ".encode("iso8859-2")}, "a.tex").text == "gęś łąka дом"


@pytest.mark.parametrize("mark", ['\\XeTeXinputencoding "koi8-r" ', "% !TEX encoding = koi8-r\n"])
def test_engines_and_editors_declare_too(mark):
    assert decode_tex(mark.encode() + RUSSIAN.encode("koi8-r")).endswith(RUSSIAN)


def test_a_declaration_in_a_comment_is_none():
    assert decode_tex("% \\usepackage[cp1251]{inputenc}\nGröße".encode("latin-1")).endswith("Größe")


def test_valid_utf_8_is_utf_8_whatever_is_declared():
    assert decode_tex("\\usepackage[latin1]{inputenc} Größe".encode()).endswith("Größe")


def test_a_stray_byte_spoils_no_utf_8():
    assert decode_tex("Größe über älter öfter".encode() + b" caf\xe9") == "Größe über älter öfter café"


@pytest.mark.parametrize("codec", ["cp1251", "koi8-r"])
def test_no_words_are_made_of_bytes_nobody_can_read(codec):
    with pytest.raises(BrokenInput, match="no encoding is declared") as caught:
        decode_tex(RUSSIAN.encode(codec))
    assert caught.value.reason == "not-utf-8"


def test_an_unknown_encoding_is_named():
    with pytest.raises(BrokenInput, match="martian"):
        decode_tex(b"\\usepackage[martian]{inputenc} " + POLISH.encode("iso8859-2"))
