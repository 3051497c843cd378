"""Kinds of the world's second edition: circles and one stretch of values, each with six step phrases.

Every kind has three amounts and two directions, and both are words of their own: so each free choice stays
within ln 3 = 1.10 and ln 2 = 0.69 nats, what follows from the text is one of seven or more (ln 7 = 1.95), and
an entropy floor between the two finds the derived values by itself. Six phrases make 36, 216 and 1,296
sentences of two, three and four steps: enough for many to be new.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

LanguageCode = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Language:
    """How words are put together."""

    code: LanguageCode
    gap: str
    """Between words and between sentences; empty where a script writes none."""
    comma: str
    """Between the steps of one sentence."""
    stop: str
    """Ends a sentence."""
    amounts: tuple[str, str, str]
    """The words for one, two and three places."""
    phrase: str
    """One step, with ``{amount}`` and ``{word}``."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A circle (or a stretch) of values, the steps along it, and the sentences that speak of it."""

    name: str
    language: Language
    values: tuple[str, ...]
    starts: tuple[int, int]
    """Positions a document may open with."""
    directions: tuple[tuple[str, int], tuple[str, int]]
    """Word and sign of each way to go."""
    heading: str
    """First word of a document's title."""
    adjectives: tuple[str, str]
    opening: str
    """First sentence, with ``{adjective}`` and ``{value}``."""
    told: str
    """The sentence of the steps, with ``{steps}``."""
    reached: str
    """The words before a value reached, which ends its sentence."""
    questions: tuple[str, ...]
    """Problems, worded unlike the documents: with ``{value}`` and ``{steps}``."""
    wraps: bool = True
    """Whether the last value is followed by the first; else a step beyond an end stops there."""
    shown: tuple[str, ...] = ()
    """What stands in the text instead of a value: one name per value, always the same one."""

    def state(self, position: int) -> str:
        """The word the text uses for a position."""
        return self.shown[position] if self.shown else self.values[position]

    @property
    def states(self) -> tuple[str, ...]:
        """All words the text uses for positions, by position."""
        return self.shown or self.values

    @property
    def shifts(self) -> Mapping[str, int]:
        """The six step phrases, each with the places it goes.

        Example:
            >>> KINDS["clock"].shifts["2 back"]
            -2
        """
        return _shifts(self.name)

    @property
    def phrases(self) -> tuple[str, ...]:
        """The six step phrases."""
        return tuple(self.shifts)

    def moved(self, position: int, shift: int) -> int:
        """Where a step leads: round the circle, or to the end of a stretch at most.

        Example:
            >>> KINDS["clock"].moved(11, 2), KINDS["coins"].moved(15, 2)
            (1, 15)
        """
        if self.wraps:
            return (position + shift) % len(self.values)
        return min(max(position + shift, 0), len(self.values) - 1)


ENGLISH = Language("en", " ", ", ", ".", ("1", "2", "3"), "{amount} {word}")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
STOPS = ("Abbey", "Bridge", "Castle", "Docks", "Exchange", "Fountain", "Gate", "Harbour", "Island")
COOKS = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus")
STILL, MOVING = ("old", "big"), ("red", "new")
"""First words of a document: two choices, then one of four kinds, so that none is above the floor."""

