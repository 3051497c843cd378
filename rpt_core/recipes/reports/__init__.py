"""Recipes of reports."""
