"""Scaling laws: power law, rivals, and which of them the points speak for."""
