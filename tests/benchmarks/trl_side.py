"""The peer's side of the race: TRL's GRPOTrainer, set up as favourably as it allows on a CPU.

TRL lives in an environment of its own, ``.venv-trl``: ``make bench-trainer`` makes it and runs the race.
"""

import tempfile
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from tests.benchmarks.workload import CLOCKS, LEARNING_RATE, Seconds, Shape, Step, Stopwatch, reward

ROWS_AT_A_TIME = 32
"""Rows of TRL's micro-batch; more need more memory and are not faster on a CPU."""


def tokenizer_of(shape: Shape) -> PreTrainedTokenizerFast:
    """Words ``w8``, ``w9`` ... for ids 8, 9 ...: text and ids say the same."""
    vocab = {f"w{token}": token for token in range(shape.vocab)}
    tokenizer = Tokenizer(WordLevel(vocab, unk_token="w2"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="w0", eos_token="w1", unk_token="w2", padding_side="left"
    )


class TimedTrainer(GRPOTrainer):
    """Counts the seconds of generation."""

    generating = (0.0, 0.0)

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        watch = Stopwatch(super()._generate)
        result = watch(*args, **kwargs)
        self.generating = tuple(watch.seconds)
        return result


class Rounds(TrainerCallback):
    """Times every step of the peer, and lets the other side take its turn after it."""

    def __init__(self, trainer: TimedTrainer, other: Callable[[], None]) -> None:
        self.trainer, self.other = trainer, other
        self.steps: list[Step] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun = [read() for read in CLOCKS]

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.append(Step(*map(Seconds.now, CLOCKS, self.begun, self.trainer.generating)))
        self.other()


class Peer:
    """TRL's trainer on a shape."""

    def __init__(self, shape: Shape, model: torch.nn.Module, steps: int) -> None:
        rows = shape.num_prompts * shape.group_size
        at_a_time = min(rows, ROWS_AT_A_TIME)
        self.folder = tempfile.TemporaryDirectory()
        config = GRPOConfig(
            output_dir=self.folder.name, max_steps=steps, per_device_train_batch_size=at_a_time,
            gradient_accumulation_steps=rows // at_a_time, num_generations=shape.group_size,
            max_completion_length=shape.answer_tokens, temperature=1.0, top_p=1.0, top_k=0, beta=0.0,
            generation_kwargs={"min_new_tokens": shape.answer_tokens}, loss_type="grpo",
            learning_rate=LEARNING_RATE, lr_scheduler_type="constant", use_cpu=True, bf16=False, fp16=False,
            gradient_checkpointing=False, report_to="none", save_strategy="no", logging_steps=10_000,
            dataloader_pin_memory=False, disable_tqdm=True, shuffle_dataset=False, seed=0,
        )  # fmt: skip
        text = [" ".join(f"w{token}" for token in prompt) for prompt in shape.prompts()]
        self.trainer = TimedTrainer(
            model=model, reward_funcs=_rewards, args=config, processing_class=tokenizer_of(shape),
            train_dataset=Dataset.from_dict({"prompt": text * steps}),
        )  # fmt: skip

    def race(self, other: Callable[[], None]) -> list[Step]:
        """Take all steps; ``other`` takes one after each."""
        rounds = Rounds(self.trainer, other)
        self.trainer.add_callback(rounds)
        self.trainer.train()
        return rounds.steps

    def loss_and_logprobs(self, shape: Shape, answers: torch.Tensor, advantages: torch.Tensor) -> Any:
        """The peer's own loss (with gradient) and log-probabilities of given answers, one row each."""
        prompts = [prompt for prompt in shape.prompts() for _ in range(shape.group_size)]
        width = max(len(prompt) for prompt in prompts)
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        ones = torch.ones_like(answers)
        inputs = {
            "prompt_ids": ids, "prompt_mask": mask, "completion_ids": answers, "completion_mask": ones,
            "advantages": advantages, "num_items_in_batch": ones.sum(),
        }  # fmt: skip
        model = self.trainer.model.train()
        with torch.no_grad():
            logprobs, _ = self.trainer._get_per_token_logps_and_entropies(
                model, torch.cat([ids, answers], 1), torch.cat([mask, ones], 1), answers.shape[1]
            )[:2]
        self.trainer.current_gradient_accumulation_steps = 1
        return self.trainer._compute_loss(model, inputs), logprobs


def _rewards(completions: Any, completion_ids: Any, **_: Any) -> list[float]:
    return [reward(ids) for ids in completion_ids]
