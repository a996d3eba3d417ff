"""Recipes: all choices from a picture to an answer, in one TOML file.

::

    TOML --tables--> nested tables --overrides--> nested tables --options--> parts --flow--> Recipe
                     (all channels under one another)   (each value)   (neighbours fit)

::

    recipe = Recipe.load("bow", ["vocabulary.n_words=5000"])    # or a path to a TOML file
    recipe.channel.vocabulary.n_words, recipe.hash, recipe.to_toml()

Read first: ``named/*.toml``, the recipes that come with cbir; then `recipe.py`; then `options.py`,
which reads what a part can be told from the signature of its constructor, the only home of its
options. A new part needs no line here but its defaults in ``released.toml``.
"""

from cbir.recipe.channel import ChannelRecipe, FusionOptions
from cbir.recipe.options import Options, RecipeError
from cbir.recipe.recipe import Recipe

__all__ = ["ChannelRecipe", "FusionOptions", "Options", "Recipe", "RecipeError"]
