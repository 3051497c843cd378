"""Reinforcement learning: draw, judge, update, record."""
