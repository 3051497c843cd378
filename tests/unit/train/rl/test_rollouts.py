"""Questions shared out over ranks: each answered once, all told to all; and what evidence is given."""

from types import SimpleNamespace

import pytest

from rpt_core.objectives.evidence import Needs, Pair, Wanted
from rpt_core.objectives.objective import Verdict
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from rpt_core.train.clock import Clock
from rpt_core.train.rl import rollouts
from rpt_core.train.rl.evidence import _judged, _refuse_undeclared
from rpt_core.train.rl.rollouts import answered, answered_in_turn
from tests.contracts.backends import Ranks
from tests.unit.train.rl.batches import question, sample

SAMPLING = Sampling(0.9, 10, frozenset({1}), 3, seed=2)


def asked_of(key: str, length: int, *suffixes: int):
    cuts = tuple(Cut(2 + i, (2,) * suffix) for i, suffix in enumerate(suffixes))
    trunk = Trunk(key, (4, 5), tuple(range(20, 20 + length)), cuts)
    return SimpleNamespace(trunk=trunk, questions=tuple(question(key, cut.position) for cut in cuts))


ASKED = [asked_of("a", 9, 1), asked_of("b", 30, 2, 0, 3), asked_of("c", 12), asked_of("d", 7, 4)]


def test_a_question_takes_its_trunk_its_suffix_and_the_longest_answers():
    sizes = [rollouts._most_tokens(one.trunk, SAMPLING) for one in ASKED]
    assert sizes == [11 + 31, 32 + (32 + 30 + 33), 14, 9 + 34]


class Engine:
    """Draws one answer a cut, as long as the trunk's key says; forwards and works by the trunk."""

    def __init__(self):
        self.num_forwarded, self.flops, self.asked = 100, 1000.0, []

    def generate(self, trunks, sampling, step):
        self.asked.append(([trunk.key for trunk in trunks], sampling, step))
        self.num_forwarded += sum(trunk.num_tokens for trunk in trunks)
        self.flops += sum(2.0 * trunk.num_tokens for trunk in trunks)
        return [[[sample(1 + ord(trunk.key) - ord("a"))] for _ in trunk.cuts] for trunk in trunks]


def verdicts(asked, drawn, evidence):
    told = 0.5 if evidence is None else evidence
    return [[[Verdict(told, "scored", 0, len(s.token_ids)) for s in cut] for cut in one] for one in drawn]


@pytest.mark.parametrize("rewarded", [True, False])
def test_every_question_is_answered_by_one_rank_and_told_to_all(monkeypatch, rewarded):
    ranks, engines = Ranks(2), [Engine(), Engine()]
    objective = SimpleNamespace(wanted=lambda asked, drawn: len(asked), verdicts=verdicts)
    monkeypatch.setattr(rollouts, "measured", lambda trainer, asked, wanted: (0.25, 7 * wanted, 3.0))

    def work(rank):
        backend = SimpleNamespace(
            rank=rank, world_size=2, all_gather=lambda value: ranks.all_gather(rank, value)
        )
        trainer = SimpleNamespace(engine=engines[rank], objective=objective, backend=backend)
        return answered(trainer, ASKED, SAMPLING, 6, Clock(), rewarded=rewarded)

    found = ranks.run(work)
    assert found[0] == found[1]
    assert [engine.asked for engine in engines] == [[(["b"], SAMPLING, 6)], [(["a", "c", "d"], SAMPLING, 6)]]
    lengths = [[[len(s.token_ids) for s in cut] for cut in one] for one in found[0].drawn]
    assert lengths == [[[1]], [[2], [2], [2]], [], [[4]]]
    score = 0.25 if rewarded else 0.5
    assert [[[v.score for v in cut] for cut in one] for one in found[0].verdicts] == [
        [[score]], [[score]] * 3, [], [[score]],
    ]  # fmt: skip
    trunks = 11 + 32 + 14 + 9
    assert found[0].forwarded == trunks + (4 * 7 if rewarded else 0)
    assert found[0].flops == 2.0 * trunks + (2 * 3.0 if rewarded else 0)


class AsksTwice:
    """At first about the end of every document; then about as many places as its key says, none of "a"."""

    def further(self, step, asked, drawn):
        assert [[[len(s.token_ids) for s in cut] for cut in one] for one in drawn] == [[[1]], [[2]], [[4]]]
        return [asked_of(one.trunk.key, 9, *range(ord(one.trunk.key) - ord("a"))) for one in asked]

    def concluded(self, asked, drawn, further, found):
        totals = [sum(v.score for cut in one for v in cut) for one in found]
        return [[[Verdict(total, "scored", 0, 1)]] for total in totals]

    def wanted(self, asked, drawn):
        return len(asked)

    verdicts = staticmethod(verdicts)


