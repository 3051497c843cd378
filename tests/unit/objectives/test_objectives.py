"""What is asked, in which words, and what answers earn."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError, StarvedError
from rpt_core.objectives.evidence import Needs
from rpt_core.objectives.next_token import objective as rpt
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.next_token.templates import TEMPLATES
from rpt_core.objectives.objective import Asked, Reporting
from rpt_core.objectives.problems import objective as rlvr
from rpt_core.objectives.problems.answer import Grade
from rpt_core.objectives.problems.pass_rates import RATES_FILE, SCHEMA
from rpt_core.objectives.problems.question import Problem, Solve
from rpt_core.objectives.prompts import boxed, problem_prompt
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import RlvrObjective, RptObjective
from rpt_core.recipes.reinforce import PolicyRecipe, RlvrRecipe
from tests.toys import judge_group

NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)


def policy_recipe(**changes) -> PolicyRecipe:
    objective = changes.pop("objective", RptObjective(prompt="compact", entropy_floor_nats=1.5))
    given = {"corpus": NOWHERE, "difficulty": NOWHERE, "start": NOWHERE, "context_tokens": 256}
    return PolicyRecipe(objective=objective, **given, **changes)


def answer(codec: Codec, thought: str, prediction: str, finish: str = "stop") -> Sample:
    ids = (*codec.encode(thought), *boxed(codec, tuple(codec.encode(prediction))))
    return Sample(ids, (0.0,) * len(ids), finish)


def test_cuts_stand_where_the_truth_begins(codec: Codec, inputs):
    objective = rpt.open_objective(policy_recipe(cuts_per_document=3), inputs, codec)
    asked, cursor = objective.draw(1, 0, 12)
    assert cursor == 12
    assert sum(len(a.questions) for a in asked) == 12
    for a in asked:
        for cut, question in zip(a.trunk.cuts, a.questions, strict=True):
            assert a.trunk.document_ids[cut.position :][:3] == question.truth_ids[:3]
            assert cut.suffix_ids == codec.control("predict") + codec.control("think")
        assert a.trunk.instruction_ids == codec.control("rpt")


def test_drawing_depends_on_the_cursor_alone(codec: Codec, inputs):
    first, second = (rpt.open_objective(policy_recipe(), inputs, codec) for _ in range(2))
    first.draw(1, 0, 8)
    assert first.draw(2, 8, 8) == second.draw(2, 8, 8)
    assert first.draw(2, 8, 8) != first.draw(2, 16, 8)


def test_held_out_questions_are_the_same_whatever_the_seed(codec: Codec, inputs):
    first, second = (rpt.open_objective(policy_recipe(seed=seed), inputs, codec) for seed in (0, 1))
    assert first.draw(1, 0, 8) != second.draw(1, 0, 8)
    assert first.held_out(10) == second.held_out(10)
    one, two = (rlvr.open_objective(rlvr_recipe(seed=seed), inputs, codec) for seed in (0, 1))
    assert one.draw(1, 0, 8) != two.draw(1, 0, 8)
    assert one.held_out(2) == two.held_out(2)


def test_every_verdict(codec: Codec, inputs):
    objective = rpt.open_objective(policy_recipe(), inputs, codec)
    (asked, *_), _ = objective.draw(1, 0, 4)
    truth = codec.decode(asked.questions[0].truth_ids[:1])
    samples = [
        answer(codec, " a thought", truth),
        answer(codec, "", truth),
        answer(codec, " a thought", truth + "?!"),
        Sample((*codec.encode("no box"), codec.end_id), (0.0,) * 9, "stop"),
        answer(codec, "", truth, finish="length"),
    ]
    verdicts = judge_group(objective, asked, 0, samples)
    assert [v.verdict for v in verdicts] == ["correct", "correct", "wrong", "unparsed", "truncated"]
    assert [v.score for v in verdicts] == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert verdicts[0].thought_tokens == len(codec.encode(" a thought"))
    assert verdicts[1].thought_tokens == 0
    assert verdicts[0].thought == " a thought"
    assert verdicts[0].prediction == truth


def test_the_end_of_a_thought_may_be_spelled_in_several_tokens(codec: Codec, inputs):
    objective = rpt.open_objective(policy_recipe(), inputs, codec)
    (asked, *_), _ = objective.draw(1, 0, 1)
    truth = codec.decode(asked.questions[0].truth_ids[:1])
    ids = (*codec.encode(" so</think>\\boxed{" + truth + "}"), codec.end_id)
    (verdict,) = judge_group(objective, asked, 0, [Sample(tuple(ids), (0.0,) * len(ids), "stop")])
    assert verdict.verdict == "correct"
    assert verdict.thought_tokens == len(codec.encode(" so"))


def test_the_first_token_variant_ignores_the_rest(codec: Codec, inputs):
    settings = RptObjective(prompt="compact", entropy_floor_nats=1.5, reward="first-token")
    objective = rpt.open_objective(policy_recipe(objective=settings), inputs, codec)
    (asked, *_), _ = objective.draw(1, 0, 1)
    truth = codec.decode(asked.questions[0].truth_ids[:1])
    assert judge_group(objective, asked, 0, [answer(codec, "", truth + " \n?")])[0].verdict == "correct"


def test_nothing_eligible_is_a_named_end(codec: Codec, inputs):
    settings = RptObjective(prompt="compact", entropy_floor_nats=9.0)
    with pytest.raises(StarvedError, match="below-the-floor"):
        rpt.open_objective(policy_recipe(objective=settings), inputs, codec)


def rlvr_recipe(**changes) -> RlvrRecipe:
    given = {"corpus": NOWHERE, "start": NOWHERE, "context_tokens": 256, **changes}
    return RlvrRecipe(objective=RlvrObjective(prompt="compact"), **given)


def test_problems_are_asked_at_their_end(codec: Codec, inputs):
    objective = rlvr.open_objective(rlvr_recipe(), inputs, codec)
    asked, cursor = objective.draw(1, 0, 6)
    assert cursor == 6
    assert len({a.trunk.key for a in asked}) == 6
    (one, *_) = asked
    assert one.trunk.cuts[0].position == len(one.trunk.document_ids)
    truth = one.questions[0].truth
    unboxed = Sample(tuple(codec.encode("no box")), (0.0,) * len(codec.encode("no box")), "stop")
    given = [answer(codec, " hm", f" {truth}"), answer(codec, "", "Nowhere"), answer(codec, "", ""), unboxed]
    verdicts = ["correct", "wrong", "wrong", "unparsed"]  # an empty box says nothing, and that is wrong
    judged = judge_group(objective, one, 0, given)
    assert [v.verdict for v in judged] == verdicts
    assert [v.thought for v in judged] == [" hm", "", "", "no box"]
    held_out = {a.trunk.key for a in objective.held_out(100)}
    assert held_out
    assert not held_out & {a.trunk.key for a in objective.draw(1, 0, 18)[0]}


def test_how_answers_were_graded_is_reported_once(codec: Codec, inputs):
    objective = rlvr.open_objective(rlvr_recipe(), inputs, codec)
    assert objective.needs == Needs()
    asked, _ = objective.draw(1, 0, 2)
    asked = [
        Asked(one.trunk, (replace(one.questions[0], truth=truth),))
        for one, truth in zip(asked, ("0.5", r"2\sqrt{3}"), strict=True)
    ]
    drawn = [
        [[answer(codec, "", "50%"), answer(codec, "", "3"), answer(codec, "", "", finish="length")]],
        [[answer(codec, "", r"\sqrt{12}")]],
    ]
    found = objective.verdicts(asked, drawn)
    assert [[[v.verdict for v in group] for group in one] for one in found] == [
        [["correct", "wrong", "truncated"]],
        [["correct"]],
    ]
    assert isinstance(objective, Reporting)
    metrics, timings = objective.report()
    assert metrics == {
        "grading/answers": 3.0,
        "grading/computed": 1.0,
        "grading/percent_rule": 1.0,
        "grading/timed_out": 0.0,
    }
    assert timings == {}
    assert objective.report() == ({}, {})


def test_an_answer_whose_time_ran_out_is_no_wrong_one(codec: Codec, inputs, monkeypatch):
    objective = rlvr.open_objective(rlvr_recipe(), inputs, codec)
    monkeypatch.setattr(
        "rpt_core.objectives.problems.question.grade_answers",
        lambda pairs: [Grade("unparsed", timed_out=True) for _ in pairs],
    )
    (one, *_), _ = objective.draw(1, 0, 1)
    (found,) = judge_group(objective, one, 0, [answer(codec, " hm", "7")])
    assert (found.verdict, found.score, found.prediction) == ("timed out", 0.0, "7")
    assert objective.report()[0]["grading/timed_out"] == 1


def test_no_problem_that_fits_is_a_named_end(codec: Codec, inputs):
    with pytest.raises(StarvedError, match="18 do not fit"):
        rlvr.open_objective(rlvr_recipe(context_tokens=16), inputs, codec)


def test_a_problem_fits_with_the_words_around_it_or_not_at_all(codec: Codec):
    solve = Solve.of(RlvrObjective(prompt="compact"), codec)
    problem = Problem("p", "The clock shows 3.", "", "3")
    whole = len(codec.encode(problem.problem)) + solve.prompt.num_tokens
    assert solve.prompt.num_tokens > 1
    assert solve.fits(problem, whole)
    assert not solve.fits(problem, whole - 1)
    trunk = solve.ask(problem).trunk
    assert len(trunk.token_ids) + len(trunk.cuts[0].suffix_ids) == whole


def without_control_tokens(codec: Codec, folder: Path, thought: str = "<|other-think|>") -> Codec:
    """The codec of a model made elsewhere, whose template opens no thought."""
    codec.save(folder)
    text = (folder / "tokenizer.json").read_text().replace("<|rpt|>", "<|other|>")
    (folder / "tokenizer.json").write_text(text.replace("<think>", thought))
    return Codec.load(folder)


@pytest.mark.parametrize("thought", ["open", "free", "auto"])
def test_a_model_of_another_form_answers_in_its_own_words(codec: Codec, tmp_path: Path, thought: str):
    other = without_control_tokens(codec, tmp_path)
    prompt = problem_prompt("auto", other, thought)
    opened = other.decode(prompt.suffix_ids).endswith("<think>\n")
    assert opened is (thought == "open")  # no token of this tokenizer opens a thought
    assert prompt.instruction_ids == problem_prompt("plain", other).instruction_ids


def test_auto_opens_a_thought_where_the_tokenizer_has_a_token_for_it(codec: Codec, tmp_path: Path):
    own = without_control_tokens(codec, tmp_path, "<think>")
    assert problem_prompt("plain", own, "auto") == problem_prompt("plain", own, "open")
    assert problem_prompt("auto", codec, "auto") == problem_prompt("compact", codec)
    assert problem_prompt("auto", codec, "free") == problem_prompt("plain", codec, "free")


@pytest.mark.parametrize(
    ("said", "known", "free", "opened"),
    [
        ("2 + 3 = 5, so she has 5 apples.", "5", "correct", "unparsed"),
        ("She pays $1,250.50 in all", "1250.5", "correct", "unparsed"),
        ("6 - 2 = 4 of 10", "4", "wrong", "unparsed"),
        ("it is \\boxed{4} of 10", "4", "correct", "unparsed"),
        ("it falls by -7.", "7", "wrong", "unparsed"),
        ("x squared is 2", "\\sqrt{2}", "unparsed", "unparsed"),
        ("no idea", "4", "unparsed", "unparsed"),
        ("is it 3? no</think> \\boxed{4}", "4", "correct", "correct"),
        ("is it 4?</think> It is 5.", "4", "wrong", "unparsed"),
    ],
)
def test_an_answer_in_its_own_words_is_its_last_box_or_number(codec, said, known, free, opened):
    ids = (*codec.encode(said), codec.end_id)
    (question,) = Solve.of(RlvrObjective(), codec).ask(Problem("p", "?", "", known)).questions
    for thought, verdict in (("free", free), ("open", opened)):
        solve = Solve.of(RlvrObjective(thought=thought), codec)
        assert solve.judge(question, Sample(ids, (0.0,) * len(ids), "stop")).verdict == verdict
        cut = solve.judge(question, Sample(ids[:-1], (0.0,) * (len(ids) - 1), "length"))
        assert (cut.verdict, cut.score) == ("truncated", 0.0)


def write_rates(folder: Path, rates: dict[str, int]) -> Path:
    """Right answers of eight, by problem."""
    folder.mkdir()
    rows = [
        {"problem_id": name, "samples": 8, "correct": num, "truncated": 0, "unread": 0, "mean_tokens": 1.0}
        for name, num in rates.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / RATES_FILE)
    return folder


def test_a_filter_by_pass_rate_leaves_out_what_teaches_nothing_and_counts_it(codec, inputs, tmp_path):
    ids = sorted({a.trunk.key for a in rlvr.open_objective(rlvr_recipe(), inputs, codec).draw(1, 0, 18)[0]})
    rates = dict(zip(ids, [0, 0, 8, *[4] * (len(ids) - 4)], strict=False))  # the last has no rate
    filtered = {**inputs, "pass_rates": write_rates(tmp_path / "rates", rates)}
    objective = rlvr.open_objective(rlvr_recipe(pass_rates=NOWHERE), filtered, codec)
    assert objective.balance.dropped == {"no-pass-rate": 1, "too-easy": 1, "too-hard": 2}
    assert objective.balance.rows_in == 18
    drawn = {a.trunk.key for a in objective.draw(1, 0, objective.balance.kept)[0]}
    assert drawn == set(ids[3:-1])
    held_out = rlvr.open_objective(rlvr_recipe(), inputs, codec).held_out(100)
    assert objective.held_out(100) == held_out  # what is held out is asked whatever its rate


def test_a_filter_that_leaves_nothing_is_a_named_end(codec, inputs, tmp_path):
    filtered = {**inputs, "pass_rates": write_rates(tmp_path / "rates", {"another": 4})}
    with pytest.raises(StarvedError, match=r"by their pass rates .* 18 are no-pass-rate\. Widen"):
        rlvr.open_objective(rlvr_recipe(pass_rates=NOWHERE), filtered, codec)


def test_long_answers_lose_reward_and_stay_as_right_as_they_are(codec, inputs):
    changes = {"overlong_tokens": 10, "overlong_penalty": 0.5, "reasoning_tokens": 20}
    plain, soft = (
        rlvr.open_objective(rlvr_recipe(**one), inputs, codec) for one in ({"reasoning_tokens": 20}, changes)
    )
    (one, *_), _ = plain.draw(1, 0, 1)
    end = answer(codec, "", one.questions[0].truth).token_ids
    filler = tuple(codec.encode(" x"))[:1]
    samples = [Sample((*filler * (n - len(end)), *end), (0.0,) * n, "stop") for n in (len(end), 15)]
    cut = Sample(filler * 20, (0.0,) * 20, "length")
    for objective, lost in ((plain, (0.0, 0.0, 0.0)), (soft, (0.0, 0.25, 0.5))):
        found = judge_group(objective, one, 0, [*samples, cut])
        assert [v.verdict for v in found] == ["correct", "correct", "truncated"]
        assert [v.score for v in found] == [1.0 - lost[0], 1.0 - lost[1], 0.0 - lost[2]]


def test_problems_too_long_for_the_context_are_counted(codec: Codec, inputs):
    everything = rlvr.open_objective(rlvr_recipe(), inputs, codec)
    trunks = [asked.trunk for asked in everything.draw(1, 0, 18)[0]]
    longest = max(len(trunk.token_ids) + len(trunk.cuts[0].suffix_ids) for trunk in trunks)
    num_longest = sum(len(t.token_ids) + len(t.cuts[0].suffix_ids) == longest for t in trunks)
    assert rlvr.open_objective(rlvr_recipe(context_tokens=longest), inputs, codec).balance.dropped == {}
    fewer = rlvr.open_objective(rlvr_recipe(context_tokens=longest - 1), inputs, codec).balance
    assert fewer.dropped == {"too-long": num_longest}
    assert fewer.kept == 18 - num_longest


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_the_document_stands_between_instruction_and_suffix(codec: Codec, name: str):
    prompt = next_token_prompt(name, codec)
    before, after = codec.decode(prompt.instruction_ids), codec.decode(prompt.suffix_ids)
    assert "\\boxed{}" in before
    assert after.rstrip().endswith("<think>")
    assert before.endswith("```\n") is after.startswith("\n```") is (name != "v0")
    assert ("candidates" in after) is (name == "v6")  # asked again at the end


def test_seven_templates_are_seven(codec: Codec):
    assert list(TEMPLATES) == [f"v{number}" for number in range(7)]
    assert len({(words.before, words.after) for words in TEMPLATES.values()}) == 7
    assert "\\boxed{\\n}" in TEMPLATES["v4"].before  # a line break, written out
    assert TEMPLATES["v4"].before.count("Answer:") == 3


def test_the_fenced_compact_template_is_the_compact_one_around_a_fence(codec: Codec):
    plain, fenced = (next_token_prompt(name, codec) for name in ("compact", "compact-fenced"))
    assert codec.decode(fenced.instruction_ids) == codec.decode(plain.instruction_ids) + "```\n"
    assert codec.decode(fenced.suffix_ids) == "\n```" + codec.decode(plain.suffix_ids)


LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n"
    "{% endif %}"
)
MISTRAL = "{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}"
R1 = (
    "{% for m in messages %}<|User|>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|><think>\n{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "start", "end"),
    [
        (LLAMA, "<|start_header_id|>user", "assistant<|end_header_id|>\n\n<think>\n"),
        (MISTRAL, "[INST] ", " [/INST]<think>\n"),
        (R1, "<|User|>", "<|Assistant|><think>\n"),
    ],
    ids=["llama", "mistral", "r1"],
)
def test_templates_go_into_chat_templates_of_known_shapes(codec, tmp_path, template, start, end):
    codec.save(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(template)
    chat = Codec.load(tmp_path)
    for name, words in TEMPLATES.items():
        prompt = next_token_prompt(name, chat)
        before, after = chat.decode(prompt.instruction_ids), chat.decode(prompt.suffix_ids)
        assert before.startswith(start)
        assert before.endswith(words.before)
        assert after.startswith(words.after)
        assert after.endswith(end)


def test_a_chat_template_is_cut_at_the_document(codec: Codec, tmp_path: Path):
    codec.save(tmp_path)
    template = "{% for m in messages %}<|end|>{{ m['role'] }}\n{{ m['content'] }}{% endfor %}"
    (tmp_path / "chat_template.jinja").write_text(
        template + "{% if add_generation_prompt %}ok<think>\n{% endif %}"
    )
    chat = Codec.load(tmp_path)
    prompt = problem_prompt("plain", chat)
    assert chat.decode(prompt.instruction_ids).startswith("<|end|>user\nSolve")
    assert prompt.instruction_ids[0] == chat.end_id
    assert chat.decode(prompt.suffix_ids) == "ok<think>\n"


def test_a_template_that_hides_the_document_is_refused(codec: Codec, tmp_path: Path):
    codec.save(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("hello")
    with pytest.raises(RecipeError, match="leaves out the user's message"):
        next_token_prompt("v0", Codec.load(tmp_path))


def test_auto_and_compact(codec: Codec, tmp_path: Path):
    assert next_token_prompt("auto", codec) == next_token_prompt("compact", codec)
    codec.save(tmp_path)
    text = (tmp_path / "tokenizer.json").read_text().replace("<|rpt|>", "<|other|>")
    (tmp_path / "tokenizer.json").write_text(text)
    other = Codec.load(tmp_path)
    assert next_token_prompt("auto", other) == next_token_prompt("v6", other)
    with pytest.raises(RecipeError, match="prompt=v6"):
        next_token_prompt("compact", other)
