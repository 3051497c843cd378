"""Statistics of evaluations: intervals, pass@k and paired tests."""
