"""What ends a sentence in any script, and what cannot begin one."""

import time

import pytest
import regex

from rpt_core.corpus.segments.sentence_ends import MARKS, TERMINALS, goes_on, is_small, loose, marked


def pieces(splitter, text, lang=""):
    found = splitter.split(text, lang)
    assert "".join(text[start:end] for start, end in found) == text
    return [text[start:end].strip() for start, end in found]


@pytest.mark.parametrize(
    "text",
    [
        "“Wait!” cried the boy, and ran.",
        "“Who is there?” asked she.",
        "The magazine Jeopardy! sold well.",
        "He bought it from Krüger & Co. & Sons in town.",
        "They asked the Sen. & Rep. to come.",
        "He paused . . . and went on.",
        "He paused ... and went on.",
        "Sein Ruf „Feuer!“ weckte sie.",
        "„Kommst du?“, fragte er.",
        "Она спросила: «Кто там?» — и ушла.",
        "Le mot « stop ! » fut dit.",
        "« Entrez ! » dit-elle.",
        "Ο Γιάννης ρώτησε «τι;» και έφυγε.",
        "「待って！」と叫んだ。",
        "『誰？』って聞いた。",
        "母は「もういい。」などと言う。",
        "“明天见。”她说。",
        '이것은 "좋다."라고 말했다',
        "پی۔ایچ۔ڈی کی سند",
        "値は３．１４です",
    ],
)
def test_one_sentence(splitter, text):
    assert len(pieces(splitter, text)) == 1, pieces(splitter, text)


@pytest.mark.parametrize(
    ("text", "num"),
    [
        ("أين أنت؟ أنا هنا. لماذا؟ لا أعرف.", 4),
        ("یہ کتاب ہے۔ وہ کہاں ہے؟ میز پر۔", 3),
        ("Նա եկավ։ Հետո գնաց։ Վերջ։", 3),
        ("ውሃ ጠጣ። ለምን፧ ጠማኝ።", 3),
        ("ውሃ ጠጣ፡፡ ሄደ፡፡", 2),
        ("Ποιος είσαι; Δεν ξέρω. Γιατί;", 3),
        ("သူလာတယ်။ ငါသွားတယ်၊ ပြန်လာတယ်။", 2),
        ("គាត់មក។ ខ្ញុំទៅ។ ចប់៕", 3),
        ("वह आया। कौन? मैं गया॥ अंत।", 4),
        ("শেষ। শুরু।", 2),
        ("བོད་ཡིག་ཡིན། འདི་དཔེ་ཆ་རེད། བཟང་།", 3),
        ("ᠪᠢ ᠢᠷᠡᠪᠡ᠃ ᠲᠡᠷᠡ ᠶᠠᠪᠤᠪᠠ᠃", 2),
        ("ܐܢܐ ܐܬܝܬ܀ ܗܘ ܐܙܠ܀", 2),
        ("他来了。她走了！真的吗？是的。", 4),
        ("結果を示す．次に述べる．", 2),
        ("「行こう。」「うん。」", 2),
        ("子曰：「學而時習之。」有子曰：「其為人也孝弟。」", 2),
        ("Il entra. « Bonjour. » Puis il partit.", 3),
        ("გამარჯობა ხალხო. ეს არის წინადადება. კარგია.", 3),
        ("Really?! Yes. It is.", 3),
        ("A dog came… The cat left.", 2),
    ],
)
def test_ends_of_many_scripts(splitter, text, num):
    assert len(pieces(splitter, text)) == num, pieces(splitter, text)


def test_an_opening_guillemet_stands_with_its_sentence(splitter):
    assert pieces(splitter, "Il est là. « Halte ! » Puis il partit.") == [
        "Il est là.", "« Halte ! »", "Puis il partit.",
    ]  # fmt: skip
    assert pieces(splitter, "»Halt!« Dann ging er.") == ["»Halt!«", "Dann ging er."]


def test_a_verse_s_number_belongs_to_its_verse(splitter):
    assert pieces(splitter, "राम आये॥ १ ॥ सीता गयी॥ २ ॥") == ["राम आये॥ १ ॥", "सीता गयी॥ २ ॥"]


def test_who_writes_small_letters_only_is_cut_by_points(splitter):
    text = "i went home. it was late! nobody was there. why? no idea."
    assert len(pieces(splitter, text, "en")) == 5
    assert len(pieces(splitter, "We went home. it was late.", "en")) == 1
    assert len(pieces(splitter, "She was ill. we left.", "en")) == 1
    assert len(pieces(splitter, "The food was fine. i really liked it. we left.", "en")) == 3


def test_informal_ends_come_before_a_capital_alone(splitter):
    text = "It was fun :) We come back... Maybe in May *** Bye now"
    assert pieces(splitter, text, "en") == ["It was fun :)", "We come back...", "Maybe in May ***", "Bye now"]
    assert list(loose("he laughed :) and left... slowly, ratio 3:D is odd")) == []
    assert list(loose("Er kaufte... Brot", "de")) == []
    assert list(loose("well... I think", "en")) == []


def test_marks_are_those_of_unicode():
    """The property as of the ``regex`` package; what it has besides is historic or has another use."""
    assert all(regex.fullmatch(r"\p{STerm}", mark) for mark in TERMINALS)
    living = [chr(code) for code in range(0x80, 0x10000) if regex.fullmatch(r"\p{STerm}", chr(code))]
    assert {*living} - {*MARKS} <= {*"\u104a\u2024\ufe52\u2e60\u2e61"}


@pytest.mark.parametrize("mark", sorted(set(MARKS) - {"\uff0e"}), ids=lambda mark: f"{ord(mark):04X}")
def test_every_mark_ends_a_sentence(mark):
    text = f"αα{mark} Ββ"
    assert list(marked(text)) == [4]


def test_what_cannot_begin_a_sentence():
    for text in ("& Co", "and so", "“and so", ", he", ") then", "... then", "= 5", "élan"):
        assert goes_on(text, 0), text
    for text in ("And so", "“And", "5 men", "(He", "[…] He", "東京", "ეს", "=5", ".NET", "ªb", "$x$ is"):
        assert not goes_on(text, 0), text
    assert is_small("é")
    assert not is_small("ა")


@pytest.mark.parametrize(
    "unit", ["。", "؟ ", "। 1 ", "www.", "..", "*", ":)", "α;", "」", "。」", "♥", "፡", "．", "x… "]
)
def test_time_grows_with_the_text_alone(unit):
    def seconds(num):
        text = unit * (num // len(unit)) + "é"
        started = time.process_time()
        for _ in marked(text):
            pass
        for _ in loose(text):
            pass
        return time.process_time() - started

    seconds(3_000)
    small, large = min(seconds(30_000) for _ in range(3)), min(seconds(120_000) for _ in range(3))
    assert large < 10 * small + 0.02
