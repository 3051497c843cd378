"""What only a GPU can show: equality with a CPU, speed, memory. ``python -m tests.gpu.proof`` runs it all."""
