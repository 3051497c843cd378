"""What an answer without a thought is taken to say, in the words that models end with."""

import pytest

from rpt_core.evaluation.benchmarks.packs.item import Item
from rpt_core.evaluation.benchmarks.packs.registry import PACKS
from rpt_core.objectives.problems.stated import after_thought, stated_letter, stated_value

ITEM = Item("one", "How many?", "24")
CHOICE = Item("one", "Which?", "C", ("red", "blue", "green", "none"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("48 / 2 = 24.\n\nFinal answer: 24.", "24"),
        ("So, the final answer is 2.", "2"),
        ("Betty needs $160 more.\n\nThe final answer is $160.", "160"),
        ("The final answer is: **1,250**.", "1,250"),
        ("Final answer: 6.67\n\nThe final answer is 6.67 pages.", "6.67"),
        ("5 apples\n#### 42", "42"),
        ("The answer is 25. So there are 25 flowers.\nThe number of flowers is 30.", "25"),
        ("The answer is not known yet. 3 * 4 = 12 in all", "12"),
        ("It costs $30 * $46 = $1380", "1380"),
        ("The answer is \\boxed{7}, not 8. The answer is 9.", "7"),
        ("The answer is $\\frac{1}{2}$ of 3 cakes.", "\\frac{1}{2}"),
        ("Therefore \\[x = \\sqrt{2}\\]", "\\sqrt{2}"),
        ("Hence $y$ is $x^2 + 1$, for all x.", "x^2 + 1"),
        ("at -3 degrees", "-3"),
        ("a share of 3/4", "3/4"),
        ("nothing to be said", None),
        ("", None),
    ],
)
def test_the_value_an_answer_ends_with(text, said):
    assert stated_value(text, ended=True) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5 + 1 = 6, and 6 + 2 = ", None),  # where it was cut is no answer
        ("The final answer is 10 + ", None),
        ("The final answer is 12", None),  # it may have become 125
        ("The answer is 12. Let us check it: 3 *", "12"),
        ("\\boxed{12}. Let us check it: 3 *", "12"),
        ("\\boxed{12", None),
    ],
)
def test_an_answer_that_was_cut_off_says_only_what_it_stated(text, said):
    assert stated_value(text, ended=False) == said
    assert PACKS["gsm8k"].said(text, ITEM, "reasoning", ended=False) == said


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Green is C. The answer is (C) green.", "C"),
        ("Answer: **B**", "B"),
        ("The correct answer is option D.", "D"),
        ("A dog is no cat, so I take B", "B"),
        ("A is wrong and so is B; that leaves C.", "C"),
        ("The answer is A dog.", "A"),
        ("It is none of these.", None),
        ("\\boxed{B} or rather C", "B"),
    ],
)
def test_the_letter_an_answer_takes(text, letter):
    assert stated_letter(text, "ABCD", ended=True) == letter


def test_a_letter_beyond_the_choices_is_none():
    assert stated_letter("It is E.", "ABCD", ended=True) is None
    assert stated_letter("It was I who took J", "ABCDEFGHIJ", ended=True) == "J"
    assert stated_letter("Perhaps C", "ABCD", ended=False) is None
    assert stated_letter("The answer is C because", "ABCD", ended=False) == "C"


def test_a_thought_that_the_model_opens_by_itself_has_to_end():
    assert after_thought("<think>12 or 13?") is None
    assert after_thought("<think>12 or 13?</think>13") == "13"
    assert after_thought("13") == "13"
    math = PACKS["math500"]
    assert math.said("<think>The answer is 24.", ITEM, "reasoning", ended=False) is None
    assert math.said("<think>The answer is 23.</think>The answer is 24.", ITEM, "reasoning") == "24"
    assert PACKS["mmlu_pro"].said("The answer is C.", CHOICE, "reasoning") == "C"


def test_inside_a_thought_only_a_box_after_it_counts():
    said = PACKS["gsm8k"].said
    assert said("hm</think>The answer is 24.", ITEM, "reasoning", in_thought=True) is None
    assert said("hm</think>\\boxed{24}", ITEM, "reasoning", in_thought=True) == "24"
    assert said("hm</think>\\boxed{24} so", ITEM, "reasoning", in_thought=True, ended=False) is None


def test_brackets_of_a_working_that_was_cut_off_are_no_answer():
    item, said = Item("c:1", "N?", "[[N]]", topic="cipher"), PACKS["kor_bench"].said
    assert said("step [3] then", item, "reasoning", ended=False) is None
    assert said("so [[N]] as", item, "reasoning", ended=False) == "N"
    assert said("so [N]", item, "reasoning") == "N"
    few = PACKS["gsm8k"].said
    assert few("The answer is 4", ITEM, "few-shot", ended=False) is None
    assert few("The answer is 4, and", ITEM, "few-shot", ended=False) == "4"
