"""`rpt export`: a model out of the store, ready for other tools."""

from pathlib import Path

from flows.cli.commands.show import console, print_json
from tasks.commands.export import export
from tasks.home import open_store


def export_model(ref: str, folder: str, questions: int, *, as_json: bool) -> None:
    """Write the folder and say what is in it."""
    target = Path(folder)
    card = export(ref, target, questions, open_store())
    counts = {"train": card.questions.train, "test": card.questions.held_out} if card.questions else {}
    if as_json:
        print_json(
            {
                "artifact": card.manifest.artifact.model_dump(),
                "folder": str(target),
                "scores": len(card.scores),
                "questions": {name: one.model_dump(mode="json") for name, one in counts.items()},
                "no_questions": card.no_questions,
            }
        )
        return
    lines = [f"{card.manifest.artifact.short} is in {target}:", "  model/       for transformers and vLLM"]
    if counts:
        kept = ", ".join(f"{one.kept} of {one.rows_in} {name}" for name, one in counts.items())
        lines.append(f"  questions/   {kept}")
        lines.append("  reward.py    for TRL's GRPOTrainer; its first lines show how")
    lines.append(f"  README.md    the model's card, {len(card.scores)} measured numbers")
    if card.no_questions:
        lines.append(f"No questions: {card.no_questions}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
