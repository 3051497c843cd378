"""A worker as vLLM's, under the tests' own interpreter: the same protocol, Qwen3 in NumPy, faults on demand.

    python fake_vllm.py TOKENS FAULT     each file in the folder TOKENS is one fault that is still to come

It starts in a tenth of a second, so that deaths by the dozen can be tested; its probabilities are a third
computation of the model's, beside torch and vLLM.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "rpt_core/policy/engines/vllm/worker"))
import rpt_serve

TOKENS, FAULT = Path(), ""


def due(*faults):
    """Whether one of these happens now; it is used up by that, in whichever process."""
    if FAULT not in faults:
        return False
    for token in sorted(TOKENS.glob("*")):
        try:
            token.unlink()
        except FileNotFoundError:
            continue
        return True
    return False


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def softmax(x):
    shifted = np.exp(x - x.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


class Qwen3:
    """The model of a folder; one row at a time, nothing cached."""

    def __init__(self, folder):
        self.config = json.loads((Path(folder) / "config.json").read_text())
        stored = load_file(Path(folder) / "model.safetensors")
        self.weights = {name.removeprefix("model."): value for name, value in stored.items()}

    def logits(self, ids):
        """Of the token after ``ids``, shape ``(V,)``."""
        config, w = self.config, self.weights
        heads, kv, width = (
            config[name] for name in ("num_attention_heads", "num_key_value_heads", "head_dim")
        )
        theta = (config.get("rope_parameters") or config)["rope_theta"]
        angle_TW = np.outer(np.arange(len(ids)), theta ** (-np.arange(0, width, 2) / width))
        cos, sin = (np.tile(f(angle_TW), 2)[:, None].astype(np.float32) for f in (np.cos, np.sin))
        x = w["embed_tokens.weight"][np.array(ids)]

        def norm(x, name):
            return x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * w[f"{name}.weight"]

        def turned(x):
            left, right = np.split(x, 2, -1)
            return x * cos + np.concatenate([-right, left], -1) * sin

        mask = np.triu(np.full((len(ids), len(ids)), -np.inf, np.float32), 1)
        for number in range(config["num_hidden_layers"]):
            at = f"layers.{number}."
            y = norm(x, at + "input_layernorm")
            q, k, v = (
                (y @ w[f"{at}self_attn.{name}_proj.weight"].T).reshape(len(ids), -1, width) for name in "qkv"
            )
            q, k = turned(norm(q, at + "self_attn.q_norm")), turned(norm(k, at + "self_attn.k_norm"))
            k, v = (np.repeat(z, heads // kv, 1) for z in (k, v))
            seen = softmax(np.einsum("qhw,khw->hqk", q, k) / np.sqrt(width) + mask)
            mixed = np.einsum("hqk,khw->qhw", seen, v).reshape(len(ids), -1)
            x = x + mixed @ w[at + "self_attn.o_proj.weight"].T
            y = norm(x, at + "post_attention_layernorm")
            gate = y @ w[at + "mlp.gate_proj.weight"].T
            up = y @ w[at + "mlp.up_proj.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ w[at + "mlp.down_proj.weight"].T
        return w.get("lm_head.weight", w["embed_tokens.weight"]) @ norm(x[-1], "norm")


class Fake:
    def __init__(self, settings):
        print("libraries print on stdout")  # and it must not be taken for a message
        if due("slow start"):
            time.sleep(1.0)
        if due("dies at the start"):
            die()
        self.version, self.never = 0, settings["never"]
        self.model = Qwen3(settings["folder"])
        self.asleep = False

    def draw(self, ask):
        assert not self.asleep
        answers = []
        left = len(list(TOKENS.iterdir()))
        chance = random.Random(f"{left} {ask['ask']}")
        at, unlucky = chance.randrange(len(ask["cuts"])), chance.random() < 0.4
        for cut, (document, depth, suffix, stops, seed) in enumerate(ask["cuts"]):
            prompt = ask["documents"][document][:depth] + suffix
            samples = [
                self.sample(prompt, ask, ask["stops"][stops], seed + child) for child in range(ask["n"])
            ]
            answers.append({"cut": cut, "samples": samples})
            if cut == at and (due("dies") or (unlucky and due("dies now and then"))):
                die()
            if cut == at and due("hangs"):
                time.sleep(3600)
            if cut == at and due("forgets an answer"):
                continue
            if cut == at and due("gives too few"):
                samples.pop()
            if cut == at and due("cuts answers short"):
                samples[0] = {
                    **samples[0],
                    "ids": samples[0]["ids"][:1],
                    "logprobs": [-1.0],
                    "stopped": False,
                }
            if cut == at and due("answers twice"):
                yield answers[-1]
            if cut == at and due("raises"):
                raise RuntimeError("the device ran out of memory")
            yield answers[-1]
            yield None

    def sample(self, prompt, ask, stops, seed):
        rng, ids, logprobs = np.random.default_rng(seed), [], []
        while len(ids) < ask["max_tokens"] and not (ids and ids[-1] in stops):
            logits = self.model.logits(prompt + ids).astype(np.float64) / ask["temperature"]
            logits[self.never] = -np.inf
            probs = softmax(logits)
            order = np.argsort(-probs, kind="stable")
            kept = order[: ask["top_k"] or len(order)]
            mass = softmax(logits[kept])
            kept = kept[np.cumsum(mass) - mass < ask["top_p"]]
            probs = softmax(logits[kept])
            place = int(rng.choice(len(kept), p=probs))
            ids.append(int(kept[place]))
            logprobs.append(float(np.log(probs[place])))
        return {"ids": ids, "logprobs": logprobs, "stopped": bool(ids[-1] in stops), "cached": 0}

    def load(self, folder):
        if due("dies while loading"):
            die()
        if due("fails to load"):
            raise RuntimeError("the weights are gone")
        if FAULT != "keeps old weights":
            self.model = Qwen3(folder)

    def sleep(self):
        self.asleep = True

    def wake(self):
        self.asleep = False


def faulty_say(out, message, say=rpt_serve._say):
    if "answer" in message and due("says what is no message"):
        out.write("Loading weights: 100%\n")
    if "answer" in message and due("dies in a line"):
        out.write(json.dumps(message)[:20])
        out.flush()
        die()
    if "answer" in message and FAULT == "speaks slowly":
        line = json.dumps(message) + "\n"
        for part in (line[:7], line[7:]):
            out.write(part)
            out.flush()
            time.sleep(0.02)
        return
    say(out, message)


if __name__ == "__main__":
    TOKENS, FAULT = Path(sys.argv[1]), sys.argv[2]
    rpt_serve._say = faulty_say
    rpt_serve.serve(Fake)
