"""The order of the tutorials on their page; files that are not named here follow by name."""

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
