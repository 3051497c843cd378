"""Where documents come from, and what the prepare stage asks of them for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Thresholds of one source; a text that breaks one is dropped with that reason."""

    word_chars: tuple[float, float] = (2.5, 12.0)
    letter_share_min: float = 0.6
    symbol_share_max: float = 0.1
    bullet_share_max: float = 0.9
    ellipsis_share_max: float = 0.3
    ended_share_min: float = 0.0
    repeated_line_share_max: float = 0.3
    top_ngram_share_max: float = 1.0
    repeated_ngram_share_max: float = 0.3
    stop_words_min: int = 2


@dataclass(frozen=True, slots=True)
class Origin:
    """One kind of documents."""

    name: str
    """The ``source`` of their rows."""
    priority: int
    """Of two equal documents the one with the smaller number stays: its source is read with more care."""
    profile: Profile = Profile()
    """Papers and articles come from readers that know their mark-up; plain text can be anything."""
    licence: str = ""
    """Of every document; empty where each says its own or none does."""
