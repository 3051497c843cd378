"""One module scores all: the same bits as the functions, and weights are read inside its forward alone."""

import pytest
import torch

from rpt_core.policy.forward import branch_logprobs, document_scores
from rpt_core.policy.scorer import Scorer, score_branches, score_documents
from tests.toys import gradients, random_tree, tiny_policy

TRUNKS, ANSWERS = random_tree(7, [[(2, 1), (5, 2)], [(4, 0)]])
OPTIONS = {"with_document": True, "as_drawn": True}


class Partitioned(Scorer):
    """What ZeRO-3 does, in small: weights are empty outside of a forward, and outputs of it are watched.

    In the backward pass parameters are gathered when the gradient first reaches an output of the module, as
    DeepSpeed's hooks do: found in plain tuples and nowhere else.
    """

    def __init__(self, policy):
        super().__init__(policy)
        self.stored = {name: p.data for name, p in self.model.named_parameters()}
        self.release()

    def release(self):
        for parameter in self.model.parameters():
            parameter.data = torch.empty(0)

    def gather(self):
        for name, parameter in self.model.named_parameters():
            parameter.data = self.stored[name]

    def __call__(self, *inputs):
        self.gather()
        outputs = super().__call__(*inputs)
        self.release()
        assert type(outputs) is tuple
        return tuple(self._watched(one) if isinstance(one, torch.Tensor) else one for one in outputs)

    def _watched(self, output):
        output = output.view_as(output)
        output.register_hook(lambda gradient: self.gather())
        return output


@pytest.mark.parametrize("layout", ["two-pass", "packed", "rows"])
@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_read_inside_of_the_forward_alone(layout, tied):
    found = []
    for module in (Scorer, Partitioned):
        policy = tiny_policy(tied=tied, sharpness=1.5)
        if module is Partitioned:  # whose sizes a back end reads before it partitions
            assert policy.unknown_ids is None
            assert policy.work.flops == 0
        scorer = module(policy)
        scores = score_branches(scorer, TRUNKS, ANSWERS, layout, 0.8, **OPTIONS)
        own = score_documents(scorer, TRUNKS)
        loss = scores.logprobs_N.mean() + scores.document.nll_M.mean() + own.nll_M.mean()
        loss.backward()
        found.append((scores, own, gradients(policy)))
    (plain, plain_own, expected), (ours, own, gradient) = found
    assert torch.equal(ours.logprobs_N, plain.logprobs_N)
    assert torch.equal(ours.document.nll_M, plain.document.nll_M)
    assert torch.equal(own.nll_M, plain_own.nll_M)
    assert gradient.keys() == expected.keys()
    assert all(torch.equal(gradient[name], expected[name]) for name in expected)


def test_the_same_bits_as_the_functions():
    policy = tiny_policy(sharpness=1.5)
    scorer = Scorer(policy)
    for options in (OPTIONS, {"with_document": False, "as_drawn": False}):
        ours = score_branches(scorer, TRUNKS, ANSWERS, "two-pass", 0.8, **options)
        theirs = branch_logprobs(policy, TRUNKS, ANSWERS, "two-pass", 0.8, **options)
        assert torch.equal(ours.logprobs_N, theirs.logprobs_N)
        assert torch.equal(ours.entropies_N, theirs.entropies_N)
        assert (ours.document is None) == (not options["with_document"])
    assert torch.equal(score_documents(scorer, TRUNKS).nll_M, document_scores(policy, TRUNKS).nll_M)
    assert set(scorer.state_dict()) == {f"model.{name}" for name in policy.model.state_dict()}
