"""FLOPs, power laws, intervals."""
