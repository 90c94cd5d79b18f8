"""A load-testing and benchmarking harness for realtime voice APIs that knows its own error."""

__version__ = "0.1.0"
