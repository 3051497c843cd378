"""A batch's digest covers all that the update was told; online evaluation depends on the weights alone."""

from dataclasses import replace

import pytest

from rpt_core.objectives.objective import Asked
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import Batch, collect
from rpt_core.train.rl.online_eval import online_eval
from rpt_core.train.rl.record import answer_rows, batch_digest
from rpt_core.train.rl.state import Progress
from tests.unit.train.rl.test_step import RECIPE, make_trainer


@pytest.fixture(scope="module")
def batch() -> Batch:
    return collect(make_trainer(), Progress(), Clock())


def with_group(batch: Batch, **changes) -> Batch:
    """The batch with its last group changed."""
    document = batch.documents[-1]
    groups = (*document.groups[:-1], replace(document.groups[-1], **changes))
    return replace(batch, documents=(*batch.documents[:-1], replace(document, groups=groups)))


def with_answer(batch: Batch, kind: str, **changes) -> Batch:
    """The batch with the last answer of its last group (``samples``) or its verdict changed."""
    rows = list(getattr(batch.documents[-1].groups[-1], kind))
    return with_group(batch, **{kind: [*rows[:-1], replace(rows[-1], **changes)]})


def with_trunk(batch: Batch, **changes) -> Batch:
    """The batch with the document of its first question changed."""
    first = batch.documents[0]
    asked = Asked(replace(first.asked.trunk, **changes), first.asked.questions)
    return replace(batch, documents=(replace(first, asked=asked), *batch.documents[1:]))


def told_otherwise(batch: Batch) -> dict[str, Batch]:
    group = batch.documents[-1].groups[-1]
    sample, verdict = group.samples[-1], group.verdicts[-1]
    trunk = batch.documents[0].asked.trunk
    cut = replace(trunk.cuts[0], suffix_ids=(9, 9))
    return {
        "reward": with_answer(batch, "verdicts", score=verdict.score + 0.25),
        "verdict": with_answer(batch, "verdicts", verdict="unparsed"),
        "end": with_answer(batch, "samples", finish="length" if sample.finish == "stop" else "stop"),
        "token": with_answer(batch, "samples", token_ids=(*sample.token_ids[:-1], 7)),
        "keep": with_group(batch, keep=not group.keep),
        "suffix": with_trunk(batch, cuts=(cut, *trunk.cuts[1:])),
        "document": with_trunk(batch, document_ids=(*trunk.document_ids[:-1], 9)),
        "name": with_trunk(batch, key="another"),
        "order": replace(batch, documents=batch.documents[::-1]),
    }


def test_a_digest_covers_all_an_update_was_told(batch: Batch):
    digests = {name: batch_digest(other) for name, other in told_otherwise(batch).items()}
    assert batch_digest(batch) not in digests.values()
    assert len(set(digests.values())) == len(digests)


def test_a_digest_leaves_out_what_depends_on_the_machine(batch: Batch):
    sample = batch.documents[-1].groups[-1].samples[-1]
    other = with_answer(batch, "samples", logprobs=tuple(x - 1e-6 for x in sample.logprobs))
    assert batch_digest(other) == batch_digest(batch)


def test_rows_of_answers_are_their_groups(batch: Batch):
    group = batch.documents[0].groups[0]
    rows = answer_rows(7, group)
    assert [row["reward"] for row in rows] == [verdict.score for verdict in group.verdicts]
    assert [row["verdict"] for row in rows] == [verdict.verdict for verdict in group.verdicts]
    assert [row["tokens"] for row in rows] == [len(sample.token_ids) for sample in group.samples]
    assert {(row["step"], row["position"]) for row in rows} == {(7, group.question.position)}
    assert answer_rows(7, group, 2) == rows[:2]


def test_a_quick_look_depends_on_the_weights_and_not_on_the_seed():
    one, two = (make_trainer(RECIPE.model_copy(update={"seed": seed})) for seed in (0, 1))
    assert online_eval(one) == online_eval(two)
    assert online_eval(one) == online_eval(one)
    samples = [[s for g in collect(t, Progress(), Clock()).groups for s in g.samples] for t in (one, two)]
    assert samples[0] != samples[1]
