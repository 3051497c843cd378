"""Recipes of the corpus stages: read the sources, then clean, mask, split and segment them."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import SEED_MAX, Address, Artifact, Frozen, Recipe, Ref, later
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.world import SecondEdition

FIELDS = frozenset(
    {
        "problem", "answer", "solution", "difficulty", "domain", "context", "options", "text", "title", "id",
    }
)  # fmt: skip
"""What a row of a data file can tell us."""


class SampleWorld(Frozen):
    """The built-in world: small files in the real formats, text that rewards thinking."""

    seed: int = Field(0, ge=0, le=SEED_MAX)
    num_documents: int = Field(4000, ge=10, le=1_000_000)
    """Articles and papers together, before planted duplicates and broken files."""
    num_problems: int = Field(1250, ge=10, le=1_000_000)
    """Items of the problem set."""
    second: SecondEdition | None = later(None)
    """The second edition in place of the first."""


class CalculatorTeacher(Frozen):
    """Traces out of calculator notes, such as GSM8K's ``<<48/2=24>>``: a thought is the note, at its number.

    The teacher errs: a share of its thoughts slips in one digit of the result, and concludes what it then
    says. Which problems give traces, and which thoughts slip, is told by a hash. Notes whose expression does
    not come to the number of the text exactly give none.
    """

    slip_share: float = Field(0.5, ge=0, le=1)
    """Share of the thoughts that slip."""
    lesson_share: float = Field(1.0, gt=0, le=1)
    """Share of the problems that give traces."""
    salt: str = Field("calculator-1", min_length=1)
    """Of the hash."""


class InputFile(Frozen):
    """One input file by content: where it lies is not part of what it is."""

    name: str
    """Path below the data folder, with forward slashes."""
    sha256: str
    num_bytes: int


class IngestRecipe(Recipe):
    """Read dumps, e-prints, problem sets and plain text into documents, problems and traces."""

    kind: ClassVar[str] = "documents"
    location_fields: ClassVar[frozenset[str]] = frozenset({"data"})

    stage: Literal["ingest-corpus"] = "ingest-corpus"
    revision: int = 3
    """2: solutions of a list stand apart by blank lines; all unclosed pages at a dump's end are told."""
    data: str = ""
    """File or folder of the user's own, the address of a file (``https://..``, ``s3://..``), a ``.urls`` file
    with one address a line, a ``.arxiv`` file with one e-print's number a line, or arXiv's bulk manifest with
    months (``arXiv_src_manifest.xml#yymm=2301..2303``); empty for the sample world. Only content is
    fingerprinted."""
    files: tuple[InputFile, ...] = ()
    """Content of ``data``, filled in by ``resolve``."""
    sample: SampleWorld | None = None
    columns: dict[str, str] = {}
    """Where your rows name things otherwise: our name (problem, answer, solution, difficulty, domain,
    context, options, text, title, id) -> your column; a dot reaches into a nested row."""
    max_document_chars: int = Field(4_000_000, ge=1000)
    """Longer documents are dropped as ``gigantic``."""
    problem_share: float = later(1.0, gt=0, le=1)
    """Share of the problems that are read, by a hash of their text; the rest is dropped as ``not-drawn``."""
    calculator: CalculatorTeacher | None = later(None)
    """Traces out of the calculator notes of solutions; None for none. The notes themselves are taken out of
    the text either way. The traces find their places where ``solutions_as_documents`` makes documents."""

    @model_validator(mode="after")
    def _one_source(self) -> "IngestRecipe":
        if bool(self.data) == (self.sample is not None):
            raise ValueError("give either data=FILE|FOLDER or a sample world, not both and not neither")
        return self

    @model_validator(mode="after")
    def _known_columns(self) -> "IngestRecipe":
        unknown = sorted(set(self.columns) - FIELDS)
        if unknown or not all(self.columns.values()):
            raise ValueError(
                f"columns maps {', '.join(unknown) or 'a name to nothing'}; "
                f"the names are {', '.join(sorted(FIELDS))}"
            )
        return self