def test_what_is_asked_further_is_answered_by_all_ranks_and_joined_to_the_first(monkeypatch):
    """A document whose answers lead to nothing keeps its first question alone."""
    monkeypatch.setattr(rollouts, "measured", lambda trainer, asked, wanted: (0.25, 7 * wanted, 3.0))
    monkeypatch.setattr(
        rollouts, "Asked", lambda trunk, questions: SimpleNamespace(trunk=trunk, questions=questions)
    )
    asked = [asked_of(key, 9, 5) for key in ("a", "b", "d")]
    found = {}
    for world_size in (1, 2):
        ranks, engines = Ranks(world_size), [Engine() for _ in range(world_size)]

        def work(rank, ranks=ranks, engines=engines, world_size=world_size):
            backend = SimpleNamespace(
                rank=rank, world_size=world_size, all_gather=lambda value: ranks.all_gather(rank, value)
            )
            trainer = SimpleNamespace(
                engine=engines[rank],
                objective=AsksTwice(),
                backend=backend,
                sampling_at=lambda step: SAMPLING,
            )
            return answered_in_turn(trainer, asked, 6, Clock())

        of_ranks = ranks.run(work) if world_size > 1 else [work(0)]
        assert all(one == of_ranks[0] for one in of_ranks)
        found[world_size] = of_ranks[0]
    (together, one), (_, two) = found[1], found[2]
    assert (one.drawn, one.verdicts, one.forwarded) == (two.drawn, two.verdicts, two.forwarded)
    assert [[cut.position for cut in each.trunk.cuts] for each in together] == [[2], [2, 2], [2, 2, 3, 4]]
    assert [len(each.questions) for each in together] == [1, 2, 4]
    lengths = [[[len(s.token_ids) for s in cut] for cut in each] for each in one.drawn]
    assert lengths == [[[1]], [[2], [2]], [[4]] * 4]
    scores = [[v.score for cut in each for v in cut] for each in one.verdicts]
    assert scores == [[0.0], [0.25, 0.25], [0.75, 0.25, 0.25, 0.25]]
    assert one.forwarded == (3 + 2) * 11 + (3 + 2) * 7
    assert one.flops == 2.0 * (3 + 2) * 11 + 2 * 3.0


def test_a_rank_without_a_question_draws_and_judges_nothing():
    ranks, engines = Ranks(2), [Engine(), Engine()]
    objective = SimpleNamespace(verdicts=verdicts)

    def work(rank):
        backend = SimpleNamespace(
            rank=rank, world_size=2, all_gather=lambda value: ranks.all_gather(rank, value)
        )
        trainer = SimpleNamespace(engine=engines[rank], objective=objective, backend=backend)
        return answered(trainer, ASKED[:1], SAMPLING, 6, Clock(), rewarded=False)

    assert [one.forwarded for one in ranks.run(work)] == [11, 11]
    assert [len(engine.asked) for engine in engines] == [1, 0]


def test_drawing_and_judging_are_timed_apart():
    names = []

    class Watched(Clock):
        def phase(self, name):
            names.append(name)
            return super().phase(name)

    backend = SimpleNamespace(rank=0, world_size=1)
    objective = SimpleNamespace(verdicts=verdicts)
    trainer = SimpleNamespace(engine=Engine(), objective=objective, backend=backend)
    answered(trainer, ASKED, SAMPLING, 6, Watched(), rewarded=False)
    assert names == ["rollout", "reward"]


def test_a_judge_is_asked_once_about_all_that_needs_it():
    asked = []

    class Judge:
        def ask(self, pairs):
            asked.append([(pair.reference, pair.predicted) for pair in pairs])
            return ["yes", "no", "unparsed"][: len(pairs)]

    trainer = SimpleNamespace(objective=SimpleNamespace(judge=Judge()))
    pairs = [[[Pair("a", "b"), None], [None]], [[Pair("c", "d")], [Pair("e", "f"), None]]]
    assert _judged(trainer, pairs) == [[["yes", None], [None]], [["no"], ["unparsed", None]]]
    assert asked == [[("a", "b"), ("c", "d"), ("e", "f")]]
    assert _judged(trainer, None) == ()


@pytest.mark.parametrize(
    ("wanted", "declared", "name"),
    [
        (Wanted(plain=[]), Needs(plain=True), "plain"),
        (Wanted(tails=[]), Needs(forced=True), "forced"),
        (Wanted(pairs=[]), Needs(judge=True), "judge"),
        (Wanted(reference_tails=[]), Needs(reference_decay=0.0), "reference_decay"),
    ],
)
def test_evidence_that_was_not_declared_is_a_mistake(wanted, declared, name):
    def trainer(needs):
        return SimpleNamespace(objective=SimpleNamespace(name="toy", needs=needs, judge=None))

    _refuse_undeclared(trainer(declared), wanted)
    _refuse_undeclared(trainer(Needs()), Wanted())
    others = Needs(
        *(getattr(declared, f) is False for f in ("plain", "forced", "judge")), reference_decay=0.5
    )
    if name == "reference_decay":
        others = Needs(True, True, True)
    with pytest.raises(TypeError, match=rf"toy asks for evidence .* declare \({name}\)"):
        _refuse_undeclared(trainer(others), wanted)
    if name == "judge":  # declared, but there is none to ask
        bare = SimpleNamespace(objective=SimpleNamespace(name="toy", needs=declared))
        with pytest.raises(TypeError, match=r"\(judge\)"):
            _refuse_undeclared(bare, wanted)
