"""Formula -> Design: columns, names, recipe; and the array layout of the numerical core."""

from choicemodel.utility.blocks import Block, Group, groups
from choicemodel.utility.design import Design, DesignColumn, Recipe, build_design, design_from_recipe

__all__ = ["Block", "Design", "DesignColumn", "Group", "Recipe", "build_design", "design_from_recipe", "groups"]
