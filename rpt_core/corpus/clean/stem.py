r"""How much a document is about science, technology, engineering or mathematics: three signs, one number.

What its archive files it under (arXiv's own classes; words of Wikipedia's categories), how much of it is
formulas, and how many of its words are terms. Words and categories are read as English; documents in
other languages are judged by their formulas alone, which the card shows.
"""

import functools
import re
from collections.abc import Sequence

_ARXIV = re.compile(
    r"(astro-ph|cond-mat|cs|eess|gr-qc|hep-(ex|lat|ph|th)|math|math-ph|nlin|nucl-(ex|th)|physics|q-bio|quant-ph"
    r"|stat)(\.|$)"
)
_CATEGORY = re.compile(
    r"\b(mathemat|algebra|geometr|topolog|number theory|theorem|statistic|probability|probabilistic"
    r"|physic|quantum|mechanics"
    r"|thermodynam|optics|electr(ic|on|omagn)|radiation|scattering|astronom|astrophys|planet|stars?\b|galax"
    r"|spacecraft|spaceflight|space exploration|chemi|acids?\b|metals\b|periodic table|hydrocarbon|solids\b"
    r"|biolog|biochem|zoolog|botan|species|mammals|birds|fish(es)?\b|insects|reptil|amphib|trilobit|fossil|taxa\b"
    r"|described in \d{4}|fauna\b|flora\b|algae|genetic|anatom|physiolog|patholog|disorders|diseases|medicine"
    r"|neurolog|geolog|climat|meteorolog|oceanograph|engineer|comput(er|ing|ation)|algorithm|software"
    r"|programming|cryptograph|protocols|character sets|data (structures|types)|logic\b|units of|SI \w+ units"
    r"|measurement|time scales|materials|agronom|petroleum|means$|statistical|scientific)",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(social|political) (scien|theor)|^articles |members of|alumni|faculty|people (from|of)"
    r"|\bbirths$|\bdeaths$|\b(winners|recipients)\b",
    re.IGNORECASE,
)
_TERM = re.compile(
    r"(algorithm\w*|theorem\w*|lemma\w*|proof\w*|equation\w*|function\w*|variable\w*|matri(x|ces)|vector\w*"
    r"|integer\w*|polynomial\w*|probability|probabilistic|variance|distribution\w*|statistic\w*|hypothes[ie]s|parameter\w*|theor(y|ies)"
    r"|experiment\w*|measure[dm]\w*|molecul\w+|atom\w*|electron\w*|proton\w*|ion(s|ic)?|chemical\w*|reaction\w*"
    r"|compound\w*|acid\w*|hydrogen|oxygen|carbon|metal\w*|temperature\w*|pressure|energy|mass|velocity|orbit\w*"
    r"|radiation|wavelength\w*|frequenc(y|ies)|spectr(um|a|al)|telescope\w*|planet\w*|galax(y|ies)|star(s|ry)?|lunar"
    r"|spacecraft|module|species|genus|genera|gene(s|tic\w*)?|protein\w*|cell(s|ular)?|tissue\w*|organism\w*|larva\w*"
    r"|muscle\w*|nerve\w*|brain|clinical|symptom\w*|diagnos\w+|medic\w+|comput\w+|software|data|code\w*|bit(s)?|byte\w*"
    r"|circuit\w*|voltage|current|device\w*|quantum|mechanics|physics|chemistry|biology|mathemati\w+|astronom\w+"
    r"|scientif\w+|scientist\w*|soil\w*|crop\w*|mineral\w*|viscosity|reflect\w+|surface\w*|solar|concentration\w*)"
)
_WORD = re.compile(r"\w+")
READ_CHARS = 20_000
"""Of the prose, read for terms."""
CATEGORY_SHARE, FORMULA_SHARE, TERM_SHARE = 0.4, 0.01, 0.05
"""At these shares (of categories, of characters, of words) a sign counts fully."""


def stem_score(source: str, lang: str, categories: Sequence[str], prose: str, formula_share: float) -> float:
    """From 0 (nothing of the kind) to 3; an article at 1 or above is about such a subject.

    Args:
        source: ``arxiv`` is filed by class, others by words of their categories.
        lang: Words and categories count in English only.
        categories: What the document is filed under.
        prose: Its text without formulas and code.
        formula_share: Characters of it in formulas and code, of all.

    Example:
        >>> stem_score("wikipedia", "en", ["Chemical elements"], "The atom has a mass and a charge.", 0.0)
        2.0
        >>> stem_score("arxiv", "en", ["math.AP"], "We thank all.", 0.0)
        1.0
    """
    formulas = min(1.0, formula_share / FORMULA_SHARE)
    if source == "arxiv" and categories:
        filed = float(any(_ARXIV.match(name) for name in categories))
        return round(filed + formulas + _terms(prose, lang), 3)
    if lang != "en":
        return round(formulas, 3)
    counted = [name for name in categories if not _NOT.search(name)]
    filed = sum(bool(_CATEGORY.search(name)) for name in counted) / max(len(categories), 1)
    return round(min(1.0, filed / CATEGORY_SHARE) + formulas + _terms(prose, lang), 3)


def _terms(prose: str, lang: str) -> float:
    if lang != "en":
        return 0.0
    words = _WORD.findall(prose[:READ_CHARS].lower())
    return min(1.0, sum(map(_is_term, words)) / max(len(words), 1) / TERM_SHARE)


@functools.lru_cache(1 << 14)
def _is_term(word: str) -> bool:
    return bool(_TERM.fullmatch(word))
