"""A recipe says in full how an image becomes an answer; it is a TOML file, checked by these models.

This is the only home of defaults, ranges and their explanations: command help, Python defaults and
documentation come from here (a test holds the defaults of the parts to these). An unknown key or a
value out of range is a `RecipeError` naming the key, the value and what is allowed.

::

    recipe = Recipe.load("bow", ["vocabulary.n_words=5000"])    # or a path to a TOML file
    recipe.vocabulary.n_words, recipe.hash, recipe.to_toml()

To add a part: one options class here, one line in the union below it, one line in the registry of
its package. `hash` covers all but the name; `features_hash` only what decides the stored features,
so that two recipes that differ later on may share them.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cbir.errors import ParameterError

RECIPES = Path(__file__).parent / "recipes"


class RecipeError(ParameterError):
    """A recipe that does not exist, has an unknown key, or a value that is not allowed."""


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # TOML only has lists


Byte = Annotated[int, Field(ge=0, le=255)]
Bins = Annotated[int, Field(ge=1, le=256)]


class Options(BaseModel):
    """One table of a recipe: `name` picks the class in a registry, the rest are its arguments."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for the class that `name` picks."""
        return {key: value for key, value in self.model_dump().items() if key != "name"}


class ImageOptions(Options):
    """How a picture is decoded."""

    max_side: int = Field(
        0,
        ge=0,
        le=65_536,
        description="longest side in pixels, larger ones are shrunk; 0: as it is",
    )
    max_pixels: int = Field(
        178_956_970, ge=1, le=2**31 - 1, description="pictures with more pixels are refused"
    )
    background: Annotated[tuple[Byte, Byte, Byte], BeforeValidator(_as_tuple)] = Field(
        (255, 255, 255), description="RGB that shows through transparent pixels"
    )


class SiftOptions(Options):
    """SIFT keypoints and descriptors (Lowe, IJCV 2004), or RootSIFT (Arandjelovic, CVPR 2012)."""

    kind: ClassVar[str] = "local"
    name: Literal["sift"] = "sift"
    contrast_threshold: float = Field(
        0.02, ge=0, le=1, description="smaller finds more keypoints in flat regions"
    )
    max_keypoints: int = Field(
        2000, ge=1, le=1_000_000, description="keypoints kept at most, the strongest"
    )
    root: bool = Field(True, description="RootSIFT: square root of the L1-normalised descriptor")


class ColourOptions(Options):
    """Colour histogram of the whole picture or of the cells of a grid."""

    kind: ClassVar[str] = "global"
    name: Literal["colour"] = "colour"
    space: Literal["rgb", "hsv", "lab"] = Field("hsv", description="colour space")
    bins: Annotated[tuple[Bins, Bins, Bins], BeforeValidator(_as_tuple)] = Field(
        (20, 10, 20), description="bins per channel"
    )
    joint: bool = Field(True, description="one joint histogram, or one per channel")
    grid: int = Field(1, ge=1, le=16, description="cells per side of the spatial grid")
    hellinger: bool = Field(True, description="square root of the L1-normalised histogram")


class KMeansOptions(Options):
    """Visual words by k-means (Sivic and Zisserman, ICCV 2003)."""

    name: Literal["kmeans"] = "kmeans"
    n_words: int = Field(ge=1, le=10_000_000, description="visual words; at most the descriptors")
    n_iter: int = Field(20, ge=0, le=1000, description="Lloyd iterations at most")
    init: str = Field("k-means++", description="how the first centroids are chosen")
    max_points_per_word: int = Field(
        256, ge=1, le=1_000_000, description="descriptors per word to train on, sampled by seed"
    )


class BowOptions(Options):
    """Bag of words: one weight per visual word."""

    sparse: ClassVar[bool] = True
    name: Literal["bow"] = "bow"
    tf: Literal["raw", "log", "sqrt"] = Field("sqrt", description="weight of a word's count")
    idf: bool = Field(True, description="weigh words by log(images / images with the word)")
    norm: Literal["l1", "l2", "none"] = Field("l2", description="normalisation of the vector")
    n_assign: int = Field(1, ge=1, le=64, description="words per descriptor; above 1: soft")
    sigma: float = Field(
        0.154, gt=0, le=1e6, description="width of the soft weight exp(-d2 / (2 sigma2))"
    )


