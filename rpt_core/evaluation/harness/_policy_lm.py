"""A policy and its engine as a model of lm-evaluation-harness (0.4.13); imported only in its environment.

What is asked goes through the folder's own tokenizer as the harness's own Hugging Face model does it: control
tokens in a text are control tokens, contexts are cut on the left, a context and its continuation are encoded
as one text. So both score the same token ids, and what differs is rounding.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval import utils
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
    resolve_max_length,
)

from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.suite.prompts import ids_digest, stop_ids
from rpt_core.evaluation.harness.scoring import continuations, fit
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.model import Policy
from rpt_core.policy.tokens.chat import render
from rpt_core.policy.trunk import Cut, Sampling, Trunk

AT_ONCE = 16
"""Answers drawn together, so that few are lost where somebody ends the process."""
LONGEST = 256
"""Tokens of an answer where the task says nothing: the harness's own."""
Request = tuple[str, dict[str, Any]]


class PolicyLM(TemplateLM):
    """The model behind the harness's three questions: continuations, whole texts, answers."""

    def __init__(
        self, policy: Policy, engine: RolloutEngine, name: str, seed: int = 0, note: Path | None = None
    ) -> None:
        """Take a loaded policy, and an engine that serves it.

        Args:
            policy: Scores continuations and texts.
            engine: Draws answers.
            name: By which the harness keeps requests apart.
            seed: Of answers that are sampled.
            note: File that says what the answers so far took; what stands in it was taken before.
        """
        super().__init__()
        self.policy, self.engine, self.name, self.seed = policy, engine, name, seed
        self._note = note
        self._before: dict[str, float] = json.loads(note.read_text()) if note and note.is_file() else {}
        self.max_length = resolve_max_length(policy.config)
        self.num_scored = 0
        """Tokens of contexts and continuations that were scored."""

    @property
    def work(self) -> dict[str, float]:
        """Tokens that went through the model, and the operations that took, earlier attempts included."""
        own, drawn = self.policy.work.flops, self.engine.flops
        now = {
            "tokens": float(self.engine.num_forwarded + self.num_scored),
            "flops": own if self.engine.shares_weights else own + drawn,
        }
        return {name: one + self._before.get(name, 0.0) for name, one in now.items()}

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return self.policy.codec.end_id

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has no context: BOS, or else the end of a text."""
        bos = self.policy.codec.special_names().get("bos_token")
        return self.policy.codec.encode_template(bos)[0] if bos else self.eot_token_id

    @property
    def tokenizer_name(self) -> str:
        """Names the tokenizer and its chat template in the harness's caches."""
        return self.name.replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids; BOS first where the tokenizer puts it there and nobody says otherwise."""
        codec = self.policy.codec
        ids = codec.opening(string, of_template=True)
        bos = codec.special_names().get("bos_token", "")
        if add_special_tokens is False and not (bos and string.startswith(bos)):
            return ids[len(codec.begin_ids) :]
        return ids

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Source of the model's chat template, for the harness's record."""
        return self.policy.codec.chat_template if chat_template else None

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation in the model's chat form.

        Raises:
            RecipeError: the model has no chat template, or a turn of the assistant is to be gone on with.
        """
        codec = self.policy.codec
        if codec.chat_template is None or not add_generation_prompt:
            raise RecipeError(
                f"the task asks {self.name} in a chat form that it has not: "
                + ("it would go on with a turn of its own." if codec.chat_template else "no chat template.")
                + " Ask without the chat form."
            )
        return render(codec.chat_template, chat_history, codec.special_names())  # type: ignore[arg-type]

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        """Log-probability of each continuation, and whether it is what greedy decoding gives."""
        pairs = [fit(tuple(before), tuple(after), self.max_length) for _, before, after in requests]
        found: list[tuple[float, bool]] = [(0.0, True)] * len(pairs)
        for number, scored in continuations(self.policy, pairs):
            found[number] = scored.nats, scored.is_greedy
            self.num_scored += scored.num_tokens
            if requests[number][0] is not None:
                self._keep("loglikelihood", requests[number][0], found[number])
        return found

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of whole texts, each token predicted once, in windows of the longest context."""
        windows, owners = list[tuple[None, list[int], list[int]]](), list[int]()
        for number, request in enumerate(requests):
            (text,) = request.args
            for window in utils.get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            ):
                windows.append((None, *utils.make_disjoint_window(window)))
                owners.append(number)
        totals = [0.0] * len(requests)
        for number, (nats, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            totals[number] += nats
        for request, nats in zip(requests, totals, strict=True):
            self._keep("loglikelihood_rolling", request.args, nats)
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers drawn by the engine, cut before whatever ends them.

        Answer ``k`` to a context is a function of seed, context and ``k`` alone; tokens that stand for no
        text are left out of it, as the harness's own model does.
        """
        found = [""] * len(requests)
        for how, numbers in _alike([request.args for request in requests]):
            by_context: dict[str, list[int]] = {}
            for number in numbers:
                by_context.setdefault(requests[number].args[0], []).append(number)
            contexts = sorted(by_context, key=len)
            for start in range(0, len(contexts), AT_ONCE):
                some = contexts[start : start + AT_ONCE]
                repeats = Counter(len(by_context[context]) for context in some)
                texts = self._drawn(some, how, max(repeats))
                for context, answers in zip(some, texts, strict=True):
                    for number, text in zip(by_context[context], answers, strict=False):
                        found[number] = text
                        self._keep("generate_until", requests[number].args, text)
        return found

    def _keep(self, kind: str, asked: Any, answer: Any) -> None:
        """Keep an answer in the harness's cache, where it has one, and what all so far took."""
        self.cache_hook.add_partial(kind, asked, answer)
        if self._note is not None:
            fresh = self._note.with_suffix(".new")
            fresh.write_text(json.dumps(self.work))
            fresh.replace(self._note)  # whoever copies it sees the old one or this one

    def _drawn(self, contexts: Sequence[str], how: Mapping[str, Any], repeats: int) -> list[list[str]]:
        codec = self.policy.codec
        kwargs = normalize_gen_kwargs(dict(how), LONGEST)
        longest = kwargs.pop("max_gen_toks")
        until = handle_stop_sequences(kwargs.pop("until", None), eos=codec.decode([self.eot_token_id]))
        room = self.max_length - longest
        if room < 1:
            raise RecipeError(
                f"answers of {longest} tokens leave no room for a prompt in the {self.max_length} tokens of "
                f"{self.name}. Ask for shorter answers with --max-new-tokens."
            )
        trunks = []
        for context in contexts:
            ids = tuple(self.tok_encode(context))[-room:] or (self.prefix_token_id,)
            trunks.append(Trunk(ids_digest(ids), (), ids, (Cut(len(ids)),)))
        stops = stop_ids(codec, tuple(until))
        sampling = sampling_of(kwargs, longest, stops, repeats, self.seed)
        drawn = self.engine.generate(trunks, sampling, 0)
        texts = []
        for (of_cut,) in drawn:
            said = (codec.words(one.token_ids) for one in of_cut)
            texts.append([postprocess_generated_text(text, until, think_end_token=None) for text in said])
        return texts


def sampling_of(
    kwargs: Mapping[str, Any], longest: int, stops: frozenset[int], repeats: int, seed: int
) -> Sampling:
    """How answers are drawn; temperature 0 takes the likeliest token.

    Raises:
        RecipeError: the task asks for a way of drawing that the engine has not.
    """
    known = {"do_sample", "temperature", "top_p", "top_k"}
    if unknown := sorted(set(kwargs) - known):
        raise RecipeError(
            f"the task draws answers with {', '.join(unknown)}, and the engine knows "
            f"{', '.join(sorted(known))}. Leave the task out."
        )
    greedy = not kwargs.get("do_sample") or not kwargs.get("temperature")
    return Sampling(
        temperature=1.0 if greedy else float(kwargs["temperature"]),
        max_new_tokens=longest,
        stop_ids=stops,
        group_size=repeats,
        seed=seed,
        top_p=1.0 if greedy else float(kwargs.get("top_p", 1.0)),
        top_k=1 if greedy else int(kwargs.get("top_k", 0)),
    )


def _alike(requests: Sequence[Request]) -> list[tuple[dict[str, Any], list[int]]]:
    """Requests drawn in the same way, by their numbers."""
    found: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for number, (_, how) in enumerate(requests):
        found.setdefault(repr(sorted(how.items())), (how, []))[1].append(number)
    return list(found.values())
