"""Every claim of speed, memory and accuracy, as a command that prints a table: `python -m benchmarks.<name>`."""
