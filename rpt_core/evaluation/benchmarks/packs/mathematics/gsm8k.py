"""GSM8K: 1,319 test problems of grade-school arithmetic (Cobbe et al. 2021)."""

import re
from collections.abc import Sequence
from typing import ClassVar

from rpt_core.evaluation.benchmarks.packs.item import Item, Shot
from rpt_core.evaluation.benchmarks.packs.mathematics.problems import Mathematics
from rpt_core.evaluation.benchmarks.packs.pack import GREEDY_EXAMPLES, ONCE, Message, Mode, Published

_ANSWER_IS = re.compile(r"answer is\s*(-?[$]?[0-9][0-9.,]*)", re.IGNORECASE)
EXAMPLES = (
    Shot(
        "There are 15 trees in the grove. Grove workers will plant trees in the grove today. "
        "After they are done, there will be 21 trees. How many trees did the grove workers plant "
        "today?",
        "There are 15 trees originally. Then there were 21 trees after some more were planted. So"
        " there must have been 21 - 15 = 6. The answer is 6.",
    ),
    Shot(
        "If there are 3 cars in the parking lot and 2 more cars arrive, how many cars are in the "
        "parking lot?",
        "There are originally 3 cars. 2 more cars arrive. 3 + 2 = 5. The answer is 5.",
    ),
    Shot(
        "Leah had 32 chocolates and her sister had 42. If they ate 35, how many pieces do they "
        "have left in total?",
        "Originally, Leah had 32 chocolates. Her sister had 42. So in total they had 32 + 42 = "
        "74. After eating 35, they had 74 - 35 = 39. The answer is 39.",
    ),
    Shot(
        "Jason had 20 lollipops. He gave Denny some lollipops. Now Jason has 12 lollipops. How "
        "many lollipops did Jason give to Denny?",
        "Jason started with 20 lollipops. Then he had 12 after giving some to Denny. So he gave "
        "Denny 20 - 12 = 8. The answer is 8.",
    ),
    Shot(
        "Shawn has five toys. For Christmas, he got two toys each from his mom and dad. How many "
        "toys does he have now?",
        "Shawn started with 5 toys. If he got 2 toys each from his mom and dad, then that is 4 "
        "more toys. 5 + 4 = 9. The answer is 9.",
    ),
    Shot(
        "There were nine computers in the server room. Five more computers were installed each "
        "day, from monday to thursday. How many computers are now in the server room?",
        "There were originally 9 computers. For each of 4 days, 5 more computers were added. So 5"
        " * 4 = 20 computers were added. 9 + 20 is 29. The answer is 29.",
    ),
    Shot(
        "Michael had 58 golf balls. On tuesday, he lost 23 golf balls. On wednesday, he lost 2 "
        "more. How many golf balls did he have at the end of wednesday?",
        "Michael started with 58 golf balls. After losing 23 on tuesday, he had 58 - 23 = 35. "
        "After losing 2 more, he had 35 - 2 = 33 golf balls. The answer is 33.",
    ),
    Shot(
        "Olivia has $23. She bought five bagels for $3 each. How much money does she have left?",
        "Olivia had 23 dollars. 5 bagels for 3 dollars each will be 5 x 3 = 15 dollars. So she "
        "has 23 - 15 dollars left. 23 - 15 is 8. The answer is 8.",
    ),
)  # fmt: skip
"""Table 20 of Wei et al. 2022 (arXiv 2201.11903)."""


class Gsm8k(Mathematics):
    """The test split; where only the training split is there, that, marked as such."""

    name = "gsm8k"
    published = Published(
        "openai/gsm8k", ("main/test-00000-of-00001.parquet",), "MIT", "Cobbe et al. 2021, arXiv 2110.14168"
    )
    modes: ClassVar = {"reasoning": ONCE, "few-shot": GREEDY_EXAMPLES}
    num_shots = len(EXAMPLES)
    has_training_split = True

    def shots_for(self, item: Item, shots: Sequence[Shot], most: int) -> list[Shot]:
        """The eight of the paper, whatever the folder holds."""
        return list(EXAMPLES[:most])

    def message(self, item: Item, mode: Mode, shots: Sequence[Shot]) -> Message:
        """Solved step by step, or as plain text after eight worked examples."""
        if mode == "few-shot":
            solved = "".join(f"Q: {shot.question}\nA: {shot.answer}\n\n" for shot in shots)
            return Message("", f"{solved}Q: {item.question}\nA:", raw=True, stops=("\n\n", "Q:"))
        return super().message(item, mode, shots)

    def said(
        self, text: str, item: Item, mode: Mode, *, in_thought: bool = False, ended: bool = True
    ) -> str | None:
        """The number after ``the answer is``, or the boxed one."""
        if mode == "few-shot":
            match = _ANSWER_IS.search(text)
            is_whole = match is not None and (ended or match.end() < len(text))
            return match[1].rstrip(".,") if match and is_whole else None
        return super().said(text, item, mode, in_thought=in_thought, ended=ended)
