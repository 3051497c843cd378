"""Accuracy with intervals."""