_ENGLISH = (
    Kind(
        "clock", ENGLISH, tuple(str(hour) for hour in range(1, 13)), (2, 8), (("on", 1), ("back", -1)),
        heading="Clock", adjectives=STILL, opening="The {adjective} clock shows {value}.",
        told="The hand moves {steps}.", reached="It now shows",
        questions=(
            "A watch says {value}. Turn its wheel {steps}. What hour?",
            "My alarm rang at {value}. Now shift it {steps}. When then?",
        ),
    ),
    Kind(
        "week", ENGLISH, DAYS, (0, 3), (("later", 1), ("earlier", -1)),
        heading="Journey", adjectives=MOVING, opening="The {adjective} ship leaves on {value}.",
        told="Its voyage shifts {steps}.", reached="It rests on",
        questions=("A letter was due {value}. The post moved it {steps}. Came when?",),
    ),
    Kind(
        "coins", ENGLISH, tuple(str(number) for number in range(1, 17)), (5, 10), (("in", 1), ("out", -1)),
        heading="Purse", adjectives=STILL, opening="The {adjective} tin of coins holds {value}.",
        told="The day brings {steps}.", reached="It now holds",
        questions=("The count of pennies was {value}. There were then {steps}. How many?",),
        wraps=False,
    ),
    Kind(
        "months", ENGLISH, MONTHS, (2, 8), (("ahead", 1), ("behind", -1)),
        heading="Survey", adjectives=STILL, opening="The {adjective} valley was measured in {value}.",
        told="The plan slips {steps}.", reached="They returned in",
        questions=("A cheese was made in {value}. Its label moves {steps}. Ready when?",),
    ),
    Kind(
        "compass", ENGLISH, COMPASS, (0, 4), (("right", 1), ("left", -1)),
        heading="Signals", adjectives=STILL, opening="The {adjective} crane faces {value}.",
        told="It then turns {steps}.", reached="It now faces",
        questions=("A weathercock points {value}. The wind swings {steps}. Points where?",),
    ),
    Kind(
        "tram", ENGLISH, STOPS, (1, 5), (("up", 1), ("down", -1)),
        heading="Tramway", adjectives=MOVING, opening="The {adjective} tram waits at {value}.",
        told="It then runs {steps}.", reached="It halts at",
        questions=("Someone gets in at {value}. They ride along {steps}. Out where?",),
    ),
    Kind(
        "cooks", ENGLISH, DAYS, (1, 4), (("forward", 1), ("backward", -1)),
        heading="Kitchen", adjectives=MOVING, opening="The {adjective} inn welcomes guests with {value}.",
        told="The rota goes {steps}.", reached="They dine with",
        questions=("You arrive and meet {value}. The list turns {steps}. Whose breakfast?",),
        shown=COOKS,
    ),
    Kind(
        "letters", ENGLISH, tuple("ABCDEFGHIJKLMNOPQRSTUVWX"), (6, 18), (("after", 1), ("before", -1)),
        heading="Ciphers", adjectives=MOVING, opening="The {adjective} dial points at {value}.",
        told="The letter moves {steps}.", reached="It points at",
        questions=("A key is stamped {value}. Its stamp jumps {steps}. Reads what?",),
    ),
)  # fmt: skip

CHINESE = Language("zh", "", "，", "。", ("一", "二", "三"), "{word}{amount}")
"""No blanks: words are found by reading, and a byte-level token may end inside a character."""
_NUMBERS = (
    "一", "二", "三", "四", "五", "六", "七", "八", "九", "十",
    "十一", "十二", "十三", "十四", "十五", "十六",
)  # fmt: skip
SOLAR_TERMS = (
    "立春", "雨水", "惊蛰", "春分", "清明", "谷雨", "立夏", "小满", "芒种", "夏至", "小暑", "大暑",
    "立秋", "处暑", "白露", "秋分", "寒露", "霜降", "立冬", "小雪", "大雪", "冬至", "小寒", "大寒",
)  # fmt: skip
_STILL, _MOVING = ("老", "大"), ("红", "新")

