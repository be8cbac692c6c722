"""Freed memory stays with the process: the next batch asks for as much again."""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGEST_KEPT = 2**30  # bytes of one array; larger ones are rare, and go back to the system at once
_MOST_KEPT = 2**31 - 1  # free bytes at the end of the heap, the largest number that mallopt takes


def keep_freed_memory() -> None:
    """Tell glibc to give freed memory back less eagerly; elsewhere, and where MALLOC_… is set already, do nothing.

    By default it returns what a batch freed and asks the system for it again at the next one, page by page, which
    keeps a CPU run waiting for the kernel. The price is freed pieces into which no whole layer of embeddings fits:
    `return_freed_memory` gives them back before such layers are gathered.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)


def return_freed_memory() -> None:
    """Give the system what is free now; for moments between two kinds of work, as it takes the pages away again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)
