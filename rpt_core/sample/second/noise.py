"""Paragraphs that say nothing of the world: what a reader must pass over.

Every word of them is one of at most four, so that none is above the entropy floor between choice and
consequence.
"""

import random
from collections.abc import Mapping

from rpt_core.sample.second.kinds import Language, LanguageCode

_SENTENCES: Mapping[LanguageCode, tuple[tuple[str, ...], ...]] = {
    "en": (
        ("A neighbour", "The baker", "Some child", "One guest"),
        ("reads", "paints", "carries", "forgets"),
        ("a letter", "the fence", "two baskets", "some bread"),
        ("in the rain", "before lunch", "without haste", "near the well"),
    ),
    "zh": (
        ("邻居", "面包师", "小孩", "客人"),
        ("看着", "画着", "提着", "忘了"),
        ("书信", "篱笆", "篮子", "面包"),
        ("在雨里", "在午前", "在井边", "在路旁"),
    ),
}
SENTENCES_A_PARAGRAPH = (2, 3)


def noise_paragraph(rng: random.Random, language: Language) -> str:
    """Two or three sentences.

    Example:
        >>> from rpt_core.sample.second.kinds import ENGLISH
        >>> noise_paragraph(random.Random(1), ENGLISH)
        'A neighbour carries a letter near the well. One guest forgets some bread before lunch.'
    """
    sentences = [
        language.gap.join(rng.choice(words) for words in _SENTENCES[language.code]) + language.stop
        for _ in range(rng.choice(SENTENCES_A_PARAGRAPH))
    ]
    return language.gap.join(sentences)
