"""Captures of GPUs: operands, what tensor cores made of them, and the golden model beside.

`python tests/capture.py FILE` makes such a file on a machine with a GPU, nvcc and CuPy.
"""