class QualityRecipe(Recipe):
    """What a language model gives every document for its worth to a learner, 0 to 5 points.

    The idea is that of FineWeb-Edu (Penedo et al. 2024), the rubric is ours. Scores are an artifact of
    their own, made once and only read when a corpus is prepared: another ``min_score`` asks no model again.
    A model held here is greedy, so that its scores repeat under the same numerics; what answers behind an
    address is nobody's promise, which is why what it said is kept.
    """

    kind: ClassVar[str] = "quality"
    location_fields: ClassVar[frozenset[str]] = frozenset({"scorer_url"})

    stage: Literal["score-quality"] = "score-quality"
    documents: IngestRecipe | Ref | Artifact
    """Inside a prepare recipe it may be left out: then they are that recipe's documents."""
    model: GivenModel | Ref | Artifact | None = None
    """A model to be held here: a Hugging Face folder or hub id, or any trained artifact."""
    scorer_model: str = ""
    """Or the name of one behind ``scorer_url``, an OpenAI-compatible address up to its version."""
    scorer_url: Address = ""
    read_chars: int = Field(3000, ge=100)
    """Of every document, from its start."""
    reply_tokens: int = Field(16, ge=4)
    deadline_seconds: float = Field(30.0, gt=0)
    """For one reply from an address, retries included."""
    unread_share_max: float = Field(0.2, ge=0, le=1)
    """With a larger share of replies that hold no score the stage ends by name."""

    @model_validator(mode="after")
    def _one_scorer(self) -> "QualityRecipe":
        if (self.model is None) == (not self.scorer_model):
            raise ValueError("give either a model, or a scorer_model behind scorer_url")
        if bool(self.scorer_model) != bool(self.scorer_url):
            raise ValueError("scorer_model and scorer_url go together")
        return self


class PrepareRecipe(Recipe):
    """Normalise, filter, de-duplicate, decontaminate, mask, split and segment."""

    kind: ClassVar[str] = "corpus"

    stage: Literal["prepare-corpus"] = "prepare-corpus"
    revision: int = 3
    """2: displayed formulas stay in their sentences; numbers of list items end none."""
    documents: IngestRecipe | Ref | Artifact
    min_words: int = Field(20, ge=1)
    """Shorter documents are dropped as ``too-short``; a CJK character counts as a word."""
    quality: bool = True
    """Apply the Gopher, C4 and FineWeb rules that do not punish mathematics."""
    near_duplicate_jaccard: float = Field(0.8, gt=0, le=1)
    """Documents at least this alike (word 5-grams) are one; the smallest id stays."""
    num_permutations: int = Field(112, ge=16)
    """MinHash permutations, as 14 bands x 8 rows by default (ours; RLPT 3.1 gives none)."""
    decontaminate_ngram: int = Field(13, ge=4)
    """Documents that share a run of this many words with a held-out problem are dropped."""
    held_out: IngestRecipe | Ref | Artifact | None = later(None)
    """Further benchmarks in use, as read from their own files (``held_out={"data": FOLDER}``): their items
    are all held out, so documents and training problems that share text with one are dropped and counted."""
    mask_pii: bool = True
    mask_phones: bool = False
    """Most of what looks like a phone number in encyclopaedic text is none."""
    languages: tuple[str, ...] = ()
    """Keep only these (ISO codes, ``und`` for undecided); empty keeps all."""
    licenses: tuple[str, ...] = ()
    """Keep only documents under these (``cc-by``, ``cc-by-sa``, ``cc0``, ``public-domain``, ``arxiv``,
    ``unknown`` ..., see ``rpt_core.corpus.clean.licences``); empty keeps all."""
    stem_min: float = Field(0.0, ge=0, le=3)
    """Keep only documents with at least this STEM score (``rpt_core.corpus.clean.stem``; 1 is a good cut)."""
    noise_share: float = Field(0.0, ge=0, lt=1)
    """Words of training documents that get a typing error, for studies of robustness; 0 for none."""
    eval_share: float = Field(0.08, gt=0, lt=1)
    """Share of documents and problems held out, by hash of the near-duplicate cluster."""
    solutions_as_documents: bool = later(False)
    """Also make a document of every problem with its solution, the statement as context (RPT, 3.2)."""
    scores: QualityRecipe | Ref | Artifact | None = later(None)
    """A language model's scores of the same documents; each stands among a document's metrics."""
    min_score: float = later(0.0, ge=0, le=5)
    """Documents with fewer points are dropped as ``llm-quality``; 0 records scores and drops nothing."""
    unread_scores: Literal["keep", "drop"] = later("keep")
    """What becomes of a document whose score could not be read: not knowing is not a low score. Dropped,
    it is ``llm-unread``; kept or dropped, the card counts it."""
    min_segment_chars: int = Field(20, ge=1)
    """Shorter sentences are merged into a neighbour (ours; RLPT 3.1 gives none)."""
    held_questions: str = later("")
    """Salt of the sample world's second edition: every row that shows a question held out under it is held
    out too, beside the ``eval_share`` of the others. Empty for no such rule."""
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _scores_of_these(cls, data: Any) -> Any:
        """Scores without documents are of these."""
        scores = data.get("scores") if isinstance(data, dict) else None
        if isinstance(scores, dict) and "fingerprint" not in scores and "ref" not in scores:
            return {**data, "scores": {"documents": data.get("documents"), **scores}}
        return data

    @model_validator(mode="after")
    def _scored(self) -> "PrepareRecipe":
        if self.scores is None and (self.min_score or self.unread_scores != "keep"):
            raise ValueError("min_score and unread_scores need scores")
        return self
