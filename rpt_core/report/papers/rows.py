"""The claims of RPT (2506.08007), RMT (2509.24375) and RLPT (2509.19249), and of what they leave to others.

A row that a study here could not decide says why. The figures are the papers' own.
"""

from collections.abc import Iterable

from rpt_core.recipes.reports.outcomes_report import (
    NEXT_SEGMENTS,
    OTHER_TEXT,
    RLVR_AFTER_RLPT,
    RLVR_AFTER_RMT,
    SHORTER_THOUGHTS,
    SIZES,
    VERIFIABLE_REWARDS,
    OutcomesStudyName,
)
from rpt_core.report.outcomes.claims import (
    AFTER_RLPT_CLAIMS,
    AFTER_RMT_CLAIMS,
    ERRS_20,
    MIXED_RLVR,
    MORE_SFT,
    RLVR_CLAIMS,
    RMT_CLAIMS,
    RPT_RLVR,
    SEGMENT_CLAIMS,
    Claim,
)
from rpt_core.report.outcomes.claims import RLPT as RLPT_ARM
from rpt_core.report.papers.evidence import (
    Compared,
    Decided,
    Fitted,
    OverDocuments,
    PaperClaim,
    Printed,
    Sooner,
    Untested,
)

RPT, RMT, RLPT, NEXT = "RPT", "RMT", "RLPT", "future work"
_RLPT = "results-rlpt"
_RMT = "results-rmt"
_RPT = "results-rpt"
_RLVR = "results-rlvr"
_STUDY = "the study of an imperfect teacher, equal operations"
_OTHER_TEXTS = "the same teacher in other texts, seeds of its own, equal operations"
_TRUE = "truly right, by seed"


def _as_claimed(claims: Iterable[Claim], study: OutcomesStudyName) -> dict[str, Compared]:
    """What the claims of a study compare, by key."""
    return {
        one.key: Compared(one.method, one.reference, one.score, one.threshold, one.direction, study)
        for one in claims
    }


_SEGMENTS = _as_claimed(SEGMENT_CLAIMS, NEXT_SEGMENTS)
_SHORTER = _as_claimed(RMT_CLAIMS, SHORTER_THOUGHTS)
_REWARDED = _as_claimed(RLVR_CLAIMS, VERIFIABLE_REWARDS)
_AFTER_RMT = _as_claimed(AFTER_RMT_CLAIMS, RLVR_AFTER_RMT)
_AFTER_RLPT = _as_claimed(AFTER_RLPT_CLAIMS, RLVR_AFTER_RLPT)
_SHORTER_STUDY = "questions in no training text, equal operations; the study of shorter thoughts"
_NEW_QUESTIONS = "questions in no training text, by the world's truth; the study of next segments"
_NEW_PROBLEMS = "problems in no training text, pass@1, equal operations; the study of verifiable rewards"
_PROBLEMS_BESIDE = (
    "problems in no training text, pass@1, RPT's operations not charged; the study of verifiable rewards"
)
NO_GPU = "needs models of billions of parameters on GPUs, which are not at hand"

