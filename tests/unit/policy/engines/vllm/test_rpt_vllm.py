"""What vLLM is asked for, beside a fake of it: every setting, every request, every answer."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from rpt_core.policy.engines.vllm.worker import rpt_serve

SETTINGS = {
    "folder": "/m", "version": 3, "dtype": "bfloat16", "room": 96, "extends": False, "cache_bytes": 777,
    "memory_share": 0.3, "tensor_parallel": 2, "never": [5, 7], "sleeps": True,
}  # fmt: skip


class Platform:
    kind = "cpu"

    def is_cuda(self):
        return self.kind == "cuda"

    def is_cpu(self):
        return self.kind == "cpu"


class LLM:
    """Keeps what it is told; its engine ends requests in the order in which it is given them."""

    drops = True

    def __init__(self, folder, **settings):
        self.folder, self.settings, self.calls, self.requests = folder, settings, [], []
        self.passes = []
        self.llm_engine = SimpleNamespace(
            add_request=lambda *what: self.requests.append(what),
            has_unfinished_requests=lambda: bool(self.passes),
            step=lambda: self.passes.pop(0),
        )

    def collective_rpc(self, name, args):
        self.calls.append((name, args))

    def reset_prefix_cache(self):
        self.calls.append("reset")
        return self.drops

    def sleep(self, level):
        self.calls.append(("sleep", level))

    def wake_up(self):
        self.calls.append("wake")


@pytest.fixture
def ours(monkeypatch):
    """The module beside the fake, loaded by its path as a worker does."""
    platform = Platform()
    fakes = {
        "vllm": {"LLM": LLM, "SamplingParams": lambda **how: how},
        "vllm.platforms": {"current_platform": platform},
        "vllm.v1": {}, "vllm.v1.sample": {}, "vllm.v1.sample.logits_processor": {"LogitsProcessor": object},
    }  # fmt: skip
    for name, content in fakes.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location(
        "_rpt_vllm", Path(rpt_serve.__file__).parent / "_rpt_vllm.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.platform = platform
    return module


def test_a_model_on_a_cpu_is_opened_with_these_settings(ours):
    served = ours.Served(SETTINGS)
    assert (served.version, served.sleeps, served.llm.folder) == (0, False, "/m")
    assert served.llm.settings == {
        "dtype": "bfloat16", "tensor_parallel_size": 2, "skip_tokenizer_init": True,
        "generation_config": "vllm", "logprobs_mode": "processed_logprobs", "enable_prefix_caching": True,
        "max_model_len": 96, "hf_overrides": None, "max_num_batched_tokens": 8192, "max_num_seqs": 256,
        "enforce_eager": True, "enable_sleep_mode": False, "worker_extension_cls": "_rpt_vllm.Extension",
        "logits_processors": ["_rpt_vllm:Known"], "additional_config": {"never": [5, 7]},
        "kv_cache_memory_bytes": 777, "enable_chunked_prefill": False,
    }  # fmt: skip


def test_a_model_on_a_gpu_shares_its_memory_and_may_sleep(ours):
    ours.platform.kind = "cuda"
    settings = {**SETTINGS, "room": 9000, "extends": True, "never": []}
    found = ours.Served(settings).llm.settings
    assert found["gpu_memory_utilization"] == 0.3
    assert not {"kv_cache_memory_bytes", "enable_chunked_prefill"} & found.keys()
    assert (found["enforce_eager"], found["enable_sleep_mode"]) == (False, True)
    assert (found["max_model_len"], found["max_num_batched_tokens"]) == (9000, 9000)
    assert found["hf_overrides"] == {"max_position_embeddings": 9000}
    assert found["logits_processors"] is None
    assert found["additional_config"] == {"never": []}
    assert not ours.Served({**settings, "sleeps": False}).sleeps


def test_only_a_model_that_sleeps_is_put_to_sleep(ours):
    awake = ours.Served(SETTINGS)
    awake.sleep()
    awake.wake()
    assert awake.llm.calls == []
    ours.platform.kind = "cuda"
    served = ours.Served(SETTINGS)
    served.sleep()
    served.wake()
    assert served.llm.calls == [("sleep", 1), "wake"]


def test_other_weights_come_by_path_and_what_was_cached_is_dropped(ours, monkeypatch):
    served = ours.Served(SETTINGS)
    served.load("/new")
    assert served.llm.calls == [("reload", ("/new",)), "reset"]
    monkeypatch.setattr(LLM, "drops", False)
    with pytest.raises(RuntimeError, match="some request still holds a block"):
        served.load("/new")


def _output(request_id, ids, *, finished=True, reason="length", cached=None):
    logprobs = [{token: SimpleNamespace(logprob=-token / 8), 99: None} for token in ids]
    one = SimpleNamespace(token_ids=tuple(ids), logprobs=logprobs, finish_reason=reason)
    return SimpleNamespace(request_id=request_id, finished=finished, outputs=[one], num_cached_tokens=cached)


def test_every_answer_is_a_request_of_its_own_and_comes_with_its_cut(ours):
    served = ours.Served(SETTINGS)
    served.llm.passes = [
        [_output("1.0", [4], finished=False), _output("0.1", [6, 2], reason="stop", cached=3)],
        [],
        [_output("1.2", [3]), _output("1.0", [4, 5]), _output("1.1", [8])],
        [_output("0.2", [9]), _output("0.0", [7])],
    ]
    ask = {
        "ask": 1, "documents": [[11, 12, 13], [21, 22, 23, 24]], "stops": [[2], [5, 2]],
        "cuts": [[1, 3, [31], 1, 1000], [0, 2, [], 0, 2000]],
        "n": 3, "temperature": 0.7, "top_p": 0.9, "top_k": 40, "max_tokens": 17,
    }  # fmt: skip
    found = list(served.draw(ask))

    how = {
        "temperature": 0.7, "top_p": 0.9, "top_k": 40, "max_tokens": 17, "ignore_eos": True, "logprobs": 0,
        "detokenize": False,
    }  # fmt: skip
    first, second = {"prompt_token_ids": [21, 22, 23, 31]}, {"prompt_token_ids": [11, 12]}
    assert served.llm.requests == [
        *[(f"0.{i}", first, {**how, "seed": 1000 + i, "stop_token_ids": [5, 2]}) for i in range(3)],
        *[(f"1.{i}", second, {**how, "seed": 2000 + i, "stop_token_ids": [2]}) for i in range(3)],
    ]

    def sample(*ids, stopped=False, cached=0):
        logprobs = [-token / 8 for token in ids]
        return {"ids": list(ids), "logprobs": logprobs, "stopped": stopped, "cached": cached}

    assert found == [
        None,
        None,
        {"cut": 1, "samples": [sample(4, 5), sample(8), sample(3)]},
        None,
        {"cut": 0, "samples": [sample(7), sample(6, 2, stopped=True, cached=3), sample(9)]},
        None,
    ]


@pytest.mark.parametrize(("kind", "tied", "packs"), [("cpu", True, 1), ("cpu", False, 0), ("cuda", True, 0)])
def test_a_tied_head_is_packed_again_on_a_cpu(ours, kind, tied, packs):
    ours.platform.kind = kind
    packed, loaded = [], []
    head = SimpleNamespace(quant_method=SimpleNamespace(process_weights_after_loading=packed.append))
    model = SimpleNamespace(config=SimpleNamespace(tie_word_embeddings=tied), lm_head=head)
    worker = ours.Extension()
    worker.model_runner = SimpleNamespace(
        reload_weights=lambda **told: loaded.append(told), get_model=lambda: model
    )
    worker.reload("/new")
    assert loaded == [{"weights_path": "/new"}]
    assert packed == [head] * packs
    model.config = SimpleNamespace()  # which says nothing of ties
    worker.reload("/other")
    assert packed == [head] * packs


def test_rows_without_a_token_take_no_probability(ours):
    processor = ours.Known(SimpleNamespace(additional_config={"never": [1, 3]}), "cpu", False)
    logits = processor.apply(torch.arange(10.0).view(2, 5))
    seen = [[0.0, 2.0, 4.0], [5.0, 7.0, 9.0]]
    assert logits[:, [0, 2, 4]].tolist() == seen
    assert logits[:, [1, 3]].tolist() == [[-math.inf] * 2] * 2
    assert processor.is_argmax_invariant() is False
    assert processor.update_state(None) is None
