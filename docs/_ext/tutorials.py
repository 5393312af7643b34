"""The order of the tutorials on their page (files that are not named follow by name), and the size of their figures."""

from typing import Any

ORDER = (
    "first_fit",
    "wide_survey",
    "panel_swissmetro",
    "nested_logit",
    "mixed_logit",
    "latent_classes",
    "policy_scenarios",
    "verify_gumbel",
    "plan_a_survey",
    "publication_plots",
)


def position(filename: str) -> tuple[int, str]:
    """Sort a file of `examples/` by its place in the list."""
    name = filename.rpartition("/")[2].removesuffix(".py")
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def sharp_figures(gallery_conf: dict[str, Any], filename: str) -> None:
    """Give figures of a journal's column width enough pixels for a screen."""
    import matplotlib as mpl

    mpl.rcParams["savefig.dpi"] = 200
