"""Measures the project's promises. Every row holds both sides of its ratio, taken in the same run on the same machine."""
