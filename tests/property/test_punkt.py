"""Our Punkt beside nltk's own: the same parameters from any texts, the same boundaries in any text."""

from hypothesis import example, given
from hypothesis import strategies as st
from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

from rpt_core.corpus.segments.punkt import learn, tokenizer

WORDS = "Dr e.g the The U.S j J 1 12 3.5 -4 a_b x Ü क्या 猫だ ß no".split()  # noqa: SIM905
MARKS = [*". .. ... , ? ! \" ) ( ” « -- - : ; ' $".split(), ". . .", "\x1c", "\x85"]  # noqa: SIM905
BLANKS = [" ", "  ", "\n", "\n\n", "\u00a0", "\u3000", "\t", ""]
PIECES = st.sampled_from(WORDS + MARKS + BLANKS + [" ", " ", ". ", ". The "])
TEXT = st.one_of(st.lists(PIECES, max_size=60).map("".join), st.text(max_size=40))


def theirs(texts):
    trainer = PunktTrainer()
    for text in texts:
        trainer.train(text, finalize=False)
    trainer.finalize_training()
    return trainer.get_params()


def as_values(parameters):
    contexts = {kind: flags for kind, flags in parameters.ortho_context.items() if flags}
    return parameters.abbrev_types, parameters.collocations, parameters.sent_starters, contexts


@given(st.lists(TEXT, min_size=1, max_size=6), TEXT)
@example(
    ["Dr. Who met J. S. Bach at 3. May. He left. . . . Then, e.g., no. It was.\n\nThe end."] * 9,
    "Dr. J. Who. A",
)
@example(["a.b. c", "\x1c.\x1c. d."], 'He said "yes." Then. " No.')
def test_parameters_and_boundaries_are_nltks(texts, text):
    ours, nltks = learn(texts), theirs(texts)
    assert as_values(ours) == as_values(nltks)
    for probe in (*texts, text):
        assert list(tokenizer(ours).span_tokenize(probe)) == list(
            PunktSentenceTokenizer(nltks).span_tokenize(probe)
        )
