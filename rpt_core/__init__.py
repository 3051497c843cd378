"""The science of reinforcement learning on plain text: a pure library without services."""
