"""Owns what the garbage collector need not look through again: everything a server has loaded before it serves."""

import gc


def memory_settle() -> None:
    """Leaves what is loaded now out of all later collections, since it stays as long as the process does.

    Looked through with every full collection (300,000 objects), it stops one request in twenty-five for 0.2 s.
    """
    gc.collect()
    gc.freeze()
