"""Stand-in parts, and values that options may take."""

from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import Field
from pydantic.fields import FieldInfo

from cbir.types import Vectors


class Knobbed:
    """An index with knobs.

    More than its first paragraph is nobody's business.
    """

    takes: ClassVar[Any] = Vectors
    KNOBS: ClassVar[tuple[str, ...]] = ("nprobe", "exact")

    def __init__(
        self,
        d: int,
        metric: Annotated[Literal["l2", "ip", "cosine"], Field(description="how")] = "l2",
        nlist: Annotated[int, Field(ge=1, le=65_536, description="cells")] = 1024,
        nprobe: Annotated[int, Field(ge=1, description="cells looked at")] = 8,
        exact: Annotated[bool, Field(description="look at all")] = False,
    ) -> None:
        self.d, self.metric, self.nlist, self.nprobe, self.exact = d, metric, nlist, nprobe, exact


def values_of(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Draw what a field allows."""
    return _values(field.annotation, field.metadata)


def _values(kind: Any, marks: Any) -> st.SearchStrategy[Any]:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        own = [m for mark in kind.__metadata__ for m in getattr(mark, "metadata", [mark])]
        return _values(inside[0], own)
    if origin is Literal:
        return st.sampled_from(inside)
    if origin is Union:
        return st.one_of([_values(one, marks) for one in inside])
    if origin is tuple:
        return st.tuples(*[_values(one, ()) for one in inside])
    if kind is bool:
        return st.booleans()
    if kind is str:
        return st.just("")
    ends = {s: getattr(m, s) for m in marks for s in ("ge", "gt", "le", "lt") if hasattr(m, s)}
    low, high = ends.get("ge", ends.get("gt")), ends.get("le", ends.get("lt"))
    if kind is int:
        return st.integers(low, high)
    return st.floats(
        low, high, exclude_min="gt" in ends, exclude_max="lt" in ends, allow_subnormal=False
    )
