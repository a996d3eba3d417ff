"""What a build, an update, an addition or a removal did."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field


@dataclass
class BuildReport:
    """What was done, and what the collection holds now.

    Attributes
    ----------
    seen, indexed : pictures found, and pictures in the index afterwards.
    failed : (path, reason) of the pictures found that could not be indexed.
    added, removed : images this run put into the index and took out of it.
    relabelled : images that have another label than before.
    gone : images whose file is no longer there and that are still in the index; `prune` takes
        them out.
    unreachable : (path, reason) of folders and files that can't be read now; what is known of them
        stays as it is.
    retried : pictures whose failure could have passed and that were tried again.
    seconds : stage -> wall seconds (scan, features, vocabulary, aggregation, index, publish).
    bytes_per_image, feature_bytes_per_image : size of the index, and of the stored features, on
        disk per indexed image.
    freed_bytes : what `compact` gave back.
    peak_memory_bytes : of this process up to now; 0 where the system does not say.
    generation : number of the live generation.
    """

    seen: int = 0
    indexed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    relabelled: int = 0
    gone: int = 0
    unreachable: list[tuple[str, str]] = field(default_factory=list)
    retried: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    bytes_per_image: float = 0.0
    feature_bytes_per_image: float = 0.0
    freed_bytes: int = 0
    peak_memory_bytes: int = 0
    generation: int = 0

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)


def peak_memory() -> int:
    """Most memory this process has held, in bytes; 0 on Windows."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