_CHINESE = (
    Kind(
        "zh-clock", CHINESE, tuple(f"{number}点" for number in _NUMBERS[:12]), (2, 8),
        (("进", 1), ("退", -1)),
        heading="钟", adjectives=_STILL, opening="{adjective}钟指着：{value}。",
        told="指针走了：{steps}。", reached="现在指着：",
        questions=("表上写着：{value}。请拨动表针：{steps}。此刻几点？",),
    ),
    Kind(
        "zh-week", CHINESE, tuple(f"周{day}" for day in "一二三四五六日"), (0, 3), (("延", 1), ("提", -1)),
        heading="船", adjectives=_MOVING, opening="{adjective}船启航于：{value}。",
        told="航期改了：{steps}。", reached="于是停靠在：",
        questions=("信该到的日子是：{value}。邮局改动：{steps}。哪天收到？",),
    ),
    Kind(
        "zh-coins", CHINESE, tuple(f"{number}枚" for number in _NUMBERS), (5, 10), (("收", 1), ("付", -1)),
        heading="罐", adjectives=_STILL, opening="{adjective}钱罐装着：{value}。",
        told="当天收支：{steps}。", reached="如今装着：",
        questions=("盒里铜板数目：{value}。随后有：{steps}。剩多少枚？",),
        wraps=False,
    ),
    Kind(
        "zh-months", CHINESE, tuple(f"{number}月" for number in _NUMBERS[:12]), (2, 8),
        (("后", 1), ("前", -1)),
        heading="谷", adjectives=_STILL, opening="{adjective}山谷丈量于：{value}。",
        told="计划挪了：{steps}。", reached="他们回来于：",
        questions=("奶酪做成的月份：{value}。标签改动：{steps}。何时可吃？",),
    ),
    Kind(
        "zh-compass", CHINESE, ("北", "东北", "东", "东南", "南", "西南", "西", "西北"), (0, 4),
        (("右", 1), ("左", -1)),
        heading="吊", adjectives=_STILL, opening="{adjective}吊车朝着：{value}。",
        told="吊臂转了：{steps}。", reached="眼下朝着：",
        questions=("风标所指：{value}。阵风吹转：{steps}。指向何方？",),
    ),
    Kind(
        "zh-tram", CHINESE, ("塔", "桥", "堡", "港", "市", "泉", "门", "湾", "岛"), (1, 5),
        (("上", 1), ("下", -1)),
        heading="车", adjectives=_MOVING, opening="{adjective}电车停在：{value}。",
        told="电车开了：{steps}。", reached="接着停在：",
        questions=("某人上车之处：{value}。沿途坐了：{steps}。何处离开？",),
    ),
    Kind(
        "zh-cooks", CHINESE, tuple(f"周{day}" for day in "一二三四五六日"), (1, 4), (("顺", 1), ("倒", -1)),
        heading="店", adjectives=_MOVING, opening="{adjective}客店掌勺的是：{value}。",
        told="排班换了：{steps}。", reached="这回掌勺的是：",
        questions=("你先遇见的厨师：{value}。名单翻动：{steps}。谁做早饭？",),
        shown=("安", "本", "陈", "丁", "尤", "冯", "顾"),
    ),
    Kind(
        "zh-terms", CHINESE, SOLAR_TERMS, (6, 18), (("过", 1), ("回", -1)),
        heading="历", adjectives=_MOVING, opening="{adjective}历书翻在：{value}。",
        told="书页翻了：{steps}。", reached="随即翻在：",
        questions=("钥匙上刻着节气：{value}。刻痕跳动：{steps}。刻的什么？",),
    ),
)  # fmt: skip

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (*_ENGLISH, *_CHINESE)})
"""Every kind by name; no two languages share one."""


@cache
def _shifts(name: str) -> Mapping[str, int]:
    kind = KINDS[name]
    return MappingProxyType(
        {
            kind.language.phrase.format(amount=amount, word=word): sign * places
            for places, amount in enumerate(kind.language.amounts, 1)
            for word, sign in kind.directions
        }
    )


def kinds_of(language: LanguageCode) -> tuple[Kind, ...]:
    """The eight kinds of a language, in the order in which documents take turns.

    Example:
        >>> [len(kind.values) for kind in kinds_of("en")]
        [12, 7, 16, 12, 8, 9, 7, 24]
    """
    return tuple(kind for kind in KINDS.values() if kind.language.code == language)
