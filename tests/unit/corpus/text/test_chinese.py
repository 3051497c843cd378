"""Chinese of any age in both forms: told by script, one to de-duplication, cut where particles say so."""

import json

import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.clean.language import detect_language
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.segments.clauses import unpointed
from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.corpus.tables import read_rows
from rpt_core.corpus.text.han import SIMPLIFIED, han_share, simplified
from rpt_core.corpus.text.words import split_words
from rpt_core.errors import SourceError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe

TRADITIONAL = "臨江仙者詞牌名也，滾滾長江東逝水，浪花淘盡英雄。是非成敗轉頭空，青山依舊在，幾度夕陽紅。"
SIMPLE = "临江仙者词牌名也，滚滚长江东逝水，浪花淘尽英雄。是非成败转头空，青山依旧在，几度夕阳红。"


def test_every_form_is_folded_once():
    assert simplified(TRADITIONAL) == SIMPLE
    assert simplified(SIMPLE) == SIMPLE
    assert not set(SIMPLIFIED) & set(SIMPLIFIED.values())
    assert all(len(one) == len(other) == 1 and one != other for one, other in SIMPLIFIED.items())
    assert len(SIMPLIFIED) > 2500


def test_words_of_both_forms_are_equal_and_others_are_not():
    words = split_words([TRADITIONAL, SIMPLE, "髮發发", "国國 한국 Ωω"])
    first, second = (words.hashes_W[words.offsets[i] : words.offsets[i + 1]].tolist() for i in (0, 1))
    assert first == second
    assert len(set(words.hashes_W[words.offsets[2] : words.offsets[3]].tolist())) == 1
    last = words.hashes_W[words.offsets[3] :].tolist()
    assert last[0] == last[1] != last[2]


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("寥落古行宮，宮花寂寞紅。白頭宮女在，閑坐說玄宗。", "zh"),
        ("顏淵問仁子曰克己復禮為仁一日克己復禮天下歸仁焉", "zh"),
        ("努克的经济以渔业为主，1960年代，鳕鱼业相当发达。", "zh"),
        ("柏林（Berlin）是德意志联邦共和国首都", "zh"),
        ("東京は日本の首都であり、世界最大の都市の一つである。", "ja"),
        ("한국의 수도는 서울이며 漢字로는 京城이라 하였다. 오늘날 인구가 많다.", "ko"),
        ("呢個係我哋嘅屋企，佢哋唔喺度，你聽日再嚟啦，我哋一齊食飯。", "yue"),
        ("道可道", "und"),
        ("The Chinese word 中文 stands in an English sentence of some length.", "en"),
    ],
)
def test_language_by_script(text, lang):
    assert detect_language(text)[0] == lang


def test_share_of_han():
    assert han_share("") == han_share("abc") == han_share("ここは東京") == 0.0
    assert han_share("中文 ab") == 0.5


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (
            "子貢問政子曰足食足兵民信之矣子貢曰必不得已而去",
            ["子貢問政子曰", "足食足兵民信之矣", "子貢曰", "必不得已而去"],
        ),
        (
            "孟子见梁惠王王曰叟不远千里而来亦将有以利吾国乎孟子对曰王何必曰利",
            ["孟子见梁惠王王曰", "叟不远千里而来亦将有以利吾国乎", "孟子对曰", "王何必曰", "利"],
        ),
        ("天命之謂性率性之謂道修道之謂教是故君子戒慎乎其所不睹也哉恐懼", None),
        ("這是一個沒有標點的現代句子也是我們常常在網上看到的那種寫法", 1),
        ("中華人民共和國全國人民代表大會常務委員會", 1),
        ("学而时习之不亦说乎", 1),
        ("子曰：學而時習之不亦說乎有朋自遠方來不亦樂乎人不知而不慍", 1),
    ],
)
def test_clauses_without_punctuation(text, pieces):
    found = Splitter.train({}).split(text, "zh")
    shown = [text[start:end] for start, end in found]
    assert "".join(shown) == text
    if isinstance(pieces, list):
        assert shown == pieces
    elif pieces:
        assert len(shown) == pieces
    else:
        assert "是故君子戒慎乎" in shown
        assert any(piece.endswith("也哉") for piece in shown)


def test_clauses_are_cut_within_their_paragraph():
    text = "甲乙\n" + "學而時習之不亦說乎" * 3 + "\n丙丁"
    assert all(3 < cut < len(text) - 3 for cut in unpointed(text, 3, len(text) - 3))
    assert list(unpointed(text, 0, 2)) == []


def test_paragraphs_of_a_json_row_are_its_text_and_one_form_of_a_poem_is_kept(tmp_path):
    (tmp_path / "data").mkdir()
    rows = [
        {"chapter": f"第{number}章", "paragraphs": [text, "其二曰" + text[::-1]]}
        for number, text in enumerate((TRADITIONAL, SIMPLE))
    ]
    (tmp_path / "data" / "poems.json").write_text(json.dumps(rows, ensure_ascii=False))
    ingest(IngestRecipe(data=str(tmp_path / "data")), LocalBuild({}, tmp_path / "a", tmp_path / "s"))
    read = list(read_rows(tmp_path / "a" / "documents.parquet"))
    assert {row["title"] for row in read} == {"第0章", "第1章"}
    assert all("\n\n其二曰" in row["text"] for row in read)
    outcome = prepare(
        PrepareRecipe(documents=Ref(ref="x")),
        LocalBuild({"documents": tmp_path / "a"}, tmp_path / "b", tmp_path / "s2"),
    )
    assert outcome.rows.dropped == {"near-duplicate": 1}
    (kept,) = read_rows(tmp_path / "b" / "documents.parquet")
    assert kept["lang"] == "zh"
    assert len(list(read_rows(tmp_path / "b" / "segments.parquet"))) >= 4


@pytest.mark.parametrize("value", [[], [1, 2], ["a", None], {"a": "b"}, 3])
def test_a_list_that_is_no_paragraphs_is_no_text(tmp_path, value):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text(json.dumps({"title": "x", "paragraphs": value}) + "\n")
    with pytest.raises(SourceError, match="unrecognised-columns"):
        ingest(IngestRecipe(data=str(tmp_path / "data")), LocalBuild({}, tmp_path / "a", tmp_path / "s"))
