"""Why a row was dropped: a closed list, so that a card can explain every number in it.

A reason is a short phrase with hyphens. Adding one here is what allows a reader or a step to use it.
"""

from rpt_core.errors import IntegrityError

REASONS: dict[str, str] = {
    # files
    "empty-file": "the file holds no bytes",
    "unrecognised-format": "no reader knows this kind of file",
    "unrecognised-columns": "rows whose columns name neither text, nor a problem, nor a trace",
    "companion-file": "a file that belongs to another one, such as a dump's index",
    "unfit-index": "an index whose offsets are not those of the dump beside it, which is read as without it",
    "licence-or-readme": "a licence, notice or read-me file lying beside the data",
    "not-a-regular-file": "a device, socket or dangling link",
    "unreadable-file": "the operating system refused to open the file",
    "truncated-bz2": "a bzip2 stream that ends early; what came before the break is kept",
    "broken-bz2": "a bzip2 stream with wrong bytes; what came before the break is kept",
    "truncated-gzip": "a gzip stream that ends early; what came before the break is kept",
    "broken-gzip": "a gzip stream with wrong bytes; what came before the break is kept",
    "not-utf-8": "bytes that are not the encoding they should be",
    # dumps
    "broken-xml": "a page that is not well-formed XML",
    "no-pages": "a dump that holds no page at all, only its header",
    "value-elsewhere": "sentences of a page left out, whose value lies elsewhere; the rest of it is kept",
    "truncated-xml": "a dump that ends inside a page",
    "entity-declaration": "a document type with entities, which no real dump has",
    "other-namespace": "talk, template, category, file and other pages that are no articles",
    "redirect": "a page that only points to another one",
    "disambiguation": "a page that only lists meanings of its title",
    "not-wikitext": "a page of another content model, such as JSON or CSS",
    "too-costly": "a page whose mark-up would take too long to parse",
    "no-prose": "nothing that reads as text is left after the mark-up is taken away",
    "other-post": "a tag's description or another post that is neither question nor answer",
    "orphan-answer": "an answer whose question the dump lacks",
    "unanswered": "a question without an answer that was accepted or voted for",
    "unpopular-answer": "an answer that was neither accepted nor voted for",
    # archives and LaTeX
    "pdf-only": "an e-print that was submitted as PDF alone",
    "withdrawn": "an e-print that its authors withdrew",
    "no-tex": "an archive without any LaTeX source",
    "broken-archive": "a tar archive with wrong bytes",
    "archive-path-escape": "an archive member whose path leaves the archive; the member is not read",
    "archive-link": "an archive member that is a link or a device; the member is not read",
    "archive-bomb": "an archive that unpacks to more than is allowed",
    "latex-unbalanced": "LaTeX whose braces, environments or formulas never close",
    "missing-input": "a part of a paper that its text inputs and its archive lacks; the rest is kept",
    "latex-explosion": "LaTeX whose macros or inputs grow past the limits",
    "bad-reply": "a metadata server's reply that reports an error",
    # rows
    "bad-json": "a line or item that is not JSON, or holds a key twice",
    "bad-parquet": "a Parquet file that cannot be read",
    "bad-csv": "a CSV file that cannot be read",
    "missing-column": "a row without the value its set is about",
    "retyped-column": "a row whose value has another type than its column should have",
    "one-text-for-all": "a problem whose text nearly all rows of its set share, such as a system prompt",
    "not-drawn": "a problem outside the share of problems that the recipe reads",
    "too-much-work": "a row, or rows stored together, of more values or bytes than may be held at once",
    # documents
    "gigantic": "longer than the recipe allows",
    "control-characters": "more than a stray control or replacement character: binary, or wrongly decoded",
    "too-short": "fewer words than the recipe asks for",
    "word-length": "mean word length that prose does not have",
    "few-letters": "too few words hold a letter",
    "symbols": "too many hash marks, ellipses or pipes",
    "list-like": "nearly all lines are bullets or end in dots",
    "line-repetition": "the same lines or paragraphs again and again",
    "ngram-repetition": "the same phrases again and again",
    "few-stop-words": "prose of its language without its commonest words",
    "boilerplate": "placeholder or programme text that is no prose",
    "language": "a language the recipe does not ask for",
    "licence": "a licence the recipe does not ask for",
    "not-stem": "less about science, technology, engineering or mathematics than the recipe asks for",
    "llm-quality": "fewer points by a language model than the recipe asks for",
    "llm-unread": "a language model's reply about it held no score, and the recipe drops such documents",
    "same-id": "the same page or paper read twice",
    "exact-duplicate": "the same text as another document",
    "near-duplicate": "nearly the same text as another document",
    "benchmark-leak": "shares a run of words with a held-out problem or a benchmark",
    # traces
    "no-document": "a trace whose document was dropped or never read",
    "not-found": "a trace whose text does not stand in its document",
    "ambiguous": "a trace whose text stands in its document more than once",
}  # fmt: skip


def known(reason: str) -> str:
    """The same reason.

    Raises:
        IntegrityError: the reason is not in the list, so nothing could explain it.
    """
    if reason not in REASONS:
        raise IntegrityError(f"the reason {reason!r} is not listed in rpt_core.corpus.reasons; add it there.")
    return reason
