"""What needs no framework: NumPy in, NumPy out.

Imports the standard library, numpy, numba, pyarrow and tqdm alone; a test holds that.
"""
