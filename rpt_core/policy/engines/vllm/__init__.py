"""vLLM as an engine: worker processes under an interpreter of their own, asked over pipes."""
