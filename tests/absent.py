"""Packages that are hidden, as if they were not installed: for processes of their own."""

import sys


class _Hiding:
    """A finder of modules that knows nothing of some packages."""

    def __init__(self, finder, names):
        self.finder, self.names = finder, names

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)


def hide(*names):
    """Hide top-level packages from `import` and `importlib.util.find_spec`.

    (`sys.modules[name] = None` would hide them as well, but others, SciPy for one, take what they
    find there for a module.)
    """
    found = set(names) & {name.split(".")[0] for name in sys.modules}
    assert not found, f"imported already: {found}"
    sys.meta_path[:] = [_Hiding(finder, set(names)) for finder in sys.meta_path]
