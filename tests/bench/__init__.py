"""Benchmarks: figures with the machine, as ratios to a baseline of the same run. See docs/benchmarks.md."""
