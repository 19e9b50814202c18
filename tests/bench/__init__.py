"""The benchmark: `make bench` measures costs and writes docs/BENCHMARK.md. Nothing is asserted."""
