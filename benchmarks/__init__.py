"""Speed and memory, measured: `python -m benchmarks.NAME`. Not part of the tests."""
