"""The oracle on the second edition's text, whose teacher errs: which thoughts are paid, and where."""

import re

import pytest

from rpt_core.errors import RecipeError
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.codec import Codec
from rpt_core.recipes.objectives import OracleObjective
from rpt_core.sample.second.kinds import KINDS
from rpt_core.sample.second.measures import fault_of, is_true_chain
from rpt_core.sample.second.questions import concluded, spoken, walk
from tests.unit.corpus.second_corpus import second_documents, write_second_corpus
from tests.unit.difficulty.small_difficulty import write_difficulty
from tests.unit.objectives.test_objectives import answer, policy_recipe

NUM = 40
LANGUAGES = ("en", "zh")
KNOWN = second_documents(NUM, *LANGUAGES)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Both languages, and a codec whose tokens may end inside a character."""
    codec = Codec.train([one.text for one in KNOWN.values()], 420, tmp_path_factory.mktemp("codec"))
    folder = write_second_corpus(tmp_path_factory.mktemp("corpus"), NUM, *LANGUAGES)
    write_difficulty(folder, codec)
    return codec, {"corpus": folder, "difficulty": folder}


def opened(world, **fields):
    codec, inputs = world
    settings = OracleObjective(prompt="compact", chains="world", **fields)
    recipe = policy_recipe(objective=settings).model_copy(update={"context_tokens": 512})
    return open_objective(recipe, inputs, codec)


def told(document):
    """Each claim's place in the text, found by its words alone, with its question."""
    reached = KINDS[document.kind].reached
    places = [match.end() for match in re.finditer(re.escape(reached), document.text)]
    return dict(zip(places, document.questions, strict=True))


def asked_at_claims(codec, asked):
    """Questions of an objective that stand at a claim, with what the generator asked there."""
    for one in asked:
        claims = told(KNOWN[one.questions[0].document])
        for question in one.questions:
            before = codec.decode(one.trunk.document_ids[: question.position])
            yield question, claims.get(len(before))


def test_every_claim_of_the_text_has_its_true_chain_and_no_other_place_has_one(world):
    objective = opened(world)
    asked, _ = objective.draw(1, 0, 4000)
    found = [*asked_at_claims(world[0], asked), *asked_at_claims(world[0], objective.held_out(4000))]
    assert {question.chain for question, claim in found if claim is None} == {None}
    claims = [(question, claim) for question, claim in found if claim is not None]
    assert all(question.chain == claim.thought for question, claim in claims)
    assert {KINDS[claim.kind].language.code for _, claim in claims} == set(LANGUAGES)
    assert len({claim for _, claim in claims}) > NUM


def test_a_rightly_boxed_hasty_thought_earns_nothing_and_the_true_chain_one(world):
    codec, objective = world[0], opened(world)
    asked, _ = objective.draw(1, 0, 4000)
    tried = 0
    for question, claim in asked_at_claims(codec, asked):
        if claim is None or claim.num_steps < 2:
            continue
        kind = KINDS[claim.kind]
        gap = kind.language.gap
        hasty = spoken(kind, claim.start, walk(kind, claim.start, claim.phrases[-1:]))
        truth, other = codec.decode(question.truth_ids[:1]), "?!"
        said = [
            answer(codec, gap + claim.thought, truth),
            answer(codec, gap + hasty, truth),
            answer(codec, gap + claim.thought, other),
            answer(codec, f"{gap}{claim.thought}{gap}{claim.truth}", truth),
            answer(codec, "", truth),
        ]
        found = [objective.question.judge(question, one) for one in said]
        # the box holds the truth's first token, which may not be a whole character: then nobody is right
        is_text = "\ufffd" not in truth
        assert [v.verdict == "correct" for v in found] == [is_text, is_text, False, is_text, is_text]
        assert [v.score for v in found] == [float(is_text), 0.0, 0.0, 0.0, 0.0]
        assert fault_of(claim, hasty) == "hasty"
        tried += is_text
    assert tried > NUM


def test_what_is_paid_is_what_the_study_calls_verified(world):
    """A lucky fault: the hasty thought's own conclusion is the truth, and it is still not paid."""
    codec, objective = world[0], opened(world)
    asked, _ = objective.draw(1, 0, 4000)
    lucky = 0
    for question, claim in asked_at_claims(codec, asked):
        if claim is None or claim.num_steps < 3:
            continue
        kind = KINDS[claim.kind]
        steps = walk(kind, claim.start, claim.phrases[-1:])
        if concluded(kind, claim.start, steps) != claim.truth:
            continue
        thought = spoken(kind, claim.start, steps)
        found = objective.question.judge(
            question, answer(codec, thought, f"{kind.language.gap}{claim.truth}")
        )
        assert (found.verdict, found.score) == ("correct", 0.0)
        assert not is_true_chain(claim, found.thought)
        lucky += 1
    assert lucky


def test_traces_that_may_err_are_no_chains(world):
    codec, inputs = world
    recipe = policy_recipe(objective=OracleObjective(prompt="compact"))
    with pytest.raises(RecipeError, match=r"Set objective\.chains=world"):
        open_objective(recipe, inputs, codec)
