"""The estimate of a plan as text and as JSON: placement, memory, operations, hours, price."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from infra.prices import Price
from rpt_core.planning.cards import USUAL
from rpt_core.planning.estimate import StageForecast
from rpt_core.planning.jobs import Assumed
from rpt_core.planning.memory import MemoryPlan, Spread
from rpt_core.planning.speed import BANDWIDTH_SHARE
from tasks.planning.estimate import Estimates, PlanQuery

GIGA = 1e9


def lines(found: Estimates, asked: PlanQuery, prices: Mapping[str, Price]) -> Iterator[str]:
    """Everything an estimate says, line by line."""
    if found.stages:
        yield from _aligned(_placements(found.stages, asked), right=frozenset({2}))
        yield ""
        yield from _aligned(_memories(found.stages), right=frozenset(range(1, 99)))
        yield ""
        yield from _aligned(_times(found.stages, asked, prices), right=frozenset(range(2, 99)))
        yield ""
    yield from (*_sources(found, asked, prices), *found.notes, *found.unknown)


def kind_of(asked: PlanQuery) -> str:
    """The GPU an estimate is for where a stage does not run on the CPU."""
    return asked.card.name if asked.card else USUAL


def where(spread: Spread, card: str) -> str:
    """A layout in words."""
    if not spread.gpu:
        return f"CPU, {spread.layout}, {spread.dtype}, {spread.micro_batch_tokens:,} tokens"
    words = [f"{spread.ranks} x {card}"]
    if spread.zero_stage:
        words.append(f"ZeRO-{spread.zero_stage}{' with offload' if spread.offload else ''}")
    if spread.engine == "vllm":
        words.append("vllm" + (f" over {spread.tensor_parallel}" if spread.tensor_parallel > 1 else ""))
    words += [spread.layout, f"{spread.micro_batch_tokens:,} tokens"]
    return ", ".join([*words, *(["activations again"] if spread.checkpointed else [])])


def _placements(stages: Sequence[StageForecast], asked: PlanQuery) -> Iterator[list[str]]:
    yield ["stage", "model", "parameters", "where it fits"]
    seen = set()
    for one in stages:
        row = [one.stage, one.model, _count(one.parameters), where(one.spread, _card(one, asked))]
        if tuple(row) not in seen:
            seen.add(tuple(row))
            yield row


def _card(one: StageForecast, asked: PlanQuery) -> str:
    return one.card or kind_of(asked)


def _memories(stages: Sequence[StageForecast]) -> Iterator[list[str]]:
    """A column for each stage, those of equal memory once."""
    columns: dict[tuple[str, MemoryPlan], None] = {(one.stage, one.memory): None for one in stages}
    parts = dict.fromkeys(row.name for _, held in columns for row in held.rows)
    yield ["GB on one device", *(stage for stage, _ in columns)]
    for part in parts:
        yield [f"  {part}", *(_gigabytes(held.part(part)) for _, held in columns)]
    yield ["largest at one time", *(_gigabytes(held.peak) for _, held in columns)]
    if any(held.host_bytes for _, held in columns):
        yield ["in main memory", *(_gigabytes(held.host_bytes) for _, held in columns)]


def _times(
    stages: Sequence[StageForecast], asked: PlanQuery, prices: Mapping[str, Price]
) -> Iterator[list[str]]:
    priced = any(_price(one, asked, prices) is not None for one in stages)
    yield ["stage", "artifact", "FLOPs", "draw h", "learn h", "hours", "GPU hours", *["price"] * priced]
    for one in stages:
        work = f"{one.work.total:.2e}" if one.work else "-"
        hours = [_hours(each) for each in (one.draw_hours, one.update_hours, one.hours, one.gpu_hours)]
        yield [one.stage, one.role, work, *hours, *[_money(_price(one, asked, prices))] * priced]
    total = [sum(filter(None, each)) for each in zip(*(_sums(one) for one in stages), strict=True)]
    prices_found = [price for one in stages if (price := _price(one, asked, prices)) is not None]
    money = [_money((sum(p for p, _ in prices_found), prices_found[0][1]))] if prices_found else []
    yield ["together", "", f"{total[0]:.2e}", *(_hours(each) for each in total[1:]), *money]


def _sums(one: StageForecast) -> tuple[float | None, ...]:
    return (one.work.total if one.work else None, one.draw_hours, one.update_hours, one.hours, one.gpu_hours)


def _price(one: StageForecast, asked: PlanQuery, prices: Mapping[str, Price]) -> tuple[float, str] | None:
    row = prices.get(_card(one, asked))
    return None if row is None or one.gpu_hours is None else (one.gpu_hours * row.per_gpu_hour, row.currency)


def _sources(found: Estimates, asked: PlanQuery, prices: Mapping[str, Price]) -> Iterator[str]:
    """Where the figures are from, and what they assume."""
    stages = found.stages
    for anchor in dict.fromkeys(one.anchor for one in stages if one.anchor):
        which = [one.stage for one in stages if one.anchor == anchor]
        yield f"{', '.join(dict.fromkeys(which))}: {anchor.share:.1%} of peak, {anchor.source}."
    if any(one.spread.gpu and one.draw_hours for one in stages):
        yield f"Decoding reads weights, keys and values at {BANDWIDTH_SHARE:.0%} of the bandwidth (assumed)."
    yield _taken(found.assumed)
    missing = [one for one in stages if one.work is None]
    if missing:
        names = ", ".join(dict.fromkeys(one.stage for one in missing))
        yield f"{names}: how many steps there are, its data decides, which are not here; not in the sums."
    yield from _about_prices([one for one in stages if one.spread.gpu], asked, prices)


def _taken(assumed: Assumed) -> str:
    documents = f"of {assumed.document_tokens:,} tokens" if assumed.document_tokens else "at their longest"
    answers = "at their longest (RMT's at its mean budget)"
    if assumed.answer_tokens:
        answers = f"of {assumed.answer_tokens:,} tokens"
    return (
        f"Hours are for documents {documents} and answers {answers}, without groups that are drawn again; "
        "--document-tokens and --answer-tokens set the means. Memory is for the longest."
    )


def _about_prices(
    stages: Sequence[StageForecast], asked: PlanQuery, prices: Mapping[str, Price]
) -> Iterator[str]:
    for name in dict.fromkeys(_card(one, asked) for one in stages):
        row = prices.get(name)
        if row is None:
            yield f"No price: infra/prices.toml (or RPT_PRICES) has no row for {name}; hours only."
        else:
            cost = f"{row.per_gpu_hour:g} {row.currency}"
            yield f"Price: {cost} an hour for one {name}, {row.source}, read {row.date.isoformat()}."


def plain(one: StageForecast, asked: PlanQuery, prices: Mapping[str, Price]) -> dict[str, Any]:
    """One stage's estimate for machines."""
    price = _price(one, asked, prices)
    spread = {name: getattr(one.spread, name) for name in Spread.__dataclass_fields__}
    return {
        "model": one.model,
        "parameters": one.parameters,
        "card": _card(one, asked) if one.spread.gpu else None,
        "layout": spread,
        "memory_bytes": {row.name: round(row.bytes) for row in one.memory.rows},
        "peak_bytes": round(one.memory.peak),
        "host_bytes": round(one.memory.host_bytes),
        "flops": one.work.total if one.work else None,
        "draw_hours": one.draw_hours,
        "update_hours": one.update_hours,
        "hours": one.hours,
        "gpu_hours": one.gpu_hours,
        "share_of_peak": one.anchor.share if one.anchor else None,
        "share_source": one.anchor.source if one.anchor else None,
        "price": price[0] if price else None,
        "currency": price[1] if price else None,
    }


def _aligned(rows: Iterable[Sequence[str]], right: frozenset[int]) -> Iterator[str]:
    """Columns of one width, two spaces apart; never folded, so that they can be cut by other programs."""
    table = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        cells = (
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _gigabytes(num_bytes: float) -> str:
    return (
        f"{num_bytes / GIGA:,.1f}"
        if num_bytes >= GIGA / 20
        else f"{num_bytes / GIGA:.3f}"
        if num_bytes
        else "-"
    )


def _hours(hours: float | None) -> str:
    if not hours:
        return "-"
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"


def _money(price: tuple[float, str] | None) -> str:
    return f"{price[0]:,.0f} {price[1]}" if price else "-"


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.2f} M"
