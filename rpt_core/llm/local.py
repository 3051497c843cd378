"""A model held in this process that replies greedily, through the project's own engine."""

from pathlib import Path

from rpt_core.llm.endpoint import Reply
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sample, Sampling, Trunk


class LocalModel:
    """Prompts in as trunks with cuts, replies out.

    A reply depends on its prompt, and to rounding on which others are drawn beside it.
    """

    def __init__(
        self, policy: Policy, reply_tokens: int, *, engine: str = "torch", folder: Path | None = None
    ) -> None:
        """Take a loaded model.

        Args:
            policy: The model.
            reply_tokens: Longest reply.
            engine: What draws the replies.
            folder: The folder the model was read from, where there is one.
        """
        self.policy = policy
        self.name = f"{policy.config.model_type} of {policy.num_parameters} parameters"
        self._engine = open_engine(engine, policy, folder)
        self._sampling = Sampling(
            temperature=1.0, max_new_tokens=reply_tokens, stop_ids=policy.codec.end_ids, group_size=1, seed=0,
            top_k=1,
        )  # fmt: skip

    @property
    def flops(self) -> float:
        """Operations of reading and replying so far."""
        return self._engine.flops

    def replies(self, trunks: list[Trunk]) -> list[list[Reply]]:
        """A reply at every cut, by trunk."""
        drawn = self._engine.generate(trunks, self._sampling, 0)
        return [[self._reply(*of_cut) for of_cut in of_trunk] for of_trunk in drawn]

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()

    def _reply(self, sample: Sample) -> Reply:
        ended = sample.finish == "stop"
        ids = sample.token_ids[:-1] if ended else sample.token_ids
        return Reply(self.policy.codec.decode(ids), cut=not ended)