OF_RPT = (
    PaperClaim(RPT, "reasoning learnt from plain text beats the same compute spent on more supervision", "",
               "RPT, more SFT", Decided("C1"), "the paper has no such control"),
    PaperClaim(RPT, "reinforcement beats learning the right ones of the same rollouts", "",
               "RPT, rejection SFT", Decided("C2"), "the paper has no such control"),
    PaperClaim(RPT, "it mends the thoughts themselves: more right answers with a true chain", "",
               "RPT, start", Decided("C3"), "thoughts are read step by step"),
    PaperClaim(RPT, "the gain is no habit of thinking more often", "", "RPT, start", Decided("C4"),
               "an equivalence: the think share moves by less than two points"),
    PaperClaim(RPT, "the reward's content makes the gain, not the update", "", "permuted reward, start",
               Decided("C5"), "each group's rewards shuffled within it"),
    PaperClaim(RPT, "it carries over to longer chains than were ever shown", "", "RPT, start", Decided("C6"),
               "questions of five and six steps"),
    PaperClaim(RPT, "next-token accuracy rises above the base model's plain prediction",
               "45.1 / 33.6 / 23.8 % against 41.6 / 29.5 / 20.4 %", "RPT, start, NTP alone",
               OverDocuments(_RPT, "+59.7 [57.1, 62.2]"),
               "three trainings, documents pooled, and questions that stand in the training text",
               Compared("RPT", "base model", "accuracy", reference_score="plain-held"),
               "the study of an imperfect teacher; the base model, which has had neither lessons nor RPT's "
               "operations, names its likeliest token, and RPT draws a thought and its answer"),
    PaperClaim(RPT, "it beats continual next-token training", "", "RPT, NTP tuned",
               Compared("RPT", "NTP tuned", "accuracy"),
               f"{_STUDY}, the control tuned with as many runs; added after its figures were known"),
    PaperClaim(RPT, "a model without reasoning of twice the size is matched", "as a 32 B model (figure 4)",
               "1 M with RPT, 3 M with next tokens alone",
               Compared("1 M: RPT", "3 M: NTP", "accuracy", study=SIZES, reference_score="plain-held"),
               "three times the size, at the ends of trainings of about equal operations, lessons counted; "
               "the smaller draws a thought, the larger names its likeliest token"),
    PaperClaim(RPT, "accuracy follows a power law in training compute", "R² 0.989 to 0.997",
               "checkpoints of RPT",
               Fitted(OverDocuments(_RPT, "0.991, 0.991, 0.968"), "study/sizes",
                      "six points a size, means over seeds; a law is named where it is ahead of its rivals"),
               "it fits as well, and so do curves that are none: no law is decided by six points a size"),
    PaperClaim(RPT, "the prefix reward and three others are comparable", "no figures",
               "four rewards, two templates", OverDocuments(_RPT, "+0.4 [−0.4, +1.2]"),
               "one seed and one template"),
    PaperClaim(RPT, "the better start for the same verifiable rewards", "58.3 against 52.7 %",
               "RLVR from RPT, RLVR from the start model", Untested(), "no reported seed has run",
               _REWARDED["V1"], _PROBLEMS_BESIDE),
    PaperClaim(RPT, "the better start for verifiable rewards, equal operations", "58.3 against 52.7 %",
               "RLVR from RPT, RLVR from the start model",
               Printed(_RLVR, "pass@1, by seed", (71.6, 81.9, 59.9), (71.5, 86.1, 72.1)),
               "problems of the sample world, pass@1", _REWARDED["V2"], _NEW_PROBLEMS),
    PaperClaim(RPT, "next-token training is a worse start for verifiable rewards", "13.0 against 58.3 %",
               "RLVR from RPT, RLVR from NTP",
               Printed(_RLVR, "pass@1, by seed", (71.6, 81.9, 59.9), (66.2, 79.4, 63.5)),
               "problems of the sample world, pass@1", _REWARDED["V3"], _NEW_PROBLEMS),
    PaperClaim(RPT, "zero-shot accuracy rises on MMLU-Pro and SuperGPQA", "71.1 and 39.0 %",
               "`rpt eval` on a trained model", Untested(), NO_GPU),
    PaperClaim(RPT, "thoughts shift to hypothesis and deduction", "+161.8 % and +26.2 % of their share",
               "keywords of thoughts", Untested(),
               "no such word is ever said in the sample world; named faults are counted instead"),
    PaperClaim(RPT, "asking where the text is uncertain beats asking anywhere", "the entropy filter",
               "RPT with random positions, RPT", OverDocuments(_RPT, "−17.0 [−18.4, −15.5]"),
               "three trainings, documents pooled"),
    PaperClaim(RPT, "with equal operations, the proxy's pass charged, chosen positions beat random ones", "",
               "RPT, RPT with random positions",
               Compared("RPT", "RPT, random positions", "accuracy"), "the study of an imperfect teacher"),
)  # fmt: skip
OF_RMT = (
    PaperClaim(RMT, "more accurate than RPT", "46.9 against 35.9 %, mean of tiers", "RMT, RPT",
               Printed(_RMT, "seeds 100 to 102, constant rate", (83.0, 70.7, 83.5), (89.2, 73.1, 92.0)),
               "the length is paid when right, not always as printed",
               Compared("RMT", "RPT", "accuracy", study=SHORTER_THOUGHTS), _SHORTER_STUDY),
    PaperClaim(RMT, "as accurate as RPT within five points, with a rate that falls", "", "RMT, RPT",
               Printed(_RMT, "seeds 103 to 105, falling rate", (74.5, 81.2, 91.2), (80.3, 76.4, 91.6), -0.05),
               "the length is paid when right, not always as printed"),
    PaperClaim(RMT, "at 21 % of RPT's thinking length", "188 against 872 tokens", "RMT, RPT",
               OverDocuments(_RMT, "48.3 % [46.2, 50.6]"), "by seed 68, 33 and 44 % of it",
               _SHORTER["M2"], f"holds below one half; {_SHORTER_STUDY}"),
    PaperClaim(RMT, "the budget adds accuracy", "+6.6 points", "RMT, RMT without budget",
               OverDocuments(_RMT, "+0.9 [−0.9, +2.7]"), "three trainings, documents pooled",
               _SHORTER["M3"], _SHORTER_STUDY),
    PaperClaim(RMT, "the curriculum adds accuracy", "+3.6 points", "RMT, RMT without curriculum",
               OverDocuments(_RMT, "+2.2 [+0.4, +4.1]"), "three trainings, documents pooled",
               _SHORTER["M4"], _SHORTER_STUDY),
    PaperClaim(RMT, "the next-token loss adds accuracy", "+13.0 points", "RMT, RMT without NTP",
               OverDocuments(_RMT, "+1.4 [−0.5, +3.2]"), "three trainings, documents pooled",
               _SHORTER["M5"], _SHORTER_STUDY),
    PaperClaim(RMT, "better than continual next-token training", "not run", "RMT, NTP alone",
               OverDocuments(_RMT, "+47.5 [+44.8, +50.2]"), "three trainings, documents pooled"),
    PaperClaim(RMT, "a better start for post-training", "54.7 against 48.5 %", "RLVR from RMT, RLVR from RPT",
               Untested(), "one seed of RLVR from RMT, and none of RLVR from RPT beside it",
               _AFTER_RMT["R1"], "problems in no training text, pass@1, equal operations; the study of "
               "verifiable rewards after RMT"),
    PaperClaim(RMT, "as printed, the length paid always, it is as accurate", "",
               "RMT paid always, RMT paid when right",
               Untested(), "in tuning it farmed length; no reported seed has run",
               _SHORTER["M6"], f"within five points; {_SHORTER_STUDY}"),
)  # fmt: skip
OF_RLPT = (
    PaperClaim(RLPT, "next-segment reasoning beats the cold start", "+5.1 MMLU-Pro, +8.1 GPQA-D at 4 B",
               "RLPT, cold start", Printed(_RLPT, _TRUE, (46, 51, 45), (20, 21, 19)),
               "segments of the sample world, judged by its own truth", _SEGMENTS["S1"],
               f"by more than five points; {_NEW_QUESTIONS}"),
    PaperClaim(RLPT, "it beats more supervised training at equal tokens", "not run",
               "RLPT, more supervised training", Printed(_RLPT, _TRUE, (46, 51, 45), (27, 33, 29)),
               "left free; made to think, the supervised control is the better one", _SEGMENTS["S2"],
               f"equal operations, the judge's too; {_NEW_QUESTIONS}"),
    PaperClaim(RLPT, "the prefix rule beats the strict rule", "a figure without numbers", "RLPT, strict rule",
               Printed(_RLPT, _TRUE, (46, 51, 45), (45, 57, 46)), "segments of this world are equally long",
               _SEGMENTS["S3"], f"segments of this world are equally long; {_NEW_QUESTIONS}"),
    PaperClaim(RLPT, "both tasks beat continuing alone", "", "RLPT, ASR alone",
               Printed(_RLPT, _TRUE, (46, 51, 45), (39, 54, 44)), "no figures in the paper",
               _SEGMENTS["S4"], f"no figures in the paper; {_NEW_QUESTIONS}"),
    PaperClaim(RLPT, "both tasks beat filling in alone", "", "RLPT, MSR alone",
               Printed(_RLPT, _TRUE, (46, 51, 45), (38, 46, 40)), "no figures in the paper",
               _SEGMENTS["S5"], f"no figures in the paper; {_NEW_QUESTIONS}"),
    PaperClaim(RLPT, "RLPT and then verifiable rewards beat those alone", "90.6 against 89.1 % on MATH",
               "RLPT, then RLVR; RLVR alone", OverDocuments(_RLPT, "+2.6 [0.0, 5.2]"),
               "300 problems; 24 steps each", _AFTER_RLPT["L1"],
               "problems in no training text, pass@1, RLPT's operations not charged; the study of verifiable "
               "rewards after RLPT"),
    PaperClaim(RLPT, "it keeps what more tries find", "95.3 against 95.0 %, pass@8 on MATH",
               "RLPT, then RLVR; RLVR alone", OverDocuments(_RLPT, "−0.7 [−6.1, 4.7]"),
               "300 problems; 24 steps each"),
    PaperClaim(RLPT, "scores follow a stretched exponential in training tokens", "y = a exp(b x^c)",
               "milestones of RLPT", Untested(),
               "it has three parameters, and the study of next segments asks four checkpoints of a training"),
    PaperClaim(RLPT, "a third of the tokens reaches the same accuracy", "in summaries of it alone",
               "tokens to a target accuracy", Untested(), "no study reports tokens to a target yet",
               Sooner(RLPT_ARM, MORE_SFT, 1 / 3, NEXT_SEGMENTS),
               "tokens of RLPT until it is as accurate as more SFT at its end, over all of more SFT's; where "
               "RLPT never is, under any seed, the row is undecided. More SFT ends no better than the start "
               "there, so RLPT's first checkpoint has it: this says little of a third"),
    PaperClaim(RLPT, "general and maths benchmarks rise", "its tables 1 and 2", "`rpt eval` of rlpt_4b",
               Untested(), NO_GPU),
)  # fmt: skip
OF_NEXT = (
    PaperClaim(NEXT, "documents in the order of their topics teach faster (data re-arrangement)", "",
               "RLPT in order, RLPT at random", Untested(), "the sampler has it; no arm has run",
               _SEGMENTS["S8"], _NEW_QUESTIONS),
    PaperClaim(NEXT, "difficulty that follows the model (dynamic difficulty)", "",
               "low floor with and without the learnability sampler", OverDocuments(_RPT, "+4.7 [3.7, 5.6]"),
               "three trainings, documents pooled"),
    PaperClaim(NEXT, "Chinese, where tokens end inside characters", "", "RPT on Chinese text, its start",
               Compared("Chinese: RPT", "Chinese: start", "accuracy", study=OTHER_TEXT), _OTHER_TEXTS),
    PaperClaim(NEXT, "classical Chinese", "", "RPT on classical text", Untested(),
               "the texts are there; a model that reads them is not, and the sample world writes none"),
    PaperClaim(NEXT, "low-quality data", "", "RPT on text with 30 % of noise, its start",
               Compared("noise 30 %: RPT", "noise 30 %: start", "accuracy", study=OTHER_TEXT), _OTHER_TEXTS),
    PaperClaim(NEXT, "a judge that errs is not exploited", "", "RLPT under a judge with false accepts",
               OverDocuments(_RLPT, "1.7, 2.9 and 1.8 %"),
               "its false accepts do not grow in 400,000 tokens; one that errs on purpose was not tried",
               Compared(ERRS_20, RLPT_ARM, "fooled-20", 0.05, "below", NEXT_SEGMENTS),
               "of wrong answers, those that a judge which accepts a fifth of them by their words would "
               "take, less than five points above RLPT's under one that does not; the same study"),
    PaperClaim(NEXT, "long context", "", "documents of thousands of tokens", Untested(),
               "speed alone was measured, not what is learnt"),
    PaperClaim(NEXT, "other modes than text (cross-modal)", "", "none", Untested(), "only text is read here"),
    PaperClaim(NEXT, "log-likelihood gain is the better reward (RLP)", "43.4 against 41.7 %", "RLP, RPT",
               Compared("RLP", "RPT", "accuracy"), _STUDY),
    PaperClaim(NEXT, "the truth's likelihood is the better reward (VeriFree)", "", "VeriFree, RPT",
               Compared("VeriFree", "RPT", "accuracy"), _STUDY),
    PaperClaim(NEXT, "a bound of the likelihood is the better reward (JEPO)", "", "JEPO, RPT",
               Compared("JEPO", "RPT", "accuracy"), _STUDY),
    PaperClaim(NEXT, "the mean probability is the better reward (RLPR)", "", "RLPR, RPT",
               Compared("RLPR", "RPT", "accuracy"), _STUDY),
    PaperClaim(NEXT, "ranks of perplexity are the better reward (NOVER)", "", "NOVER, RPT",
               Compared("NOVER", "RPT", "accuracy"), _STUDY),
    PaperClaim(NEXT, "the mean probability by surprise is the better reward (NRT)", "", "NRT, RPT",
               Compared("NRT", "RPT", "accuracy"), _STUDY),
    PaperClaim(NEXT, "a random reward teaches, too", "+21.4 points on MATH-500", "random reward, start",
               Compared("random reward", "start", "accuracy"),
               "2506.10947, of another kind of model; the study of an imperfect teacher"),
    PaperClaim(NEXT, "a reward for the form alone teaches, too",
               "+13.8 and +16.4 points on MATH-500, by edition", "format reward, start",
               Compared("format reward", "start", "accuracy"),
               "2506.10947, of another kind of model; the study of an imperfect teacher"),
    PaperClaim(NEXT, "one mixed supervised stage does as well", "with 1/60 of the compute", "Mixed SFT, RPT",
               Compared("Mixed SFT", "RPT", "accuracy"), "2608.23256; the study of an imperfect teacher"),
    PaperClaim(NEXT, "after it, verifiable rewards end higher than after reinforcement",
               "with 1/60 of the compute", "RLVR from Mixed SFT, RLVR from RPT", Untested(),
               "2608.23256; no reported seed has run",
               Compared(MIXED_RLVR, RPT_RLVR, "accuracy", study=VERIFIABLE_REWARDS),
               f"2608.23256; {_NEW_PROBLEMS}"),
    PaperClaim(NEXT, "more supervision first, then RPT, is better than RPT alone", "",
               "more SFT, then RPT; RPT", Compared("more SFT, then RPT", "RPT", "accuracy"),
               "what a prototype suggested; equal operations"),
    PaperClaim(NEXT, "places that a learned masker names beat places of high entropy (PretrainZero)", "",
               "learned masker, RPT", Compared("learned masker", "RPT", "accuracy"),
               "2512.03442; equal operations, the masker's own among them and RPT's proxy among RPT's"),
)  # fmt: skip
ROWS = (*OF_RPT, *OF_RMT, *OF_RLPT, *OF_NEXT)
