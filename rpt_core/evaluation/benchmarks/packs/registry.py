"""All benchmark packs, one row each."""

import difflib

from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.packs.files import squeezed
from rpt_core.evaluation.benchmarks.packs.knowledge.gpqa_diamond import GpqaDiamond
from rpt_core.evaluation.benchmarks.packs.knowledge.mmlu import Mmlu
from rpt_core.evaluation.benchmarks.packs.knowledge.mmlu_pro import MmluPro
from rpt_core.evaluation.benchmarks.packs.knowledge.supergpqa import SuperGpqa
from rpt_core.evaluation.benchmarks.packs.language.next_token import NextTokenPack
from rpt_core.evaluation.benchmarks.packs.mathematics.aime24 import Aime24
from rpt_core.evaluation.benchmarks.packs.mathematics.aime25 import Aime25
from rpt_core.evaluation.benchmarks.packs.mathematics.amc23 import Amc23
from rpt_core.evaluation.benchmarks.packs.mathematics.gsm8k import Gsm8k
from rpt_core.evaluation.benchmarks.packs.mathematics.math500 import Math500
from rpt_core.evaluation.benchmarks.packs.mathematics.minerva import Minerva
from rpt_core.evaluation.benchmarks.packs.mathematics.olympiadbench import OlympiadBench
from rpt_core.evaluation.benchmarks.packs.mathematics.omni_math import OmniMath
from rpt_core.evaluation.benchmarks.packs.pack import Pack
from rpt_core.evaluation.benchmarks.packs.reasoning.kor_bench import KorBench

PACKS: dict[str, Pack] = {
    pack.name: pack
    for pack in (
        Mmlu(), MmluPro(), GpqaDiamond(), SuperGpqa(), KorBench(), Math500(), Amc23(), Minerva(), Aime24(),
        Aime25(), OlympiadBench(), Gsm8k(), OmniMath(), NextTokenPack(),
    )
}  # fmt: skip


def pack_called(name: str) -> Pack:
    """The pack of a name, ``-`` and ``_`` alike.

    Raises:
        RecipeError: there is none; the nearest names are shown.
    """
    for known, pack in PACKS.items():
        if squeezed(known) == squeezed(name):
            return pack
    near = difflib.get_close_matches(name, PACKS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise RecipeError(f"no benchmark is called {name!r}; there are {', '.join(PACKS)}.{hint}")
