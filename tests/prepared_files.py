"""Prepared datasets compared file by file."""


def same_files(one, other):
    """Fail unless two folders hold the same files with the same bytes."""
    names = [
        sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        for folder in (one, other)
    ]
    assert names[0] == names[1] and len(names[0]) > 3
    for name in names[0]:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
