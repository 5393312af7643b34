"""ChoiceResults: estimates, measures of fit, covariances and tests, and the file that keeps them."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from choicemodel import storage
from choicemodel.arguments import is_share, is_word, read_numbers, written
from choicemodel.data import ChoiceData
from choicemodel.data.sections import sections
from choicemodel.data.writer import TableWriter
from choicemodel.estimation import Fit, FitSettings
from choicemodel.estimation import covariance as cov
from choicemodel.estimation.choice_based import check_cov_type
from choicemodel.estimation.constants import constants_only
from choicemodel.estimation.delta import COLUMNS, delta_method, difference_jacobian
from choicemodel.estimation.em import QUICK_STARTS
from choicemodel.estimation.likelihood import sum_by_unit
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.optimise import MOST_ASSIGNMENTS
from choicemodel.estimation.taste_words import Who, care_in_words
from choicemodel.exceptions import CovarianceWarning, SpecificationError
from choicemodel.files import target_of
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.results.protocol import FittedModel
from choicemodel.results.sample import Sample
from choicemodel.results.summary import summary_of
from choicemodel.spelling import for_users
from choicemodel.tables import Digits, Groups, Names, Stars, Table, layout

FloatArray = NDArray[np.float64]

COV_TYPES = ("nonrobust", "opg", "robust", "cluster")


class Noise(NamedTuple):
    """Another source of error of the estimates: its covariance (K, K), and what it is called."""

    covariance: FloatArray
    what: str


# What people look for by names from other programs.
_MEANT = {
    **dict.fromkeys(
        ("loglik", "loglike", "loglikelihood", "log_likelihood", "ll", "LL"), "`llf` is the log-likelihood"
    ),
    **dict.fromkeys(
        ("rsquared", "r_squared", "r2", "pseudo_rsquared"), "`rho_squared` is McFadden's, 1 - llf / ll_zero"
    ),
    **dict.fromkeys(
        ("rsquared_adj", "rho_squared_adj", "rho_bar_squared"), "`rho_squared_bar` has the penalty for parameters"
    ),
    **dict.fromkeys(
        ("coef_", "coef", "coefs", "coefficients", "beta", "betas", "estimates"), "`params` has the estimates"
    ),
    **dict.fromkeys(("std_err", "stderr", "std_error", "std_errors", "se"), "`bse` has the standard errors"),
    **dict.fromkeys(("tstats", "tstat", "zvalues", "z"), "`tvalues` has the z statistics"),
    **dict.fromkeys(("vcov", "cov", "covariance"), "`cov_params()` is the covariance of the estimates"),
    **dict.fromkeys(
        ("resid", "residuals", "resid_response"),
        "a choice of one alternative has none; cm.validate(result) compares choices and probabilities",
    ),
    **dict.fromkeys(("fittedvalues", "predict_proba", "probabilities"), "`predict()` gives the probabilities"),
    **dict.fromkeys(("n_obs", "n", "n_observations"), "`nobs` is the number of choices"),
    **dict.fromkeys(("get_margeff", "marginal_effects"), "ask cm.marginal_effects(result, column)"),
    **dict.fromkeys(("elasticity", "elasticities"), "ask cm.elasticities(result, column)"),
    **dict.fromkeys(("wtp", "willingness_to_pay"), "ask cm.willingness_to_pay(result, column, per=price)"),
    "shares": "ask cm.shares(result)",
    "lr_test": "ask cm.lr_test(restricted, unrestricted)",
    "simulate": "ask cm.simulate(result)",
    "verify": "ask cm.verify(result)",
    "plot": "cm.plots draws results",
    "score": "`gradient_norm` is its size at the estimates",
}

# What other rooms use; completion does not offer it.
_INTERNAL = frozenset(
    (
        "covered_by",
        "fingerprint",
        "fit_notes",
        "from_dict",
        "n_sampled",
        "sample",
        "settings",
        "to_dict",
        "use_t",
        "who",
        "with_noise",
    )
)


@dataclass(frozen=True, repr=False, eq=False)
class ChoiceResults:
    """Estimates of a choice model with everything that statsmodels users expect of a result.

    Made by `ChoiceModel.fit`, never by hand, and never changed afterwards.

    Attributes
    ----------
    model : ChoiceModel
        The model that was fitted.
    data : ChoiceData or None
        The estimation data; None after loading.
    sample : Sample
        Facts of the estimation data.
    settings : FitSettings
        How the fit was asked for.
    cov_type : str
        Which covariance standard errors, z, p and intervals follow.
    groups : str or None
        What a ``cluster`` covariance is grouped by.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
    >>> result
    <ChoiceResults: Multinomial logit, 5 parameters, 210 situations, log-likelihood -199.9766, converged>
    >>> result.params.round(4).to_dict()
    {'gc': -0.0158, 'ttme': -0.0971, 'ASC[air]': 5.7764, 'ASC[bus]': 3.2107, 'ASC[train]': 3.923}
    >>> round(result.llf, 3), round(result.rho_squared, 3), result.nobs
    (-199.977, 0.313, 210)
    """

    model: FittedModel
    data: ChoiceData | None
    sample: Sample
    settings: FitSettings
    cov_type: str
    groups: str | None
    _fit: Fit
    _covariance: FloatArray
    _stored: Mapping[str, Any] = field(default_factory=dict)
    _noise: Noise | None = None

    # --- estimates ---------------------------------------------------------------------------------------------------

    @cached_property
    def _names(self) -> pd.Index[str]:
        names = list(self.model.parameters.names)
        try:
            return pd.Index(names)
        except UnicodeEncodeError:  # half a letter, which pandas' texts cannot hold
            return pd.Index(names, dtype=object)

    def _series(self, values: Any, name: str) -> pd.Series[float]:
        return pd.Series(np.asarray(values, dtype=np.float64), index=self._names, name=name)

    @property
    def params(self) -> pd.Series[float]:
        """Estimates by name; parameters held fixed are included."""
        return self._series(self._fit.theta.copy(), "estimate")

    @property
    def fixed(self) -> tuple[str, ...]:
        """Names of the parameters that were held fixed."""
        return tuple(self._names[~self._fit.free])

    @property
    def bse(self) -> pd.Series[float]:
        """Standard errors; NaN where fixed or undefined."""
        with np.errstate(invalid="ignore"):
            return self._series(np.sqrt(np.diag(self._covariance)), "std_error")

    @property
    def tvalues(self) -> pd.Series[float]:
        """Distance of each estimate from its null value in standard errors (z statistics)."""
        return ((self.params - self.model.parameters.nulls) / self.bse).rename("z")

    @property
    def pvalues(self) -> pd.Series[float]:
        """Two-sided p-values of `tvalues`, from the normal distribution."""
        return self._series(2 * ndtr(-np.abs(self.tvalues.to_numpy())), "p")

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Normal confidence intervals of level 1 - alpha, columns ``lower`` and ``upper``.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> result.conf_int().round(4)
                     lower   upper
        gc         -0.0244 -0.0072
        ttme       -0.1175 -0.0766
        ASC[air]    4.4908  7.0619
        ASC[bus]    2.3294  4.0920
        ASC[train]  3.0567  4.7893
        """
        if not is_share(alpha):
            raise SpecificationError(f"alpha must be between 0 and 1; got {written(alpha)}.")
        half = float(ndtri(1 - alpha / 2)) * self.bse
        return pd.DataFrame({"lower": self.params - half, "upper": self.params + half})

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the estimates; NaN for parameters that are fixed or undefined.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> (result.cov_params().loc["gc", "gc"] ** 0.5 == result.bse["gc"]).item()
        True
        """
        return pd.DataFrame(self._covariance.copy(), index=self._names, columns=self._names)

    @property
    def derived(self) -> pd.DataFrame:
        """Quantities derived from the parameters, with delta standard errors, z and p; a logit has none."""
        found = self._derived
        if not found["names"]:
            return pd.DataFrame(columns=[*COLUMNS, "z", "p"], dtype=np.float64)
        known = self._covariance.copy()
        known[~self._fit.free] = known[:, ~self._fit.free] = 0.0
        values, jacobian, names = found["values"], found["jacobian"], found["names"]
        frame = delta_method(lambda theta: values, self._fit.theta, known, names=names, jacobian=jacobian).to_frame()
        nulls = np.asarray(found["nulls"], dtype=np.float64)
        error = np.where(frame["std_error"] > 0, frame["std_error"], np.nan)
        frame["z"] = (frame["estimate"] - nulls) / error
        frame["p"] = 2 * ndtr(-np.abs(np.asarray(frame["z"])))
        return frame

    @cached_property
    def _derived(self) -> Mapping[str, Any]:
        """Names, values (M,), nulls (M,) and derivatives (M, K) of what follows from the parameters.

        Those of a mixture may rest on the covariates of persons, such as the shares of classes: a file holds them.
        """
        if self.data is None and "derived" in self._stored:
            return cast(Mapping[str, Any], self._stored["derived"])
        theta, found = self._fit.theta, self.model.derived_numbers(self._fit.theta)
        if not found.names:
            return {"names": ()}
        variance = np.where(self._fit.free, np.diag(self._covariance), 0.0)
        spread = np.sqrt(np.where(np.isnan(variance), 0.0, variance))
        return {
            "names": found.names,
            "values": np.asarray(found.values, dtype=np.float64),
            "nulls": np.array([np.nan if null is None else null for null in found.nulls]),
            "jacobian": difference_jacobian(lambda t: self.model.derived_numbers(t)[1], theta, spread),
        }

    # --- fit ---------------------------------------------------------------------------------------------------------

    @property
    def llf(self) -> float:
        """Log-likelihood at the estimates."""
        return self._fit.value

    @property
    def ll_zero(self) -> float:
        """Log-likelihood of equal shares over each available set."""
        return self.sample.ll_zero

    @cached_property
    def _null(self) -> tuple[float, tuple[int, ...]]:
        if self.data is None or "ll_constants" in self._stored:
            return float(self._stored["ll_constants"]), tuple(self._stored["never_chosen"])
        return constants_only(self.data.structure)

    @property
    def ll_constants(self) -> float:
        """Log-likelihood of a full set of constants only, estimated on the same sets."""
        return self._null[0]

    @property
    def rho_squared(self) -> float:
        """1 - llf / ll_zero (McFadden 1974)."""
        return 1 - self.llf / self.ll_zero

    @property
    def rho_squared_bar(self) -> float:
        """1 - (llf - k) / ll_zero, with k free parameters."""
        return 1 - (self.llf - self.df_model) / self.ll_zero

    @property
    def prsquared(self) -> float:
        """1 - llf / ll_constants, what statsmodels calls pseudo R-squared."""
        return 1 - self.llf / self.ll_constants if self.ll_constants else float("nan")

    @property
    def df_model(self) -> int:
        """Number of free parameters."""
        return int(self._fit.free.sum())

    @property
    def df_resid(self) -> int:
        """Observations less free parameters."""
        return self.nobs - self.df_model

    @property
    def nobs(self) -> int:
        """Choice situations that offer more than one alternative; rankings, best-worst answers, choices counted."""
        return self.sample.nobs

    @property
    def aic(self) -> float:
        """2 k - 2 llf."""
        return 2 * self.df_model - 2 * self.llf

    @property
    def bic(self) -> float:
        """K ln(nobs) - 2 llf."""
        return self.df_model * math.log(self.nobs) - 2 * self.llf

    @property
    def bic_persons(self) -> float:
        """K ln(n) - 2 llf with persons as n; NaN where no persons are declared."""
        if self.sample.n_persons is None:
            return float("nan")
        return self.df_model * float(np.log(self.sample.n_persons)) - 2 * self.llf

    @property
    def converged(self) -> bool:
        """Whether the optimum passed its tests: gradient small, Hessian definite, no perfect prediction."""
        return self._fit.converged

    @property
    def at_bound(self) -> tuple[str, ...]:
        """Names of the parameters that were left on a bound of their range, and so have no standard error."""
        return tuple(self._names[list(self._fit.at_bound)])

    @property
    def optima(self) -> tuple[tuple[float, int], ...]:
        """Log-likelihood of each optimum that the search found, best first, and from how many starting points.

        Starting points from which the search did not converge are not among them: `starts` less the sum.
        """
        return self._fit.optima

    @property
    def fit_notes(self) -> tuple[str, ...]:
        """What else there is to say of the fit, such as how many draws were found to be enough."""
        if not self.n_sampled:
            return self._fit.notes
        who = "people" if self.sample.n_persons is not None else "situations"
        sampled = f"The search started at the estimates of a random sample of {self.n_sampled:,} {who}."
        return (*self._fit.notes, sampled)

    @property
    def n_sampled(self) -> int:
        """Size of the sample at whose estimates the search started; 0 where it started elsewhere."""
        return self._fit.n_sampled

    @property
    def starts(self) -> int:
        """Number of starting points: those asked for, or the ten from which latent classes start unasked.

        Classes with something inside start unasked from the best classes without it, in every way in which these may
        be of the kinds asked for: from so many points.
        """
        mixing, asked = self.model.heterogeneity_or_none, self.settings
        if not isinstance(mixing, Mixing) or asked.starts > 1 or asked.start is not None:
            return asked.starts
        if isinstance(mixing.tastes, ClassMixture):
            return min(len(mixing.tastes.assignments()), MOST_ASSIGNMENTS)
        return QUICK_STARTS if isinstance(mixing.tastes, ClassTastes) and mixing.n_points > 1 else 1

    @property
    def message(self) -> str:
        """How the optimiser ended, in words."""
        return self._fit.message

    @property
    def gradient_norm(self) -> float:
        """Distance to the maximum in standard errors: sqrt(g' (-H)^-1 g / k), free of units."""
        return self._fit.gradient_norm

    @property
    def condition_number(self) -> float:
        """Condition number of the information matrix scaled to a unit diagonal."""
        return self._fit.condition_number

    @property
    def iterations(self) -> int:
        """Newton steps on the whole sample."""
        return self._fit.iterations

    @property
    def use_t(self) -> bool:
        """False: tests use the normal distribution."""
        return False

    # --- covariances and tests ---------------------------------------------------------------------------------------

    def with_cov(
        self, cov_type: str, groups: str | Sequence[Any] | NDArray[Any] | pd.Series[Any] | None = None
    ) -> ChoiceResults:
        """Return the same estimates with another covariance.

        Parameters
        ----------
        cov_type : {"nonrobust", "opg", "robust", "cluster"}
            Inverse Hessian; inverse outer product of unit scores; sandwich of unit scores; sandwich of scores summed
            over `groups`. There is no small-sample factor.
        groups : str or array-like, optional
            For ``cluster``: a column of the data, or one value per row of ``data.frame``.

        Returns
        -------
        ChoiceResults

        Raises
        ------
        SpecificationError
            If the type is unknown, groups are missing or not wanted, or they cut through a unit.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> robust = result.with_cov("robust")
        >>> (robust.bse / result.bse).round(2).to_dict()
        {'gc': 1.12, 'ttme': 1.43, 'ASC[air]': 1.28, 'ASC[bus]': 1.2, 'ASC[train]': 1.16}
        """
        return self.covered_by(cov_type, groups)

    def covered_by(self, cov_type: str, groups: Any) -> ChoiceResults:
        """As `with_cov`, for callers who stand between it and the user: warnings are at the line of their caller."""
        if not is_word(cov_type, COV_TYPES):
            hint = " White's sandwich is 'robust', without a small-sample factor." if _of_white(cov_type) else ""
            raise SpecificationError(f"cov_type must be one of {', '.join(COV_TYPES)}; got {written(cov_type)}.{hint}")
        if (cov_type == "cluster") != (groups is not None):
            raise SpecificationError(
                "cov_type='cluster' needs groups=, a column of the data or one value per row."
                if groups is None
                else f"groups belong to cov_type='cluster', not to {cov_type!r}."
            )
        if self.settings.population_shares is not None:
            check_cov_type(cov_type, "nonrobust")  # the bread of influence functions
        if cov_type == "cluster":
            label = groups if isinstance(groups, str) else "the groups given"
            return replace(self, cov_type=cov_type, groups=label, _covariance=self._noisy(self._clustered(groups)))
        covariance = self._fit.covariances[cov_type]
        lost = np.isnan(np.diag(covariance)) & ~np.isnan(np.diag(self._fit.covariances["nonrobust"]))
        if lost.any():
            warnings.warn(
                f"The {cov_type} covariance is undefined for {', '.join(self._names[lost])}: there are fewer "
                "independent units than parameters, or their scores are collinear. Use another cov_type.",
                CovarianceWarning,
                stacklevel=3,
            )
        return replace(self, cov_type=cov_type, groups=None, _covariance=self._noisy(covariance))

    def with_noise(self, covariance: pd.DataFrame | FloatArray, what: str = "simulation noise") -> ChoiceResults:
        """Return the same estimates with the covariance of another source of error added to every covariance.

        Sources of error that are independent of the sample's add up in covariances. `choicemodel.draw_stability` finds
        that of the draws. It replaces one that was added before.

        Parameters
        ----------
        covariance : DataFrame or array (K, K)
            By name, or in the order of the parameters.
        what : str
            What the source is called in tables.

        Returns
        -------
        ChoiceResults

        Raises
        ------
        SpecificationError
            If it is no covariance of the parameters.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> import numpy as np
        >>> noisy = result.with_noise(np.diag(0.1 * np.diag(result.cov_params())), "rounding of the answers")
        >>> (noisy.bse / result.bse).round(3).to_list()
        [1.049, 1.049, 1.049, 1.049, 1.049]
        """
        added = _read_noise(covariance, self._names)
        own = self._covariance if self._noise is None else self._covariance - self._noise.covariance
        return replace(self, _covariance=own + added, _noise=Noise(added, what))

    def _noisy(self, covariance: FloatArray) -> FloatArray:
        return covariance if self._noise is None else covariance + self._noise.covariance

    def _clustered(self, groups: Any) -> FloatArray:
        data = self._require_data("A clustered covariance")
        group = data.group_codes(groups)  # (N,)
        structure = data.structure
        of_unit = np.zeros(structure.n_units, dtype=np.int64)
        of_unit[structure.unit] = group
        cut = np.flatnonzero(of_unit[structure.unit] != group)
        if cut.size:
            raise SpecificationError(
                f"The groups cut through a person: {data.name_of(int(cut[0]))} is in another group than other "
                "situations of its person. Scores are independent between persons at best, so groups must hold whole "
                "persons."
            )
        if not of_unit.any():
            raise SpecificationError(
                "All units are in one group, whose score is zero at the maximum and says nothing of its variance: name "
                "groups that tell them apart."
            )
        scores = self.model.unit_scores(self.params)[:, self._fit.free]
        summed = sum_by_unit(scores, of_unit, int(of_unit.max()) + 1)
        free = self._fit.free
        bread = self._fit.covariances["nonrobust"][np.ix_(free, free)]
        return cov.expand(cov.robust(bread, summed.T @ summed), free)

    def _require_data(self, what: str) -> ChoiceData:
        if self.data is None:
            raise SpecificationError(
                f"{what} needs the estimation data, which a loaded result does not hold: fit the model again."
            )
        return self.data

    def t_test(self, hypothesis: Any) -> Any:
        """Test linear hypotheses one by one, through statsmodels.

        Parameters
        ----------
        hypothesis : str or array-like
            Such as ``"gc = ttme"`` or ``"gc = 0, ttme = 0"``, over the parameter names.

        Returns
        -------
        statsmodels ContrastResults

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> result.t_test("ttme = 5 * gc").pvalue.round(3).item()
        0.457
        """
        return self._contrast("t_test", hypothesis)

    def wald_test(self, hypothesis: Any) -> Any:
        """Test linear hypotheses jointly with a chi-square statistic, through statsmodels.

        Parameters
        ----------
        hypothesis : str or array-like
            As in `t_test`.

        Returns
        -------
        statsmodels ContrastResults

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> test = result.wald_test("gc = 0, ttme = 0")
        >>> round(float(test.statistic), 1), test.df_denom
        (100.8, 2.0)
        """
        return self._contrast("wald_test", hypothesis)

    def _contrast(self, test: str, hypothesis: Any) -> Any:
        """Ask statsmodels; refuse hypotheses on parameters whose variance is undefined."""
        from statsmodels.tools.sm_exceptions import ValueWarning

        options = {"scalar": True} if test == "wald_test" else {}
        undefined = self._fit.free & np.isnan(np.diag(self._covariance))
        known = np.where(np.isnan(self._covariance), 0.0, self._covariance)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", ValueWarning)  # of hypotheses that repeat each other
                # With variance at the undefined parameters alone, a hypothesis that does not involve them has none.
                involved = np.any(self._statsmodels(np.diag(undefined.astype(np.float64))).t_test(hypothesis).sd > 0)
                found = None if involved else getattr(self._statsmodels(known), test)(hypothesis, **options)
        except Exception as error:  # noqa: BLE001 - the grammar behind statsmodels raises many types for one cause
            raise SpecificationError(
                f"The hypothesis {written(hypothesis)} cannot be read or tested ({str(error).splitlines()[0]}). The "
                f"parameters are {', '.join(self._names)}."
            ) from None
        if found is None:
            names = ", ".join(self._names[undefined])
            raise SpecificationError(
                f"The hypothesis {hypothesis!r} involves {names}, whose standard error is "
                "undefined: test parameters that have one, or ask another covariance with with_cov."
            )
        return found

    def _statsmodels(self, covariance: FloatArray) -> Any:
        """A statsmodels result on our estimates and some covariance."""
        from statsmodels.base.model import LikelihoodModelResults

        found = LikelihoodModelResults(_StatsmodelsNames(list(self._names)), self._fit.theta, covariance, scale=1.0)
        found.df_resid = self.df_resid
        return found

    # --- prediction and files ----------------------------------------------------------------------------------------

    @overload
    def predict(self, data: ChoiceData | None = None, *, path: None = None) -> pd.Series[float]: ...

    @overload
    def predict(self, data: ChoiceData | None = None, *, path: str | os.PathLike[str]) -> None: ...

    def predict(
        self, data: ChoiceData | None = None, *, path: str | os.PathLike[str] | None = None
    ) -> pd.Series[float] | None:
        """Predict choice probabilities.

        Parameters
        ----------
        data : ChoiceData, optional
            Other data, with or without choices; default the estimation data.
        path : path-like, optional
            A Parquet file to write them to, a part at a time, with the columns of situation, person and alternative.

        Returns
        -------
        Series or None
            On the index of the data's long table, in its order; sums to one within each situation. None where they are
            written to a file.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> result.predict().head(4).round(3).to_list()
        [0.08, 0.371, 0.168, 0.381]
        >>> dearer = data.assign(gc=lambda d: d["gc"] + 10 * (d["mode"] == "car"))
        >>> result.predict(dearer).head(4).round(3).to_list()
        [0.085, 0.393, 0.178, 0.344]
        """
        if data is None:
            data = self._require_data("predict() without data")
        elif not isinstance(data, ChoiceData):
            raise SpecificationError(
                f"predict takes a ChoiceData, not {type(data).__name__}: read the table with ChoiceData.from_long(..., "
                "choice=None) or from_wide(..., choice=None)."
            )
        data.require_whole_sets("predict")
        if path is not None:
            target = target_of(path, (".parquet",), "the predictions")
            data.require_other_file(target)
            self._predict_to(data, target)
            return None
        return self.model.probabilities(self.params, data)

    def _predict_to(self, data: ChoiceData, path: Path) -> None:
        """Write probabilities to a Parquet file, section by section."""
        roles = data.roles
        names = [n for n in dict.fromkeys([roles.person, *roles.situation, roles.alternative]) if n is not None]
        with TableWriter(path) as writer:
            for section in sections(data.structure):
                part = data.section_data(section)
                found = self.model.probabilities(self.params, part).to_numpy()
                writer.write(part.some_columns(names)[names].assign(probability=found))

    def fingerprint(self) -> str:
        """Hash of the choice sets, choices, persons and weights of the estimation data."""
        return str(self._stored["fingerprint"]) if self.data is None else self.data.fingerprint()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to a JSON file; `choicemodel.load_results` reads it back.

        Parameters
        ----------
        path : path-like

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(Path(folder) / "travel.json")
        ...     loaded = cm.load_results(Path(folder) / "travel.json")
        ...
        >>> loaded.params.equals(result.params)
        True
        """
        storage.write(path, "results", self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data: specification, estimates, covariances and facts of the sample, without the data."""
        fit = {k: v for k, v in vars(self._fit).items() if k not in ("covariances", "ends")}
        beside: dict[str, Any] = {}
        mixing = self.model.heterogeneity_or_none
        if isinstance(mixing, Mixing):
            beside = {"derived": dict(self._derived), "care": self._care(mixing)}
        return {
            "model": self.model.to_dict(),
            "sample": asdict(self.sample),
            "settings": asdict(self.settings),
            "cov_type": self.cov_type,
            "groups": self.groups,
            "fit": fit,
            "covariances": dict(self._fit.covariances),
            "covariance": self._covariance,
            "ll_constants": self.ll_constants,
            "never_chosen": self._null[1],
            "fingerprint": self.fingerprint(),
            **beside,
            "noise": None if self._noise is None else self._noise._asdict(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], model: FittedModel) -> ChoiceResults:
        """Rebuild a result, without its data, from what `to_dict` gave."""
        stored = {k: content[k] for k in ("ll_constants", "never_chosen", "fingerprint")}
        stored |= {k: content[k] for k in ("derived", "care") if k in content}
        return cls(
            model=model,
            data=None,
            sample=Sample(**content["sample"]),
            settings=FitSettings(**content["settings"]),
            cov_type=content["cov_type"],
            groups=content["groups"],
            _fit=Fit(**content["fit"], covariances=content["covariances"]),
            _covariance=content["covariance"],
            _stored=stored,
            _noise=None if content.get("noise") is None else Noise(**content["noise"]),
        )

    # --- tables ------------------------------------------------------------------------------------------------------

    def summary(
        self,
        alpha: float = 0.05,
        *,
        digits: Digits | None = None,
        stars: Stars = False,
        names: Names | None = None,
        groups: Groups | None = None,
    ) -> Table:
        """Summarise the fit as a table.

        Parameters
        ----------
        alpha : float
            Intervals have level 1 - alpha.
        digits : int, str or callable, optional
            Digits that count in estimates, standard errors and limits, at least; or a format specification such as
            ``".3f"``, or a function that writes a number. Default: four digits.
        stars : bool or sequence of float
            Levels of p, below each of which an estimate gets a star; True for 0.05, 0.01 and 0.001.
        names : dict, optional
            What parameters are called, such as ``{"gc": "Generalised cost"}``; the others keep their names.
        groups : dict, optional
            Headings with the parameters below them, such as ``{"Level of service": ["gc", "ttme"]}``. Parameters in no
            group come last.

        Returns
        -------
        Table
            Prints as text; ``as_latex()``, ``as_html()``, ``as_markdown()`` and ``as_csv()`` write it otherwise, and
            ``save(path)`` writes files, Excel and Word among them.

        Raises
        ------
        SpecificationError
            If an option cannot be read, or names parameters that there are not.

        Examples
        --------
        >>> import choicemodel as cm
        >>> data = cm.ChoiceData.from_long(
        ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
        ... )
        >>> result = cm.MultinomialLogit(data, "gc + ttme", base="car").fit()
        >>> summary = result.summary(digits=3)
        >>> print(summary.as_text().splitlines()[0].strip())
        Multinomial logit
        >>> print(summary.as_markdown().splitlines()[0])
        **Multinomial logit**
        """
        shown = layout(list(self._names), digits=digits, stars=stars, names=names, groups=groups)
        return summary_of(self, alpha, shown)

    def who(self) -> Who:
        """Over whom coefficients vary, where they do."""
        s = self.sample
        return Who(s.n_persons, s.nobs if s.n_informative is None else s.n_informative, s.n_units, s.unit)

    def _care(self, mixing: Mixing) -> list[str]:
        """What a reader should know of the heterogeneity; it may rest on covariates of persons: a file holds it."""
        if self.data is None and "care" in self._stored:
            return list(self._stored["care"])
        covariates = mixing.covariates(self.data) if self.data is not None and mixing.names else None
        return care_in_words(mixing, self._fit.theta, self.who(), covariates)

    if not TYPE_CHECKING:  # a type checker should still see what is no attribute

        def __getattr__(self, name: str) -> Any:
            if meant := _MEANT.get(name):
                raise AttributeError(f"A result has no `{name}`: {meant}.", name=name, obj=self)
            return object.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        return for_users(super().__dir__(), _INTERNAL)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "NOT converged"
        return (
            f"<ChoiceResults: {self.model.title}, {self.df_model} parameters, {self.nobs:,} {self.sample.noun}s, "
            f"log-likelihood "
            f"{self.llf:.4f}, {state}>"
        )

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def _of_white(cov_type: Any) -> bool:
    """Whether this is what statsmodels calls one of White's covariances."""
    return isinstance(cov_type, str) and cov_type.upper() in ("HC0", "HC1", "HC2", "HC3", "WHITE", "SANDWICH")


def _read_noise(covariance: pd.DataFrame | FloatArray, names: pd.Index[str]) -> FloatArray:
    """Read a covariance of the parameters (K, K), by name or in order.

    Raises
    ------
    SpecificationError
    """
    if isinstance(covariance, pd.DataFrame):
        if set(covariance.index) != set(names) or set(covariance.columns) != set(names):
            raise SpecificationError(f"The covariance must have a row and a column for each of {', '.join(names)}.")
        covariance = covariance.loc[list(names), list(names)].to_numpy(dtype=np.float64)
    values = read_numbers(covariance, "The covariance")
    if values.shape != (len(names),) * 2 or not np.isfinite(values).all() or not np.allclose(values, values.T):
        raise SpecificationError(
            f"The covariance must be a symmetric matrix of finite numbers with {len(names)} rows, one for each "
            "parameter."
        )
    if np.linalg.eigvalsh(values).min(initial=0.0) < -1e-8 * max(np.abs(values).max(), 1e-300):
        raise SpecificationError("The covariance has a negative variance in some direction, so that it is none.")
    return values


class _StatsmodelsNames:
    """The little that statsmodels' tests ask of a model: the names of its parameters."""

    def __init__(self, names: list[str]) -> None:
        self.exog_names = names
        self.data = self
        self.cov_names = self.param_names = self.xnames = names
        self.endog_names = "choice"
