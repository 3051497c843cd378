"""A run of one stage: launching, the lifeline, stop signals, its attempt, its worker processes."""
