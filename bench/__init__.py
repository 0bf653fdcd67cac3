"""`make bench`: how fast the product is, each figure as a ratio to a baseline measured in the same run (docs/bench.md)."""
