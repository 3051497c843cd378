"""Next-segment reasoning on real Chinese and Japanese text, with a real tokenizer."""

import os
import shutil
from pathlib import Path

import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact, Ref
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.llm.prompt import field
from rpt_core.objectives.evidence import Pair
from rpt_core.objectives.next_segment import objective as rlpt
from rpt_core.objectives.next_segment.judge import CachedJudge
from rpt_core.objectives.next_segment.judge_prompt import prompt
from rpt_core.objectives.next_segment.prompts import wrapped
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from rpt_core.recipes.reinforce import RlptRecipe
from rpt_core.recipes.rlpt_objective import RlptObjective
from tests.toys import judge_group

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data")) / "wikipedia"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"real dumps: {DATA} is absent (RPT_TEST_DATA)"),
]
NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)
ENDS = tuple("。！？」』）.!?)\n:：;；")


class No:
    """A judge that refuses everything, and notes what it was asked."""

    name = "no"

    def __init__(self):
        self.asked: list[Pair] = []

    def ask(self, pairs):
        self.asked += pairs
        return ["no"] * len(pairs)

    def close(self):
        pass


@pytest.fixture(scope="module", params=["ja", "zh"])
def corpus(request, tmp_path_factory) -> Path:
    """One real dump, read and prepared by the two stages."""
    root = tmp_path_factory.mktemp(request.param)
    (root / "dumps").mkdir()
    shutil.copy(DATA / f"{request.param}wiki-mini.xml.bz2", root / "dumps")
    ingest(IngestRecipe(data=str(root / "dumps")), LocalBuild({}, root / "a", root / "scratch"))
    recipe = PrepareRecipe(documents=Ref(ref="x"), eval_share=0.2)
    prepare(recipe, LocalBuild({"documents": root / "a"}, root / "c", root / "scratch2"))
    return root / "c"


def posed(corpus, codec, share, judge):
    objective = RlptObjective(
        prompt="worded", msr_share=share, min_before=1, min_chars=6, reference_segments=3
    )
    recipe = RlptRecipe(
        corpus=NOWHERE, start=NOWHERE, judge=NOWHERE, objective=objective, context_tokens=1024,
        cuts_per_document=6,
    )  # fmt: skip
    found = rlpt.Rlpt(recipe, {"corpus": corpus}, codec, CachedJudge(judge, pauses_seconds=()))
    asked, _ = found.draw(1, 0, 60)
    return found, asked


def answered(codec, text: str) -> Sample:
    ids = (*codec.encode("思考"), *wrapped(codec, tuple(codec.encode(text))))
    return Sample(ids, (0.0,) * len(ids), "stop")


def test_cuts_stand_at_sentence_ends(corpus, codecs):
    codec = codecs["qwen2"]
    found, asked = posed(corpus, codec, 0.5, No())
    assert found.targets.num >= 50
    before = [
        codec.decode(one.trunk.document_ids[: cut.position]).rstrip(" ")
        for one in asked
        for cut in one.trunk.cuts
    ]
    assert sum(text.endswith(ENDS) for text in before) > 0.9 * len(before)
    for one in asked:
        for cut, question in zip(one.trunk.cuts, one.questions, strict=True):
            after = codec.decode(one.trunk.document_ids[cut.position :]).strip()
            assert after.startswith(question.truth) or question.truth.startswith(after)


def test_the_gap_s_other_side_is_shown_as_the_text_has_it(corpus, codecs):
    """No space before a sentence where the language puts none."""
    codec = codecs["qwen2"]
    _, asked = posed(corpus, codec, 1.0, No())
    num_unspaced = 0
    for one in asked:
        document = codec.decode(one.trunk.document_ids)
        for question in one.questions:
            shown = codec.decode(question.following_ids)
            at = document.find(shown.strip()[:24])
            if at > 0:  # else it lies beyond the window
                assert shown.startswith(" ") == document[at - 1].isspace()
                num_unspaced += not shown.startswith(" ")
    assert num_unspaced >= 20


def test_what_the_text_says_is_right_and_the_judge_reads_the_rest(corpus, codecs):
    codec, judge = codecs["qwen2"], No()
    found, asked = posed(corpus, codec, 0.0, judge)
    one = next(
        one for one in asked if len(one.questions[0].prefixes) > 1 and len(one.questions[0].truth) > 20
    )
    question = one.questions[0]
    other = question.truth[: len(question.truth) // 2] + "とは言えない時もある。"
    verdicts = judge_group(found,
        one, 0,
        [
            answered(codec, question.truth),
            answered(codec, question.prefixes[1]),
            answered(codec, other),
            answered(codec, f"{question.truth}<|startofprediction|>"),
        ],
    )  # fmt: skip
    assert [one.verdict for one in verdicts[:2]] == ["correct", "correct"]
    assert verdicts[2].verdict == "wrong"
    assert verdicts[3].verdict == "unparsed"
    assert [pair.predicted for pair in judge.asked] == [other]
    words = prompt(question.prefixes[-1], other, "prefix")
    assert judge.asked[0] == Pair(question.prefixes[-1], other, "prefix")
    assert field(question.prefixes[-1]) in words
    assert field(other) in words
