"""Packs of questions with lettered choices."""
