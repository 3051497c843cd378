"""The hand-over: an engine with weights of its own gets the trainer's, and proves that it serves them.

Export, load (which drops the engine's prefix cache), canary. The canary is a fixed prompt below which the
engine draws a few answers; the trainer scores the same tokens, and both must agree. It is longer than a block
of any prefix cache, and the same each time, so that keys kept from earlier weights show as a gap.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from rpt_core.errors import EngineError
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from rpt_core.train.rl.state import Trainer

CANARY_NATS_MAX = {"float32": 1e-3, "bfloat16": 0.05}
"""Mean gap of a token's log-probability between engine and trainer, by the type products are taken in. Two
implementations in float32 agree to 1e-4; one optimiser step at an ordinary rate moves a small model by
1e-2; at smaller rates a stale engine is caught by the version of its answers."""
CANARY_PROMPT = 160
"""Tokens; vLLM caches prefixes in blocks of 128 on a CPU and of 16 on a GPU."""
CANARY_ANSWERS, CANARY_TOKENS = 4, 8


def hand_over(trainer: Trainer, version: int, scratch: Path) -> None:
    """Bring the engine to the trainer's present weights; nothing travels where it shares them.

    Args:
        trainer: Its engine is brought up to its policy.
        version: Number of the step the weights were taken after.
        scratch: Where the weights lie while they travel.

    Raises:
        EngineError: the engine cannot load them, or serves others than it was given.
    """
    engine = trainer.engine
    if engine.shares_weights:
        engine.version = version
        return
    if engine.version != version:
        with TemporaryDirectory(prefix=f"weights-{version}-", dir=scratch) as own:
            folder = Path(trainer.backend.all_gather(own)[0])  # rank 0 writes, every rank's engine reads
            trainer.backend.export(folder)
            trainer.backend.all_gather(None)  # written
            engine.load_weights(folder, version)
            trainer.backend.all_gather(None)  # read by all
    check_canary(trainer, version)


def check_canary(trainer: Trainer, version: int) -> None:
    """Refuse an engine whose log-probabilities of the canary are not the trainer's.

    Raises:
        EngineError: with the versions or the log-probabilities of both.
    """
    trunk, sampling = canary(trainer.policy, trainer.recipe.temperature)
    ((samples,),) = trainer.engine.generate([trunk], sampling, version)
    if other := {sample.version for sample in samples} - {version}:
        raise EngineError(
            f"the engine was given the weights of step {version} and draws with those of step {min(other)}: "
            "what it answers is not of the policy being trained. Look at the engine's log for the load that "
            "did not happen; rerun to resume from the last checkpoint."
        )
    with trainer.backend.whole(), torch.no_grad():
        scores = branch_logprobs(
            trainer.policy, [trunk], [[[sample.token_ids for sample in samples]]], trainer.layout,
            sampling.temperature, with_document=False, as_drawn=True,
        )  # fmt: skip
    ours_N = scores.logprobs_N.cpu()  # (answers * tokens,)
    theirs_N = torch.tensor([logprob for sample in samples for logprob in sample.logprobs])
    gaps_N, most = (ours_N - theirs_N).abs(), CANARY_NATS_MAX[_type_name(trainer.policy)]
    if not (gap := float(gaps_N.mean())) <= most:  # a NaN is a gap, too
        worst = int(gaps_N.argmax())
        raise EngineError(
            f"after step {version}, engine and trainer differ by {gap:.2g} nats a token on a fixed prompt "
            f"(at most {most:g}): of one token, the engine's log-probability is {float(theirs_N[worst]):.4f} "
            f"and the trainer's {float(ours_N[worst]):.4f}. The engine serves other weights than it was "
            "given, or a prefix cache of earlier ones. Restart it; rerun to resume from the last checkpoint."
        )


def canary(policy: Policy, temperature: float) -> tuple[Trunk, Sampling]:
    """The fixed prompt, and how answers to it are drawn: at the training's temperature, never cut short."""
    places = getattr(policy.config.get_text_config(), "max_position_embeddings", None) or CANARY_PROMPT
    length = max(1, min(CANARY_PROMPT, places - CANARY_TOKENS - len(policy.begin_ids)))
    rows = len(policy.output_weight)
    ids = tuple(1 + (7 * place) % (rows - 1) for place in range(length))
    trunk = Trunk("canary", policy.begin_ids, ids, (Cut(length, stop_ids=frozenset()),))
    return trunk, Sampling(temperature, CANARY_TOKENS, frozenset(), CANARY_ANSWERS, seed=0)


def _type_name(policy: Policy) -> str:
    return str(policy.compute_dtype).removeprefix("torch.")
