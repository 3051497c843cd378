"""Which of the eligible positions are asked about, and when."""
