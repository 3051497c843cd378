"""A judge behind an OpenAI-compatible endpoint."""

from collections.abc import Sequence

from rpt_core.llm.endpoint import Endpoint, Service
from rpt_core.objectives.evidence import JudgeVerdict, Pair
from rpt_core.objectives.next_segment.judge_prompt import prompt, read_reply


class ServiceJudge:
    """A judge that is called over HTTP."""

    def __init__(self, service: Service) -> None:
        """Open no connection yet.

        Raises:
            RecipeError: the address is none.
        """
        self._endpoint = Endpoint(service)
        self.name = f"{service.model} ({service.reply_tokens} tokens)"

    def ask(self, pairs: Sequence[Pair]) -> list[JudgeVerdict]:
        """A verdict for every pair, in order.

        Raises:
            RecipeError: the endpoint refuses the request as such.
        """
        prompts = [prompt(pair.reference, pair.predicted, pair.rule) for pair in pairs]
        replies = self._endpoint.replies(prompts)
        return [read_reply(reply.text) if reply.state == "answered" else reply.state for reply in replies]

    def close(self) -> None:
        """Connections do not outlive a call of :meth:`ask`."""
