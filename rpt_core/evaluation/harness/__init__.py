"""The model behind lm-evaluation-harness's interface: its tasks, our engine, the same table of outcomes."""