class VladOptions(Options):
    """Sums of residuals to the visual words (Jegou et al., CVPR 2010)."""

    sparse: ClassVar[bool] = False
    name: Literal["vlad"] = "vlad"
    signed_sqrt: bool = Field(True, description="sign(x) sqrt(|x|) of each component")
    intra: bool = Field(True, description="L2 within each word (Arandjelovic, CVPR 2013)")
    l2: bool = Field(True, description="L2 of the whole vector")


class FlatOptions(Options):
    """Exhaustive search over dense vectors."""

    sparse: ClassVar[bool] = False
    name: Literal["flat"] = "flat"
    metric: Literal["l2", "ip", "cosine"] = Field("l2", description="how vectors are compared")


class InvertedFileOptions(Options):
    """Inverted file over sparse vectors."""

    sparse: ClassVar[bool] = True
    name: Literal["inverted_file"] = "inverted_file"
    metric: Literal["cosine", "histogram_intersection", "l1", "ip"] = Field(
        "cosine", description="how vectors are compared"
    )


# A union of one can't be discriminated, hence the plain KMeansOptions until there is a second one.
FeatureOptions = Annotated[SiftOptions | ColourOptions, Field(discriminator="name")]
VocabularyOptions = KMeansOptions
AggregationOptions = Annotated[BowOptions | VladOptions, Field(discriminator="name")]
IndexOptions = Annotated[FlatOptions | InvertedFileOptions, Field(discriminator="name")]


class Recipe(Options):
    """All choices from a file to an answer. Make one with `Recipe.load`."""

    name: str = Field("unnamed", description="label; does not enter the hash")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of every random choice")
    image: ImageOptions = ImageOptions()
    feature: FeatureOptions
    vocabulary: VocabularyOptions | None = None
    aggregation: AggregationOptions | None = None
    index: IndexOptions

    @classmethod
    def load(cls, source: str | Path | Recipe, overrides: Iterable[str] = ()) -> Recipe:
        """Read a named recipe (`Recipe.names()`) or a TOML file, then apply ``table.key=value``.

        Raises
        ------
        RecipeError naming what was found and what is allowed.

        Examples
        --------
        >>> Recipe.load("bow", ["vocabulary.n_words=5000"]).vocabulary.n_words
        5000
        """
        if isinstance(source, Recipe):
            data = source.model_dump(exclude_none=True)
        else:
            path = RECIPES / f"{source}.toml" if str(source) in cls.names() else Path(source)
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise RecipeError(
                    f"recipe {str(source)!r}: no such recipe or file; named recipes are "
                    f"{', '.join(cls.names())}"
                ) from error
            data = _parse(text, f"recipe {path}")
        for override in overrides:
            _override(data, override)
        return cls.from_dict(data)

    @classmethod
    def from_toml(cls, text: str, *, who: str = "recipe") -> Recipe:
        """Check the text of a TOML file; `who` heads the message of an error."""
        return cls.from_dict(_parse(text, who))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """Check nested dicts, as TOML gives them."""
        try:
            recipe = cls.model_validate(data)
        except ValidationError as error:
            raise RecipeError(_explain(cls, data, error)) from None
        recipe._check_shape()
        return recipe

    @staticmethod
    def names() -> list[str]:
        """Names of the recipes that come with cbir."""
        return sorted(path.stem for path in RECIPES.glob("*.toml"))

    @property
    def hash(self) -> str:
        """SHA-256 over every value but the name."""
        return _digest(self.model_dump(exclude={"name"}))

    @property
    def features_hash(self) -> str:
        """SHA-256 over what decides the stored features: the tables `image` and `feature`."""
        return _digest(self.model_dump(include={"image", "feature"}))

    def to_toml(self) -> str:
        """The recipe with every default written out, each key explained in a comment."""
        lines = [f"name = {_value(self.name)}", f"seed = {_value(self.seed)}"]
        for table in ("image", "feature", "vocabulary", "aggregation", "index"):
            options: Options | None = getattr(self, table)
            if options is None:
                continue
            lines += ["", f"[{table}]"]
            for key, field in type(options).model_fields.items():
                comment = f"  # {field.description}" if field.description else ""
                lines.append(f"{key} = {_value(getattr(options, key))}{comment}")
        return "\n".join(lines) + "\n"

    def _check_shape(self) -> Self:
        """Refuse tables that don't fit together."""
        local = self.feature.kind == "local"
        for table in ("vocabulary", "aggregation"):
            there = getattr(self, table) is not None
            if local and not there:
                raise RecipeError(
                    f"recipe {self.name}: feature.name={self.feature.name!r} gives a set of "
                    f"descriptors per image and needs the table [{table}]"
                )
            if there and not local:
                raise RecipeError(
                    f"recipe {self.name}: feature.name={self.feature.name!r} gives one vector per "
                    f"image; take the table [{table}] out"
                )
        sparse = self.aggregation is not None and self.aggregation.sparse
        if sparse != self.index.sparse:
            fitting = "inverted_file" if sparse else "flat"
            raise RecipeError(
                f"recipe {self.name}: index.name={self.index.name!r} does not take these vectors; "
                f"allowed is {fitting!r}"
            )
        return self


