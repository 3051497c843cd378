"""What only a GPU can show: equality with a CPU, speed and memory. ``python -m tests.gpu.proof`` runs all of it."""
