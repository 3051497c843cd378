"""vLLM behind the pipe of :mod:`rpt_serve`: the one module that imports it, under an interpreter that has it.

Each setting below that is not vLLM's own default was a crash or a wrong number without it (docs/engines.md).
"""

from collections.abc import Iterator
from typing import Any

from vllm import LLM, SamplingParams
from vllm.platforms import current_platform
from vllm.v1.sample.logits_processor import LogitsProcessor

Message = dict[str, Any]
PREFILL_TOKENS = 8192
"""Prompt tokens computed in one pass, where a prompt alone is not longer."""


class Served:
    """One model in vLLM, in this very process (and its tensor-parallel helpers)."""

    def __init__(self, settings: Message) -> None:
        """Load it; settings are those of :func:`rpt_core.policy.engines.vllm.launch.settings_of`."""
        self.version = 0
        self.sleeps = bool(settings["sleeps"]) and current_platform.is_cuda()
        room = settings["room"]
        if current_platform.is_cpu():
            # chunked: a seeded request whose prompt does not fit into a pass kills vLLM 0.32 on CPUs
            where = {"kv_cache_memory_bytes": settings["cache_bytes"], "enable_chunked_prefill": False}
        else:
            where = {"gpu_memory_utilization": settings["memory_share"]}
        self.llm = LLM(
            settings["folder"],
            dtype=settings["dtype"],
            tensor_parallel_size=settings["tensor_parallel"],
            skip_tokenizer_init=True,
            generation_config="vllm",  # the folder's own would change how answers are drawn
            logprobs_mode="processed_logprobs",
            enable_prefix_caching=True,
            max_model_len=room,
            # rotary models go on beyond the places their folder names, as the trainer's do
            hf_overrides={"max_position_embeddings": room} if settings["extends"] else None,
            max_num_batched_tokens=max(room, PREFILL_TOKENS),
            max_num_seqs=256,
            enforce_eager=current_platform.is_cpu(),
            enable_sleep_mode=self.sleeps,
            worker_extension_cls="_rpt_vllm.Extension",
            logits_processors=["_rpt_vllm:Known"] if settings["never"] else None,
            additional_config={"never": settings["never"]},
            **where,
        )

    def draw(self, ask: Message) -> Iterator[Message | None]:
        """Every cut's answers, once all of them have ended.

        Answers are asked for one by one, which is what vLLM makes of ``n`` by itself (child i has seed + i):
        so each says how much of its prompt was cached.
        """
        engine, open_groups = self.llm.llm_engine, dict[int, dict[int, Message]]()
        for cut, (document, depth, suffix, stops, seed) in enumerate(ask["cuts"]):
            prompt = {"prompt_token_ids": ask["documents"][document][:depth] + suffix}
            open_groups[cut] = {}
            for child in range(ask["n"]):
                how = SamplingParams(
                    temperature=ask["temperature"], top_p=ask["top_p"], top_k=ask["top_k"],
                    max_tokens=ask["max_tokens"], seed=seed + child, stop_token_ids=ask["stops"][stops],
                    ignore_eos=True, logprobs=0, detokenize=False,
                )  # fmt: skip
                engine.add_request(f"{cut}.{child}", prompt, how)
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    cut, child = map(int, output.request_id.split("."))
                    open_groups[cut][child] = _sample(output)
                    if len(open_groups[cut]) == ask["n"]:
                        group = open_groups.pop(cut)
                        yield {"cut": cut, "samples": [group[child] for child in range(ask["n"])]}
            yield None

    def load(self, folder: str) -> None:
        """Other weights by path; keys and values of the old ones are dropped."""
        self.llm.collective_rpc("reload", args=(folder,))
        if not self.llm.reset_prefix_cache():
            raise RuntimeError(
                "the prefix cache could not be dropped: some request still holds a block of it"
            )

    def sleep(self) -> None:
        """Weights to main memory, the cache away; on a CPU nothing."""
        if self.sleeps:
            self.llm.sleep(level=1)

    def wake(self) -> None:
        """Back to the device."""
        if self.sleeps:
            self.llm.wake_up()


class Extension:
    """Added to vLLM's own worker, which holds the weights."""

    model_runner: Any

    def reload(self, folder: str) -> None:
        """Read a folder's weights; a tied head is packed again, which vLLM 0.32 forgets on CPUs."""
        self.model_runner.reload_weights(weights_path=folder)
        model = self.model_runner.get_model()
        if getattr(model.config, "tie_word_embeddings", False) and current_platform.is_cpu():
            model.lm_head.quant_method.process_weights_after_loading(model.lm_head)


class Known(LogitsProcessor):
    """Rows of logits without a token of the tokenizer are never drawn, and take no probability."""

    def __init__(self, vllm_config: Any, device: Any, is_pin_memory: bool) -> None:
        """Take the rows from the configuration."""
        self.never: list[int] = vllm_config.additional_config["never"]

    def apply(self, logits: Any) -> Any:
        """Minus infinity for them; logits have the shape ``(requests, vocabulary)``."""
        logits[:, self.never] = -float("inf")
        return logits

    def is_argmax_invariant(self) -> bool:
        """No: the likeliest row may be one of them."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """The same for every request."""


def _sample(output: Any) -> Message:
    (one,) = output.outputs
    ids = list(one.token_ids)
    return {
        "ids": ids,
        "logprobs": [at[token].logprob for at, token in zip(one.logprobs, ids, strict=True)],
        "stopped": one.finish_reason == "stop",
        "cached": output.num_cached_tokens or 0,
    }
