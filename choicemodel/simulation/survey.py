"""A complete synthetic survey in one call: attributes are drawn, people choose by their random utilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.heterogeneity.random_coefficients import RandomCoefficients
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import ErrorDistribution, Gumbel
from choicemodel.rng import seed_of
from choicemodel.simulation.simulate import simulate

# A list of levels, a constant, or a distribution with `.rvs(size=, random_state=)`.
Levels = Any

_IDENTIFIERS = ("person", "situation", "alternative", "choice")


def simulate_survey(  # noqa: PLR0913 - a public entry point
    *,
    attributes: Mapping[Any, Mapping[str, Levels]],
    n_persons: int,
    params: Mapping[str, float] | pd.Series[float],
    formula: str,
    n_situations: int = 1,
    rng: int | np.random.Generator | None = None,
    covariates: Mapping[str, Levels] | None = None,
    base: Any = None,
    errors: ErrorDistribution | None = None,
    heterogeneity: RandomCoefficients | LatentClasses | None = None,
) -> ChoiceData:
    """Make a survey up: draw attributes and covariates, and let people choose by explicit random utilities.

    Parameters
    ----------
    attributes : dict
        Alternative -> {attribute: levels}, in the order that the alternatives are to have. Levels are a list, from
        which every situation draws with equal probability; a constant; or a distribution with
        ``.rvs(size=, random_state=)``, such as those of `scipy.stats`. An attribute that an alternative lacks is zero
        there.
    n_persons : int
    params : dict or Series
        Every parameter of the model by name.
    formula : str
        As in a model.
    n_situations : int
        Situations that each person answers; with more than one, persons are declared.
    rng : int, Generator or None
        Seed; the same seed gives the same survey.
    covariates : dict, optional
        Name -> levels, drawn once for each person.
    base : label, optional
        As in a model.
    errors, heterogeneity : optional
        As in a model; default Gumbel errors, and none.

    Returns
    -------
    ChoiceData
        With the columns ``person``, ``situation``, ``alternative`` and ``choice``, the attributes and the covariates.

    Raises
    ------
    SpecificationError
        If parameters are missing or unknown (the message lists their names), or levels cannot be drawn from.

    Examples
    --------
    >>> import choicemodel as cm
    >>> survey = cm.simulate_survey(
    ...     attributes={"bus": {"cost": [1, 2, 3], "time": [20, 30, 40]}, "walk": {"time": [30, 45, 60]}},
    ...     covariates={"age": [25, 45, 65]},
    ...     n_persons=100,
    ...     n_situations=4,
    ...     formula="cost + time | age",
    ...     params={"cost": -0.5, "time": -0.1, "ASC[walk]": 1.0, "age[walk]": -0.02},
    ...     rng=1,
    ... )
    >>> survey
    <ChoiceData: 100 persons, 400 situations, 2 alternatives (bus, walk), 800 rows>
    >>> list(survey.frame)
    ['person', 'situation', 'alternative', 'choice', 'cost', 'time', 'age']
    """
    for name, number in (("n_persons", n_persons), ("n_situations", n_situations)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise SpecificationError(f"{name} must be a whole number of at least 1; got {number!r}.")
    covariates = {} if covariates is None else covariates
    _check_names(attributes, covariates)
    of_attributes, of_choices = np.random.SeedSequence(seed_of(rng)).spawn(2)
    frame = _draw(attributes, covariates, (n_persons, n_situations), np.random.default_rng(of_attributes))
    person = "person" if n_situations > 1 else None
    model = ChoiceModel(_read(frame, None, person), formula, errors or Gumbel(), heterogeneity, base)
    _check_params(model, params)
    simulated = simulate(model, params, rng=np.random.default_rng(of_choices)).column("choice")
    frame.insert(_IDENTIFIERS.index("choice"), "choice", simulated)
    return _read(frame, "choice", person)


def _read(frame: pd.DataFrame, choice: str | None, person: str | None) -> ChoiceData:
    return ChoiceData.from_long(frame, situation="situation", alternative="alternative", choice=choice, person=person)


def _check_names(attributes: Mapping[Any, Mapping[str, Levels]], covariates: Mapping[str, Levels]) -> None:
    if not isinstance(attributes, Mapping) or not all(isinstance(a, Mapping) for a in attributes.values()):
        raise SpecificationError(
            "attributes must be {alternative: {attribute: levels}}, such as {'bus': {'cost': [1, 2]}, 'walk': {}}."
        )
    if len(attributes) < 2:
        raise SpecificationError(f"A choice needs at least two alternatives; attributes names {len(attributes)}.")
    names = [n for own in attributes.values() for n in own]
    taken = [n for n in (*names, *covariates) if n in _IDENTIFIERS]
    if taken:
        raise SpecificationError(f"{taken[0]!r} is a column that every survey has: give it another name.")
    both = [n for n in covariates if n in names]
    if both:
        raise SpecificationError(f"{both[0]!r} is an attribute and a covariate: give one of them another name.")


def _check_params(model: ChoiceModel, params: object) -> None:
    names = model.parameters.names
    if not isinstance(params, (Mapping, pd.Series)):
        raise SpecificationError(f"params must give every parameter by name: {', '.join(names)}.")
    absent = [n for n in names if n not in params]
    unknown = [str(n) for n in params.keys() if n not in names]  # noqa: SIM118 - of a Series, too
    problems = [f"does not give {', '.join(absent)}"] * bool(absent)
    problems += [f"names {', '.join(unknown)}, which the model does not have"] * bool(unknown)
    if problems:
        raise SpecificationError(
            f"params {', and '.join(problems)}. The parameters of {model.formula!r} are {', '.join(names)}: give a "
            "value for each of them."
        )


def _draw(
    attributes: Mapping[Any, Mapping[str, Levels]],
    covariates: Mapping[str, Levels],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """The long table without choices, situation by situation in the order of the alternatives."""
    (n_persons, n_situations), J = size, len(attributes)
    N = n_persons * n_situations
    frame = pd.DataFrame(
        {
            "person": np.repeat(np.arange(1, n_persons + 1), n_situations * J),
            "situation": np.repeat(np.arange(1, N + 1), J),
            "alternative": pd.Categorical.from_codes(np.tile(np.arange(J), N), categories=list(attributes)),  # type: ignore[call-overload]
        }
    )
    for name in dict.fromkeys(n for own in attributes.values() for n in own):
        drawn = [_levels(own[name], N, (name, rng)) if name in own else np.zeros(N) for own in attributes.values()]
        texts = [d.dtype.kind not in "biuf" for d in drawn]
        if any(texts) and not all(texts):
            raise SpecificationError(
                f"The attribute {name!r} is text for some alternatives and not for others, which would be zero: give "
                "it levels of one kind for every alternative."
            )
        frame[name] = np.stack([d.astype(object) if any(texts) else d for d in drawn], axis=1).ravel()
    for name, levels in covariates.items():
        frame[name] = np.repeat(_levels(levels, n_persons, (name, rng)), n_situations * J)
    return frame


def _levels(levels: Levels, n: int, source: tuple[str, np.random.Generator]) -> NDArray[Any]:
    """Draw n values."""
    name, rng = source
    if hasattr(levels, "rvs"):
        drawn = np.asarray(levels.rvs(size=n, random_state=rng))
        if drawn.shape != (n,):
            raise SpecificationError(f"{name!r}: rvs(size={n}) gave an array of shape {drawn.shape}, not ({n},).")
        return drawn
    if isinstance(levels, (str, bool, int, float, np.generic)):
        return np.full(n, levels)
    if isinstance(levels, (list, tuple, range, np.ndarray, pd.Series)) and np.ndim(levels) == 1 and len(levels):
        return np.asarray(levels)[rng.integers(len(levels), size=n)]
    raise SpecificationError(
        f"{name!r}: levels must be a list that is not empty, a constant, or a distribution with rvs(size=, "
        f"random_state=); got {levels!r}."
    )
