"""Tests that compare fitted models."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from choicemodel.analysis.boundary import chi_bar_tail, chi_bar_weights
from choicemodel.analysis.nesting import (
    error_parameters,
    errors_inside,
    images,
    is_special_case,
    left_behind,
    model_name,
    too_wide,
)
from choicemodel.analysis.nesting_tastes import named_alike, spreads_of
from choicemodel.analysis.spreads import spread_weights
from choicemodel.estimation.covariance import expand, invert
from choicemodel.exceptions import ComparisonWarning, SpecificationError
from choicemodel.heterogeneity.latent_classes import LatentClasses
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.tables import Pairs, Table, format_loglik, format_p

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """A likelihood-ratio test.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Difference in the number of free parameters.
    pvalue : float
        Upper tail of the chi-square distribution with `df` degrees of freedom, or of the chi-bar-square.
    restricted, unrestricted : float
        The log-likelihoods.
    weights : tuple of float or None
        Where parameters are tested on a bound that they may leave to one side only: the weights of the chi-squares
        with `df` less as many degrees of freedom as there are such parameters, ..., to `df`.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> small = cm.MultinomialLogit(data, "ttme", base="car").fit()
    >>> test = cm.lr_test(small, result)
    >>> round(test.statistic, 2), test.df, round(test.pvalue, 5)
    (13.68, 1, 0.00022)
    """

    statistic: float
    df: int
    pvalue: float
    restricted: float
    unrestricted: float
    weights: tuple[float, ...] | None = None

    def to_frame(self) -> pd.DataFrame:
        """The test as a frame of one row."""
        facts = {k: v for k, v in vars(self).items() if k != "weights"}
        return pd.DataFrame([facts], index=pd.Index(["LR test"]))

    def summary(self) -> Table:
        """The test as a table."""
        name = "Chi-square" if self.weights is None else "Chi-bar-square"
        items = [
            ("LL, restricted", self.restricted, format_loglik),
            ("LL, unrestricted", self.unrestricted, format_loglik),
            (f"{name} (df {self.df})", self.statistic, format_loglik),
            ("p", self.pvalue, format_p),
        ]
        notes = []
        if self.weights is not None:
            least = self.df + 1 - len(self.weights)
            mixture = ", ".join(f"{w:.3f} of df {least + i}" for i, w in enumerate(self.weights))
            notes.append(f"Parameters tested on a bound: a mixture of chi-squares, {mixture}.")
        return Table("Likelihood-ratio test", [Pairs(items)], notes)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def lr_test(restricted: ChoiceResults, unrestricted: ChoiceResults) -> LikelihoodRatioTest:
    """Test the restrictions that lead from one model to another.

    Parameters
    ----------
    restricted, unrestricted : ChoiceResults
        Fits of two models to the same data, the first a special case of the second.

    Returns
    -------
    LikelihoodRatioTest

    Raises
    ------
    SpecificationError
        If the data differ, are weighted, a fit did not converge, or the models are not nested; with `restrict=True`
        for one model only, also where a parameter left its bound.

    Warns
    -----
    ComparisonWarning
        If persons answered several times and the models take their answers as independent, or the statistic is not
        chi-square for another reason.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> small = cm.MultinomialLogit(data, "gc", base="car").fit()
    >>> large = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> test = cm.lr_test(small, large)
    >>> round(test.statistic, 3), test.df
    (139.802, 1)
    """
    for result in (restricted, unrestricted):
        _check_fit(result)
    _refuse_classes(restricted, unrestricted)
    if restricted.fingerprint() != unrestricted.fingerprint():
        raise SpecificationError("The two models were fitted to different choices: the test needs the same data.")
    df = unrestricted.df_model - restricted.df_model
    if df == 0:
        raise SpecificationError(
            f"Both models have {restricted.df_model} free parameters, so neither is a special case of the other: "
            "compare them by AIC or BIC."
        )
    if df < 0:
        raise SpecificationError(
            f"The restricted model has {restricted.df_model} free parameters and the other {unrestricted.df_model}: "
            "pass the smaller one first."
        )
    _check_nested(restricted, unrestricted)
    moved = _left_behind(restricted, unrestricted)
    bounded, spreads = _on_bound(restricted, unrestricted), _new_spreads(restricted, unrestricted)
    mixture = _mixture(restricted, unrestricted, bounded, spreads)
    _warn(restricted, unrestricted, moved, spreads if mixture is None else [])
    statistic = 2 * (unrestricted.llf - restricted.llf)
    if statistic < -1e-6 * (1 + abs(restricted.llf)):
        raise SpecificationError(
            f"The restricted model has the larger log-likelihood ({restricted.llf:.4f} against "
            f"{unrestricted.llf:.4f}), so it is no special case of the other: the columns of the two fits must have "
            "held different values, or the larger one stopped at a lower optimum (fit it with starts=5)."
        )
    statistic = max(0.0, statistic)
    if mixture is None:
        p, weights = float(chdtrc(df, statistic)), None
    else:
        p, weights = chi_bar_tail(statistic, mixture, df + 1 - len(mixture)), tuple(mixture.tolist())
    return LikelihoodRatioTest(statistic, df, p, restricted.llf, unrestricted.llf, weights)


def _mixture(
    restricted: ChoiceResults, unrestricted: ChoiceResults, bounded: list[int], spreads: list[str]
) -> FloatArray | None:
    """Weights of the chi-bar-square; None where nothing is on a bound, or the weights are not known."""
    if spreads and bounded:
        return None
    if len(spreads) == 1:  # the variance is on its bound, half of the time with nothing to gain
        return np.array([0.5, 0.5])
    if spreads:
        return spread_weights(restricted, unrestricted, spreads)
    return chi_bar_weights(_null_covariance(restricted, unrestricted, bounded)) if bounded else None


def _refuse_classes(restricted: ChoiceResults, unrestricted: ChoiceResults) -> None:
    """Refuse tests over the number of classes."""
    numbers = [
        spec.classes if isinstance(spec := cast(ChoiceModel, r.model).heterogeneity, LatentClasses) else 1
        for r in (restricted, unrestricted)
    ]
    if numbers[0] != numbers[1]:
        raise SpecificationError(
            f"The models have {numbers[0]} and {numbers[1]} classes: with fewer classes the membership means nothing, "
            "so that the statistic is not chi-square. Compare them with class_criteria."
        )


def _check_fit(result: ChoiceResults) -> None:
    if not isinstance(result, ChoiceResults):
        raise SpecificationError(
            f"lr_test compares two results, not {type(result).__name__}: fit the models first, with model.fit()."
        )
    if not result.converged:
        raise SpecificationError(
            f"{result!r} did not converge, so its log-likelihood is not the maximum: "
            "fit it again with more iterations or other starting values."
        )
    if result.sample.weight is not None and not result.sample.counted:
        raise SpecificationError(
            f"The fits are weighted by `{result.sample.weight}`: the statistic is not chi-square. Use wald_test of "
            "the larger model with its robust covariance."
        )


def _left_behind(restricted: ChoiceResults, unrestricted: ChoiceResults) -> list[str]:
    """Parameters that are on a bound in the smaller model only; refuse those that had one there only."""
    moved = left_behind(restricted, unrestricted)
    loose = [name for name, same in moved if not same]
    if loose:
        raise SpecificationError(
            f"{', '.join(loose)} is on the bound of its range in the restricted model and free beyond it in the other, "
            "so that its leaving the bound is part of the gain: the statistic would not be that of the restrictions "
            "alone. Fit both with the same restrict=."
        )
    return [name for name, _ in moved]


def _warn(restricted: ChoiceResults, unrestricted: ChoiceResults, moved: list[str], spreads: list[str]) -> None:
    sample = restricted.sample
    apart = not restricted.model.mixes or not unrestricted.model.mixes
    if sample.n_persons is not None and sample.n_persons < sample.nobs and apart:
        warnings.warn(
            "The likelihood takes the situations of a person as independent; where they are not, this test rejects "
            "too often. Compare wald_test of the larger model with its robust covariance.",
            ComparisonWarning,
            stacklevel=3,
        )
    if moved:
        warnings.warn(
            f"{', '.join(moved)} is on the bound of its range in the restricted model and inside it in the other, so "
            "the statistic is not chi-square: read the p-value as a rough guide, or hold it in both with fixed=.",
            ComparisonWarning,
            stacklevel=3,
        )
    if spreads:
        warnings.warn(
            f"{', '.join(spreads)} is zero in the restricted model, which is the bound of its range, so the p-value of "
            "the chi-square is too large: where it rejects, the right one would too.",
            ComparisonWarning,
            stacklevel=3,
        )
    shares = [p.name for p in error_parameters(unrestricted) if p.scale == "share"]
    if shares and not error_parameters(restricted):
        warnings.warn(
            f"Where every lambda is 1 the allocations ({', '.join(shares)}) change nothing, so the restricted model "
            "does not say what they are and the statistic is not chi-square: read the p-value as a rough guide.",
            ComparisonWarning,
            stacklevel=3,
        )


def _on_bound(restricted: ChoiceResults, unrestricted: ChoiceResults) -> list[int]:
    """Parameters of the larger model that the smaller one holds on the bound of their range."""
    held = images(restricted, unrestricted) or {}
    return [
        k
        for k, p in enumerate(unrestricted.model.parameters.items)
        if p.name in held and p.name not in unrestricted.fixed and held[p.name] == p.upper
    ]


def _new_spreads(restricted: ChoiceResults, unrestricted: ChoiceResults) -> list[str]:
    """Spreads of random coefficients that the smaller model does not have, or holds at zero."""
    known = set(restricted.params.drop([n for n in restricted.fixed if restricted.params[n] == 0]).index)
    # what is a spread in the one may be the diagonal of a Cholesky factor in the other
    mine = spreads_of(restricted)
    known |= {name for of, name in spreads_of(unrestricted).items() if mine.get(of) in known}
    return [
        p.name
        for p in unrestricted.model.parameters.items
        if p.role == "heterogeneity" and p.scale == "log" and p.lower == 0
        if p.name not in known and p.name not in unrestricted.fixed
    ]


def _null_covariance(restricted: ChoiceResults, unrestricted: ChoiceResults, bounded: list[int]) -> FloatArray:
    """Covariance, at the restricted estimates, of the larger model's parameters that are on a bound there."""
    if unrestricted.data is None:
        if len(bounded) == 1:
            return np.ones((1, 1))
        raise SpecificationError("The weights of the chi-bar-square need the estimation data: fit the models again.")
    model = cast(ChoiceModel, unrestricted.model)
    known: dict[str, Any] = dict(zip(restricted.params.index, restricted.params, strict=True))
    for name, image in (images(restricted, unrestricted) or {}).items():
        known[name] = restricted.params[image] if isinstance(image, str) else image
    held = [known.get(p.name, p.null) for p in model.parameters.items]
    at = [float(own if value is None else value) for value, own in zip(held, unrestricted.params, strict=True)]
    hessian = model.evaluate(at, hessian=True).hessian
    free = ~unrestricted.params.index.isin(unrestricted.fixed)
    V = expand(invert(-cast(FloatArray, hessian)[np.ix_(free, free)]), free)
    found = V[np.ix_(bounded, bounded)]
    if not np.isfinite(found).all():
        raise SpecificationError(
            "The weights of the chi-bar-square are undefined: the information is singular at the restricted "
            "estimates. Use wald_test of the larger model, or leave a column out of both."
        )
    return found


def _check_nested(restricted: ChoiceResults, unrestricted: ChoiceResults) -> None:
    """Refuse models of which the first is not a special case of the second."""
    wide = too_wide(restricted, unrestricted)
    if wide:
        raise SpecificationError(
            f"{', '.join(wide)} may be larger in the restricted model than in the other, which keeps it within its "
            "range (restrict=True), so neither is a special case of the other: fit both with the same restrict=."
        )
    if restricted.data is None or unrestricted.data is None:
        nested = named_alike(restricted, unrestricted, "utility") and errors_inside(restricted, unrestricted)
    else:
        nested = is_special_case(restricted, unrestricted)
    if not nested:
        raise SpecificationError(
            f"{model_name(restricted)} is not a special case of {model_name(unrestricted)}: a likelihood-ratio test "
            "needs nested models. Compare them by AIC or BIC."
        )
