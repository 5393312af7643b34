"""Formula -> Design: columns, names, recipe; and the array layout of the numerical core."""

from choicemodel.utility.blocks import Block, Group, NestBlock, groups, prepared
from choicemodel.utility.design import (
    Correction,
    Design,
    DesignColumn,
    NestSample,
    Recipe,
    build_design,
    design_from_recipe,
)
from choicemodel.utility.scales import Scales, read_scales

__all__ = [
    "Block",
    "Correction",
    "Design",
    "DesignColumn",
    "Group",
    "NestBlock",
    "NestSample",
    "Recipe",
    "Scales",
    "build_design",
    "design_from_recipe",
    "groups",
    "prepared",
    "read_scales",
]
