"""Muon: momentum whose matrix is replaced by the nearest one with equal singular values.

The same rule as ``torch.optim.Muon`` with ``adjust_lr_fn="match_rms_adamw"``, but the Newton-Schulz products
are taken in float32 and over all matrices of a shape at once. torch's takes them one by one in bfloat16,
which a processor without bfloat16 units emulates: 460 ms against 28 ms a step for the sample world's
model, five times what its forward and backward pass cost.

Letters: B matrices of one shape, I the shorter side, J the longer.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose slope at zero is steepest; singular values end between about 0.7 and 1.2."""
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; for 2-D weights only.

    Args:
        params: Matrices.
        lr: Learning rate; the update's root mean square is 0.2 times it, as AdamW's typically is.
        momentum: Share of the old momentum kept.
        weight_decay: Decoupled, times the rate.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.9, weight_decay: float = 0.05
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step with the gradients there are."""
        loss = closure() if closure else None
        for group in self.param_groups:
            directions: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    wide = self._direction(matrix, group["momentum"])
                    wide = wide if wide.shape[0] <= wide.shape[1] else wide.mT
                    directions[tuple(wide.shape)].append((matrix, wide))  # type: ignore[index]
            for pairs in directions.values():
                updates_BIJ = orthogonalised(torch.stack([wide.float() for _, wide in pairs]))
                for (matrix, _), update in zip(pairs, updates_BIJ, strict=True):
                    self._apply(matrix, update, group["lr"], group["weight_decay"])
        return loss

    def _direction(self, matrix: Tensor, momentum: float) -> Tensor:
        """Nesterov momentum: the gradient blended with the momentum that already holds it."""
        assert matrix.grad is not None
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        buffer: Tensor = state["momentum_buffer"]
        buffer.lerp_(matrix.grad, 1 - momentum)
        return matrix.grad.lerp(buffer, momentum)

    @staticmethod
    def _apply(matrix: Tensor, update: Tensor, rate: float, weight_decay: float) -> None:
        update = update if update.shape == matrix.shape else update.mT
        matrix.mul_(1 - rate * weight_decay)
        matrix.add_(update.to(matrix.dtype), alpha=-rate * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonalised(matrices_BIJ: Tensor) -> Tensor:
    """Each matrix with its singular values brought near 1, by a quintic Newton-Schulz iteration.

    Args:
        matrices_BIJ: At least as wide as high, so that the Gram matrix is the small one.
    """
    a, b, c = COEFFICIENTS
    norms_B11 = matrices_BIJ.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    result_BIJ = matrices_BIJ / norms_B11
    for _ in range(ITERATIONS):
        gram_BII = result_BIJ @ result_BIJ.mT
        polynomial_BII = torch.baddbmm(gram_BII, gram_BII, gram_BII, beta=b, alpha=c)
        result_BIJ = torch.baddbmm(result_BIJ, polynomial_BII, result_BIJ, beta=a)
    return result_BIJ
