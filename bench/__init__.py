"""Benchmarks: each measures side by side in one run, and its last line is JSON (`make bench NAME=tables`)."""
