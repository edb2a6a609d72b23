"""What needs no framework: NumPy in, NumPy out.

Imports the standard library, numpy, numba, pyarrow and tqdm alone; a test holds that.
"""

__version__ = "0.1.0"  # the one place: pyproject.toml and all packages read it here
