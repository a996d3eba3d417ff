"""Who runs threads: ours go over images, so OpenCV's own pool is switched off meanwhile.

Beside threads over images its pool only gets in the way, and it makes one SIFT of 320 x 240 pixels
slower; results are the same either way. The setting belongs to the whole process, so it is put back
afterwards: a program that uses OpenCV itself must not find it changed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_users = 0
_before = 0


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV to one thread inside; the last of several users, nested or not, puts it back.

    Examples
    --------
    >>> import cv2
    >>> before = cv2.getNumThreads()
    >>> with one_opencv_thread():
    ...     cv2.getNumThreads()
    1
    >>> cv2.getNumThreads() == before
    True
    """
    import cv2

    global _users, _before
    with _lock:
        if _users == 0:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.setNumThreads(_before)
