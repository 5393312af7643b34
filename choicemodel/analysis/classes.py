"""How many classes: information criteria of latent class models side by side, and how well people can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.individuals import class_probabilities
from choicemodel.arguments import read_list
from choicemodel.estimation.classes import ClassLikelihood
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import Composition, likelihood_of
from choicemodel.estimation.mixing import Mixing
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]


def class_criteria(
    results: ChoiceResults | Sequence[ChoiceResults] | Mapping[Any, ChoiceResults],
    labels: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Compare models with different numbers of classes.

    Lower is better for all criteria but the entropy R-squared. With n persons where they are declared, else situations
    (the occasions of rankings), k parameters and the entropy E = -sum_u sum_c h_uc log h_uc of the posteriors h:

    - AIC = 2 k - 2 LL,
    - BIC = k log n - 2 LL (Schwarz 1978),
    - CAIC = k (log n + 1) - 2 LL (Bozdogan 1987),
    - ICL = BIC + 2 E (Biernacki, Celeux and Govaert 2000), which prefers classes that are apart,
    - entropy R-squared = 1 - E / (n log C) (Ramaswamy et al. 1993): 1 where everybody's class is certain.

    With weights, E is the weighted sum over units, and n in the entropy R-squared the sum of the weights. `compare`
    shows the same numbers below the coefficients.

    Parameters
    ----------
    results : ChoiceResults, or sequence or mapping of ChoiceResults
        Latent class models on the same data, with their data; a model without heterogeneity counts as one class.
        The keys of a mapping are labels.
    labels : sequence of str, optional
        What the rows are called; default the numbers of classes.

    Returns
    -------
    DataFrame
        Rows are models; columns ``classes``, ``parameters``, ``llf``, ``aic``, ``bic``, ``caic``, ``icl``,
        ``entropy_r_squared`` (NaN for one class), ``smallest_share`` and ``converged``: criteria of a fit that did not
        converge are those of no maximum.

    Raises
    ------
    SpecificationError
        If a result is of another model, or data or labels do not fit.

    Examples
    --------
    >>> import choicemodel as cm
    >>> from choicemodel.models import LatentClassLogit
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    ... )
    >>> fits = [LatentClassLogit(data, "pf + cl + loc | 0", C).fit() for C in (1, 2)]
    >>> class_criteria(fits)[["parameters", "llf", "bic", "icl", "entropy_r_squared"]].round(2)
       parameters      llf       bic       icl  entropy_r_squared
    1           3 -5664.17  11346.01  11346.01                NaN
    2           7 -5388.31  10817.85  10921.42               0.79
    """
    if isinstance(results, Mapping):
        labels, results = list(results) if labels is None else labels, list(results.values())
    results = [results] if isinstance(results, ChoiceResults) else read_list(results, "results", "[first, second]")
    if not results or not all(isinstance(r, ChoiceResults) for r in results):
        raise SpecificationError("class_criteria takes a list of results: fit the models first, with model.fit().")
    labels = None if labels is None else read_list(labels, "labels", "['one', 'two']")
    if labels is not None and len(labels) != len(results):
        raise SpecificationError(f"labels has {len(labels)} names for {len(results)} results: give one for each.")
    rows = [criteria_of(r) for r in results]
    sizes = {row["n"] for row in rows}
    if len(sizes) > 1:
        raise SpecificationError(
            f"The models are of different data, with {' and '.join(f'{n:,.0f}' for n in sorted(sizes))} units: "
            "criteria compare models of the same choices."
        )
    frame = pd.DataFrame(rows).drop(columns="n")
    frame.index = pd.Index(frame["classes"].to_list() if labels is None else list(labels))
    return frame


def criteria_of(result: ChoiceResults) -> dict[str, Any]:
    """The criteria of one model, a row of `class_criteria`; ``n`` is the number that they take.

    Raises
    ------
    SpecificationError
        If the result is of no latent class model nor a model without heterogeneity, or came without its data.
    """
    h, shares, weight = _posteriors(result)
    C, entropy = h.shape[1], float(weight @ _entropy(h))
    k, ll = result.df_model, result.llf
    bic = bic_of_units(result)
    return {
        "n": result.nobs if result.sample.n_persons is None else result.sample.n_persons,
        "classes": C,
        "parameters": k,
        "llf": ll,
        "aic": result.aic,
        "bic": bic,
        "caic": bic + k,
        "icl": bic + 2 * entropy,
        "entropy_r_squared": 1 - entropy / (weight.sum() * np.log(C)) if C > 1 else np.nan,
        "smallest_share": float(shares.min()),
        "converged": result.converged,
    }


def bic_of_units(result: ChoiceResults) -> float:
    """BIC with persons as n where they are declared, else with situations."""
    return result.bic if result.sample.n_persons is None else result.bic_persons


def _entropy(h: FloatArray) -> FloatArray:
    """Entropy of the posterior of each unit (U,)."""
    with np.errstate(under="ignore"):
        return np.asarray(-(h * np.log(np.where(h > 0, h, 1.0))).sum(axis=1))


def _posteriors(result: ChoiceResults) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posteriors (U, C), shares (C,) and weights of the units (U,).

    Raises
    ------
    SpecificationError
        If the result is of no latent class model nor a model without heterogeneity, or came without its data.
    """
    model = result.model
    if not isinstance(model, ChoiceModel):
        raise SpecificationError("class_criteria takes results: fit the models first, with model.fit().")
    composition, theta = model.composition(), np.asarray(result.params, dtype=np.float64)
    if model.heterogeneity is None:
        weight = _unit_weight(composition)
        return np.ones((len(weight), 1)), np.ones(1), weight
    with executor(result.settings.threads) as pool:
        likelihood = likelihood_of(composition, pool)
        mixing = composition.heterogeneity
        if isinstance(mixing, Mixing) and isinstance(mixing.tastes, ClassMixture):
            return _with_something_inside(composition, mixing, likelihood, theta)
        if not isinstance(likelihood, ClassLikelihood):
            raise SpecificationError(
                f"class_criteria compares latent class models; this is a {model.title.lower()}. Use cm.compare."
            )
        return likelihood.posterior(theta), likelihood.shares(theta), likelihood.unit_weight


def _unit_weight(composition: Composition) -> FloatArray:
    """Weight of each unit (U,)."""
    structure = composition.design.data.structure
    weight = np.ones(structure.n_units)
    if structure.weight is not None:
        weight[structure.unit] = structure.weight
    return weight


def _with_something_inside(
    composition: Composition, mixing: Mixing, likelihood: Any, theta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posteriors, shares and weights where classes have points of their own: the points' posteriors by class."""
    tastes: Any = mixing.tastes
    points = likelihood.posterior(theta)
    silent = np.flatnonzero(np.isnan(points).any(axis=1))
    if len(silent):
        points[silent] = np.exp(mixing.points(theta, mixing.facts(composition.design.data).of(silent)).log_weights)
    return class_probabilities(mixing, points), tastes.shares(mixing.split(theta).own), _unit_weight(composition)
