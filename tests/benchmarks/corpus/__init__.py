"""The corpus stages beside their peers; ``python -m tests.benchmarks.corpus`` runs all."""
