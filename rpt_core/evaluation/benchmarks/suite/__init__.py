"""The stage that asks one model one benchmark: prompts, draws, verdicts, the table of outcomes, scores."""
