"""Benchmarks: each one module and one row of the registry."""
