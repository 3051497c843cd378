"""Rollouts: the right distribution, the log-probabilities they were drawn with, and no trace of the batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from rpt_core.errors import EngineError, RecipeError
from rpt_core.policy.engines import torch_engine
from rpt_core.policy.engines.draws import BOUNDARY, inverse_cdf, stream_keys, truncate, uniforms
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import branch_logprobs, prefill
from rpt_core.policy.layout import lay_out, like_lengths
from rpt_core.policy.load import save_policy
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from tests.toys import random_tree, save_tiny_model, tiny_policy

CUTS = [[(0, 2), (3, 1), (3, 0), (9, 5)], [], [(5, 2)], [(12, 0)]]
SAMPLING = Sampling(0.8, 14, frozenset({5, 6, 7, 8}), 3, seed=1)


def _ids(drawn):
    return [[[list(sample.token_ids) for sample in group] for group in trunk] for trunk in drawn]


def test_returned_logprobs_are_those_of_separate_rows():
    policy, (trunks, _) = tiny_policy(sharpness=2.0), random_tree(0, CUTS)
    drawn = TorchEngine(policy).generate(trunks, SAMPLING, step=3)
    scores = branch_logprobs(policy, trunks, _ids(drawn), "rows", SAMPLING.temperature)
    returned = [x for trunk in drawn for group in trunk for sample in group for x in sample.logprobs]
    ratio = np.exp(scores.logprobs_N.detach().numpy() - np.array(returned))
    assert np.abs(ratio - 1).max() < 1e-5


def test_answers_end_at_a_stop_or_at_the_limit():
    trunks, _ = random_tree(0, CUTS)
    engine = TorchEngine(tiny_policy(sharpness=1.5))
    samples = [s for trunk in engine.generate(trunks, SAMPLING, 1) for group in trunk for s in group]
    assert {sample.finish for sample in samples} == {"stop", "length"}
    for sample in samples:
        ends = [token in SAMPLING.stop_ids for token in sample.token_ids]
        assert not any(ends[:-1])
        assert ends[-1] == (sample.finish == "stop")
        assert sample.finish == "stop" or len(sample.token_ids) == SAMPLING.max_new_tokens


def test_every_cut_may_end_its_answers_by_tokens_of_its_own():
    policy, (trunks, _) = tiny_policy(sharpness=1.5), random_tree(0, CUTS)
    own = frozenset({9, 10, 11, 12, 13})
    (first, *others), *rest = [list(trunk.cuts) for trunk in trunks]
    mixed = [
        replace(trunk, cuts=tuple(cuts))
        for trunk, cuts in zip(trunks, [[replace(first, stop_ids=own), *others], *rest], strict=True)
    ]
    engine, sampling = TorchEngine(policy), replace(SAMPLING, group_size=8)
    found, usual = engine.generate(mixed, sampling, 1), engine.generate(trunks, sampling, 1)
    assert _ids(found)[0][1:] == _ids(usual)[0][1:]
    assert _ids(found)[1:] == _ids(usual)[1:]
    others = [
        (found[0][1:], usual[0][1:]),
        *((cuts, same) for cuts, same in zip(found[1:], usual[1:], strict=True)),
    ]
    for cuts, same in others:  # in another batch, whose last bits some processors round otherwise
        for group, drawn in zip(cuts, same, strict=True):
            for one, other in zip(group, drawn, strict=True):
                assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    ended = [sample.token_ids[-1] for sample in found[0][0] if sample.finish == "stop"]
    assert ended
    assert set(ended) <= own
    assert all(not own & set(sample.token_ids[:-1]) for sample in found[0][0])


def test_the_same_answers_whatever_the_batch():
    policy, (trunks, _) = tiny_policy(sharpness=2.0), random_tree(0, CUTS)
    whole = TorchEngine(policy).generate(trunks, SAMPLING, 1)
    engine = TorchEngine(policy, answers_per_batch=3)
    assert _ids(engine.generate(trunks, SAMPLING, 1)) == _ids(whole)
    assert _ids(engine.generate(trunks[::-1], SAMPLING, 1))[::-1] == _ids(whole)
    fewer = [replace(trunk, cuts=trunk.cuts[1:]) for trunk in trunks]
    assert _ids(engine.generate(fewer, SAMPLING, 1)) == [cuts[1:] for cuts in _ids(whole)]
    more = engine.generate(trunks, replace(SAMPLING, group_size=5), 1)
    assert [[group[:3] for group in cuts] for cuts in _ids(more)] == _ids(whole)
    assert _ids(engine.generate(trunks, SAMPLING, 2)) != _ids(whole)
    assert _ids(engine.generate(trunks, replace(SAMPLING, seed=2), 1)) != _ids(whole)


def _of_length(number, length):
    return Trunk(f"{number}", (3,), tuple(9 + (number + i) % 20 for i in range(length)), (Cut(length, (7,)),))


@pytest.mark.parametrize("long", [[200], [200, 90, 199], [200, 40, 41]])
@pytest.mark.parametrize("steps", ["called", "simulated"])
def test_one_long_trunk_does_not_forward_all_others_at_its_width(long, steps):
    lengths = [9 + i % 4 for i in range(100)] + long
    trunks = [_of_length(number, length) for number, length in enumerate(lengths)]
    trunks = trunks[1::2] + trunks[::2]
    policy, sampling = tiny_policy(sharpness=2.0), replace(SAMPLING, group_size=2)
    engine = TorchEngine(policy, steps=steps)
    drawn = engine.generate(trunks, sampling, 1)
    one_by_one = TorchEngine(policy, answers_per_batch=1)
    assert _ids(drawn) == _ids(one_by_one.generate(trunks, sampling, 1))
    num_trunk_tokens = prefill(policy, lay_out(trunks, [[[]] for _ in trunks]))[2]
    assert num_trunk_tokens < 2 * sum(lengths) + len(lengths) * 2 < len(trunks) * max(lengths)


def test_trunks_of_like_length_are_prefilled_in_one_pass():
    trunks = [_of_length(number, 30 + number) for number in range(25)]
    tree = lay_out(trunks, [[[]] for _ in trunks])
    ((rows, width),) = like_lengths(tree)
    assert rows.tolist() == list(range(25))
    assert width == max(trunk.num_tokens for trunk in trunks)


def test_no_pass_over_trunks_is_larger_than_it_may_be(monkeypatch):
    trunks = [_of_length(number, 20 + number % 9) for number in range(50)]
    trunks += [_of_length(number, 400) for number in range(50, 53)]
    policy, sampling = tiny_policy(sharpness=2.0), replace(SAMPLING, group_size=2)
    whole = TorchEngine(policy).generate(trunks, sampling, 1)
    monkeypatch.setattr("rpt_core.policy.layout.PASS_SLOTS", 300)
    tree = lay_out(trunks, [[[]] for _ in trunks])
    sizes = [(len(rows), width) for rows, width in like_lengths(tree)]
    assert all(rows * width <= 300 or rows == 1 for rows, width in sizes)
    assert sorted(int(row) for rows, _ in like_lengths(tree) for row in rows) == list(range(53))
    assert _ids(TorchEngine(policy).generate(trunks, sampling, 1)) == _ids(whole)


def test_one_large_trunk_does_not_widen_all_others(monkeypatch):
    monkeypatch.setattr("rpt_core.policy.engines.torch_engine.PADDED_FREE", 1)
    small = [Trunk(f"small {i}", (3,), (4, 5, 6, 7), (Cut(2, (7,)),)) for i in range(30)]
    large = Trunk("large", (3,), tuple(range(4, 44)), tuple(Cut(at, (7,)) for at in range(2, 34)))
    policy, sampling = tiny_policy(sharpness=2.0), replace(SAMPLING, group_size=2)
    engine = TorchEngine(policy)
    batches = list(engine._batches([*small[:15], large, *small[15:]], 2))
    assert sorted(map(len, batches)) == [1, 30]
    drawn = engine.generate([*small[:15], large, *small[15:]], sampling, 1)
    assert _ids(drawn[15:16]) == _ids(TorchEngine(policy).generate([large], sampling, 1))
    assert _ids(drawn[:15] + drawn[16:]) == _ids(TorchEngine(policy).generate(small, sampling, 1))


def test_forced_tokens_come_first_and_are_scored():
    policy, (trunks, _) = tiny_policy(), random_tree(0, CUTS)
    sampling = replace(SAMPLING, forced_ids=(9, 5), max_new_tokens=6)
    drawn = TorchEngine(policy).generate(trunks, sampling, 1)
    assert {
        ids[:2] == [9, 5] and len(ids) > 2 for trunk in _ids(drawn) for group in trunk for ids in group
    } == {True}
    scores = branch_logprobs(policy, trunks, _ids(drawn), "rows", sampling.temperature)
    returned = [x for trunk in drawn for group in trunk for sample in group for x in sample.logprobs]
    np.testing.assert_allclose(scores.logprobs_N.detach().numpy(), returned, atol=1e-4)


def test_drawn_tokens_follow_the_softmax():
    policy = tiny_policy(sharpness=2.0)
    trunk = Trunk("doc", (3,), (4, 5, 6), (Cut(2, (7,)),))
    sampling = Sampling(0.7, 1, frozenset(), 20_000, seed=0)
    drawn = TorchEngine(policy).generate([trunk], sampling, 1)[0][0]
    counts = np.bincount([sample.token_ids[0] for sample in drawn], minlength=64)
    answers = [[[[token] for token in range(64)]]]
    expected = (
        branch_logprobs(policy, [trunk], answers, "rows", 0.7).logprobs_N.detach().double().exp().numpy()
    )
    assert expected.min() * 20_000 > 5
    assert chisquare(counts, expected / expected.sum() * 20_000).pvalue > 1e-3


def test_truncated_sampling_keeps_the_head_and_its_own_logprobs():
    policy, (trunks, _) = tiny_policy(sharpness=2.0), random_tree(0, CUTS)
    best = TorchEngine(policy).generate(trunks, replace(SAMPLING, top_k=1), 1)
    assert {x for trunk in best for group in trunk for s in group for x in s.logprobs} == {0.0}
    assert _ids(best)[0][0][0] == _ids(best)[0][0][1]


def test_the_likeliest_token_is_that_of_the_draw_it_saves_ties_included(monkeypatch):
    policy, (trunks, _) = tiny_policy(sharpness=2.0), random_tree(0, CUTS)
    greedy = replace(SAMPLING, top_k=1)
    quick = _ids(TorchEngine(policy).generate(trunks, greedy, 1))
    with torch.no_grad():
        policy.output_weight[40:] = policy.output_weight[:24]  # two of each, so that most draws have a tie
    tied = _ids(TorchEngine(policy).generate(trunks, greedy, 1))
    monkeypatch.setattr(torch_engine, "_likeliest", lambda _: None)
    assert _ids(TorchEngine(policy).generate(trunks, greedy, 1)) == tied
    policy = tiny_policy(sharpness=2.0)
    assert _ids(TorchEngine(policy).generate(trunks, greedy, 1)) == quick


def test_top_p_keeps_the_smallest_head_that_reaches_the_mass():
    logits = torch.tensor([[0.1, 0.5, 0.15, 0.25]]).log()
    kept = truncate(logits, 0, 0.7).softmax(1)
    torch.testing.assert_close(kept, torch.tensor([[0.0, 2 / 3, 0.0, 1 / 3]]))
    torch.testing.assert_close(truncate(logits, 3, 1.0).softmax(1)[0, 0], torch.tensor(0.0))


@pytest.mark.parametrize("vocab", [3, 256, 700])
def test_inverse_cdf_is_the_cumulative_sum(vocab):
    rng = np.random.default_rng(vocab)
    probs = rng.dirichlet(np.full(vocab, 0.1), 500).astype(np.float32)
    numbers = rng.random(500)
    numbers[:2] = 0.0, np.nextafter(1.0, 0)
    tokens, distance = inverse_cdf(torch.from_numpy(probs), torch.from_numpy(numbers))
    ends = np.cumsum(probs.astype(np.float64), 1)
    expected = [np.searchsorted(end, u * end[-1], side="right") for end, u in zip(ends, numbers, strict=True)]
    agree = tokens.numpy() == np.minimum(expected, vocab - 1)
    assert agree[distance.numpy() > 1e-9].all()
    assert (probs[np.arange(500), tokens] > 0).all()


def test_uniform_numbers_are_uniform_and_keyed():
    keys = stream_keys(0, 1, [("doc", "3.0", answer) for answer in range(2000)])
    numbers = torch.cat([uniforms(keys, position) for position in range(10)]).numpy()
    assert chisquare(np.histogram(numbers, 50, (0, 1))[0]).pvalue > 1e-3
    assert abs(np.corrcoef(uniforms(keys, 0), uniforms(keys, 1))[0, 1]) < 0.1
    assert len(set(stream_keys(0, 1, [("a", "1.0", 0), ("b", "1.0", 0), ("a", "1.1", 0)]).tolist())) == 3


def test_close_draws_are_counted():
    engine = TorchEngine(tiny_policy())
    trunks, _ = random_tree(0, CUTS)
    engine.generate(trunks, replace(SAMPLING, group_size=200), 1)
    assert engine.num_draws > 5000
    at_most = 2 * BOUNDARY * 64 * engine.num_draws  # two sides of 64 boundaries
    assert 0 < engine.num_close_draws < 2 * at_most
    near = Trunk("near", (3,), (4,), (Cut(1),))
    engine = TorchEngine(tiny_policy(sharpness=0.0, vocab=60_000))  # equal intervals shorter than 2e-5
    engine.generate([near], replace(SAMPLING, max_new_tokens=2), 1)
    assert engine.num_close_draws == engine.num_draws


def test_weights_travel_by_file(tmp_path):
    policy = save_tiny_model(tmp_path / "model")
    with torch.no_grad():
        policy.output_weight.mul_(2)
    save_policy(policy, tmp_path / "new")
    other = save_tiny_model(tmp_path / "model")
    engine = TorchEngine(other)
    engine.load_weights(tmp_path / "new", version=2)
    assert engine.version == 2
    assert torch.equal(other.output_weight, policy.output_weight)
    with pytest.raises(EngineError, match=r"do not fit .*: lm_head\.weight is missing there"):
        TorchEngine(tiny_policy("llama", tied=False)).load_weights(tmp_path / "new", 1)


def test_impossible_sampling_is_refused_by_field():
    with pytest.raises(RecipeError, match=r"temperature 0 .*top_p 0"):
        Sampling(0, 10, frozenset(), 1, 0, top_p=0)


@pytest.mark.parametrize(
    ("chances", "number", "token"),
    [
        ([0.0, 1.0], 0.0, 1),
        ([0.5, 0.5], 0.5, 1),
        ([0.5, 0.0, 0.5], 0.5, 2),
        ([0.25, 0.25, 0.5], 0.25, 1),
        ([0.5, 0.5, 0.0], 1 - 2**-53, 1),
        ([0.0] * 300 + [0.5] + [0.0] * 300 + [0.5], 0.0, 300),
        ([0.0] * 300 + [0.5] + [0.0] * 300 + [0.5], 0.5, 601),
    ],
)
def test_on_a_boundary_the_token_above_it_is_drawn(chances: list[float], number: float, token: int):
    numbers = torch.tensor([number], dtype=torch.float64)
    found, distance = inverse_cdf(torch.tensor([chances]), numbers)
    assert found.tolist() == [token]
    assert float(distance) == pytest.approx(0.0, abs=1e-9)


def test_truncation_keeps_ties_at_the_edge_and_the_token_that_crosses_the_mass():
    logits = torch.log(torch.tensor([[0.4, 0.3, 0.2, 0.1]], dtype=torch.float64))

    def kept(top_k: int, top_p: float) -> list[int]:
        return torch.isfinite(truncate(logits, top_k, top_p))[0].nonzero()[:, 0].tolist()

    assert [kept(k, 1.0) for k in (0, 1, 3, 9)] == [[0, 1, 2, 3], [0], [0, 1, 2], [0, 1, 2, 3]]
    assert [kept(0, p) for p in (0.39, 0.41, 0.69, 0.71, 0.95)] == [
        [0], [0, 1], [0, 1], [0, 1, 2], [0, 1, 2, 3],
    ]  # fmt: skip


def test_every_part_of_a_key_makes_another_stream():
    keys = [
        int(stream_keys(seed, step, [(key, cut, answer)]))
        for seed, step, key, cut, answer in [
            (0, 1, "a", "7", 0), (1, 1, "a", "7", 0), (0, 2, "a", "7", 0), (0, 1, "b", "7", 0),
            (0, 1, "a", "8", 0), (0, 1, "a", "7", 1),
        ]
    ]  # fmt: skip
    assert len(set(keys)) == 6
    assert len({float(uniforms(torch.tensor(keys[:1]), position)) for position in range(50)}) == 50


def splitmix(state: int) -> int:
    """The generator of Steele, Lea and Flood (2014), written out in whole numbers."""
    z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_draws_are_those_of_the_published_generator():
    keys = stream_keys(3, 7, [("doc", "7", 0), ("doc", "7", 1), ("other", "1", 2)])
    for position in (0, 1, 63, 2_000):
        states = [(int(key) + (position + 1) * 0x9E3779B97F4A7C15) % 2**64 for key in keys.tolist()]
        wanted = [(splitmix(state) >> 11) * 2.0**-53 for state in states]
        assert uniforms(keys, position).tolist() == wanted


def test_a_negative_number_of_likeliest_tokens_is_refused():
    with pytest.raises(RecipeError, match=r"top_k -1"):
        replace(SAMPLING, top_k=-1)
