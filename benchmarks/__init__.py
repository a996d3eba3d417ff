"""Benchmarks of cbir; README.md holds the method they all keep to."""
