"""Tests that compare fitted models."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from choicemodel.exceptions import ComparisonWarning, SpecificationError
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
        Upper tail of the chi-square distribution with `df` degrees of freedom.
    restricted, unrestricted : float
        The log-likelihoods.
    """

    statistic: float
    df: int
    pvalue: float
    restricted: float
    unrestricted: float

    def to_frame(self) -> pd.DataFrame:
        """The test as a frame of one row."""
        return pd.DataFrame([vars(self)], index=pd.Index(["LR test"]))

    def summary(self) -> Table:
        """The test as a table."""
        return Table(
            "Likelihood-ratio test",
            [
                Pairs(
                    [
                        ("LL, restricted", self.restricted, format_loglik),
                        ("LL, unrestricted", self.unrestricted, format_loglik),
                        (f"Chi-square (df {self.df})", self.statistic, format_loglik),
                        ("p", self.pvalue, format_p),
                    ]
                )
            ],
        )

    def __str__(self) -> str:
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
        If the data differ, are weighted, a fit did not converge, or the models are not nested.

    Warns
    -----
    ComparisonWarning
        If persons answered several times and the models take their answers as independent.

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
        if not isinstance(result, ChoiceResults):
            raise SpecificationError(
                f"lr_test compares two results, not {type(result).__name__}: fit the models first, with model.fit()."
            )
        if not result.converged:
            raise SpecificationError(f"{result!r} did not converge, so its log-likelihood is not the maximum.")
        if result.sample.weight is not None:
            raise SpecificationError(
                f"The fits are weighted by `{result.sample.weight}`: the statistic is not chi-square. Use wald_test of "
                "the larger model with its robust covariance."
            )
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
    sample = restricted.sample
    if sample.n_persons is not None and sample.n_persons < sample.nobs:
        warnings.warn(
            "The likelihood takes the situations of a person as independent; where they are not, this test rejects "
            "too often. Compare wald_test of the larger model with its robust covariance.",
            ComparisonWarning,
            stacklevel=2,
        )
    statistic = 2 * (unrestricted.llf - restricted.llf)
    if statistic < -1e-6 * (1 + abs(restricted.llf)):
        raise SpecificationError(
            f"The restricted model has the larger log-likelihood ({restricted.llf:.4f} against "
            f"{unrestricted.llf:.4f}), so it is no special case of the other: the columns of the two fits must have "
            "held different values."
        )
    statistic = max(0.0, statistic)
    return LikelihoodRatioTest(statistic, df, float(chdtrc(df, statistic)), restricted.llf, unrestricted.llf)


def _check_nested(restricted: ChoiceResults, unrestricted: ChoiceResults) -> None:
    """Refuse models of which the first is not a special case of the second."""
    if restricted.data is None or unrestricted.data is None:
        free = set(unrestricted.params.index) - set(unrestricted.fixed)
        same_fixed = all(
            name in free or np.isclose(unrestricted.params.get(name, np.nan), restricted.params[name])
            for name in restricted.params.index
        )
        nested = same_fixed and set(restricted.params.index) <= set(unrestricted.params.index)
    else:
        nested = _spans(_differences(unrestricted), _differences(restricted))
    if not nested:
        raise SpecificationError(
            f"{restricted.model.formula!r} is not a special case of {unrestricted.model.formula!r}: a likelihood-ratio "
            "test needs nested models. Compare them by AIC or BIC."
        )


def _differences(result: ChoiceResults) -> tuple[FloatArray, FloatArray]:
    """Free columns of the design, and what the fixed ones add, less their means within each situation."""
    design = result.model.design_on()  # type: ignore[attr-defined]
    structure = design.data.structure
    X = structure.sorted_values(design.matrix())
    free = np.array([n not in result.fixed for n in result.params.index])
    table = np.column_stack([X[:, free], X[:, ~free] @ result.params.to_numpy()[~free]]).astype(np.float64)
    means = np.add.reduceat(table, structure.starts[:-1], axis=0) / structure.sizes[:, np.newaxis]
    table -= np.repeat(means, structure.sizes, axis=0)
    return table[:, :-1], table[:, -1]


def _spans(larger: tuple[FloatArray, FloatArray], smaller: tuple[FloatArray, FloatArray]) -> bool:
    """Whether the smaller model's utilities are all among the larger one's."""
    offset = smaller[1] - larger[1]
    size = np.linalg.norm(larger[0], axis=0)
    basis = larger[0] / np.where(size > 0, size, 1.0)  # columns of any unit count alike
    wanted = np.column_stack([smaller[0], offset])
    scale = np.linalg.norm(np.column_stack([smaller[0], np.abs(smaller[1]) + np.abs(larger[1])]), axis=0)
    left = np.linalg.norm(wanted - basis @ np.linalg.lstsq(basis, wanted, rcond=None)[0], axis=0)
    return bool(np.all(left <= 1e-6 * scale))