def _parse(text: str, who: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{who}: not valid TOML: {error}") from error


def _override(data: dict[str, Any], override: str) -> None:
    """Apply one ``table.key=value`` in place; the value is TOML, or else a bare string."""
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path) or len(path) > 2:
        raise RecipeError(f"--set {override!r}: expected table.key=value, e.g. index.metric=l2")
    try:
        value = tomllib.loads(f"v = {text.strip()}")["v"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    target = data
    if len(path) == 2:
        if path[0] not in data and path[0] in ("vocabulary", "aggregation"):
            raise RecipeError(f"--set {override!r}: this recipe has no table [{path[0]}]")
        target = data.setdefault(path[0], {})
        if not isinstance(target, dict):
            raise RecipeError(f"--set {override!r}: {path[0]} is a value, not a table")
    target[path[-1]] = value


def _value(value: Any) -> str:
    """Say one value in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return repr(value)


def _digest(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _explain(model: type[Recipe], data: dict[str, Any], error: ValidationError) -> str:
    """One line per mistake: key, value found, what is allowed."""
    lines = []
    for one in error.errors():
        # Inside a discriminated union the second place of `loc` is the tag, which no file says.
        place = [str(p) for p in one["loc"]]
        if len(place) > 1 and isinstance(data.get(place[0]), dict):
            tag = data[place[0]].get("name")
            place = [p for i, p in enumerate(place) if i != 1 or p != tag or len(place) == 2]
        key = ".".join(place)
        if one["type"] == "extra_forbidden":
            allowed = ", ".join(_allowed_keys(model, data, place))
            lines.append(f"{key}={one['input']!r}: unknown key; allowed are {allowed}")
        elif one["type"] == "missing":
            lines.append(f"{key}: missing; e.g. --set {key}=...")
        elif one["type"].startswith("union_tag"):
            context = one.get("ctx", {})
            found = context.get("tag", "nothing")
            allowed = context.get("expected_tags", "'kmeans'" if key == "vocabulary" else "a name")
            lines.append(f"{key}.name={found!r}: unknown; allowed are {allowed or 'a name'}")
        else:
            lines.append(f"{key}={one['input']!r}: {one['msg'][0].lower()}{one['msg'][1:]}")
    return f"recipe {data.get('name', '')!r}: " + "; ".join(lines)


def _allowed_keys(model: type[Recipe], data: dict[str, Any], place: list[str]) -> list[str]:
    if len(place) == 1:
        return list(model.model_fields)
    name = data[place[0]].get("name")
    for options in Options.__subclasses__():
        field = options.model_fields.get("name")
        if field is not None and field.default == name and options is not Recipe:
            return list(options.model_fields)
    return list(ImageOptions.model_fields if place[0] == "image" else KMeansOptions.model_fields)
