"""The whole scoring as one module: trunk pass, branch pass and head in a single ``forward``.

A back end that partitions parameters (ZeRO-3) gathers them in hooks around a module's ``forward``. Outside of
one, the head's product fails or, through ``lm_head``, is silently wrong (DeepSpeed 0.19: a gradient's norm of
0.55 for 1.53); inside of one, two passes through the layers and the head's bare matrix are right. So this is
the only way in which a trainer calls its model.

Letters: N scored answer tokens, M scored document tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor, nn

from rpt_core.policy.forward import BranchScores, DocumentScores, Layout, branch_logprobs, document_scores
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Answers, Trunk

Scored = tuple[BranchScores, Tensor, Tensor, Tensor | None, Tensor | None]
"""The scores, and their tensors with gradient once more, where hooks of a module's outputs look for them."""


class Scorer(nn.Module):
    """Scores answers and documents under one policy.

    A back end that partitions registers :attr:`head` as a parameter which ``forward`` reads directly.
    """

    def __init__(self, policy: Policy) -> None:
        """Wrap a policy; its parameters stay where they are."""
        super().__init__()
        self.policy = policy
        self.model = policy.model

    @property
    def head(self) -> Tensor:
        """The head's matrix ``(vocab, hidden)``, which ``forward`` multiplies with directly."""
        return self.policy.output_weight

    def forward(
        self,
        trunks: Sequence[Trunk],
        answers: Answers | None,
        layout: Layout,
        temperature: float,
        with_document: bool,
        as_drawn: bool,
    ) -> Scored | tuple[DocumentScores, Tensor, Tensor]:
        """Score answers, or documents alone where ``answers`` is None.

        Tensors stand in a plain tuple: a back end's hooks on outputs do not look into other types.
        """
        if answers is None:
            own = document_scores(self.policy, trunks)
            return own, own.nll_M, own.entropies_M  # (M,)
        scores = branch_logprobs(
            self.policy, trunks, answers, layout, temperature, with_document=with_document, as_drawn=as_drawn
        )
        document = scores.document
        return (
            scores,
            scores.logprobs_N,  # (N,)
            scores.entropies_N,  # (N,)
            document.nll_M if document else None,  # (M,)
            document.entropies_M if document else None,  # (M,)
        )


def score_branches(
    module: Callable[..., Scored],
    trunks: Sequence[Trunk],
    answers: Answers,
    layout: Layout,
    temperature: float,
    *,
    with_document: bool,
    as_drawn: bool,
) -> BranchScores:
    """:func:`rpt_core.policy.forward.branch_logprobs` by a :class:`Scorer` or what a back end made of it."""
    scores, logprobs_N, entropies_N, nll_M, own_entropies_M = module(
        trunks, answers, layout, temperature, with_document, as_drawn
    )
    document = scores.document
    if document is not None and nll_M is not None and own_entropies_M is not None:
        document = replace(document, nll_M=nll_M, entropies_M=own_entropies_M)
    return replace(scores, logprobs_N=logprobs_N, entropies_N=entropies_N, document=document)


def score_documents(
    module: Callable[..., tuple[DocumentScores, Tensor, Tensor]], trunks: Sequence[Trunk]
) -> DocumentScores:
    """:func:`rpt_core.policy.forward.document_scores` the same way."""
    own, nll_M, entropies_M = module(trunks, None, "two-pass", 1.0, True, False)
    return replace(own, nll_M=nll_M, entropies_M=entropies_M)
