"""The studies whose outcomes are kept: their worlds, arms, budgets and frozen settings."""
