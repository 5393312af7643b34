"""What each person is like, given what the person chose: posteriors of random coefficients and of classes.

With l_ur the probability of all choices of person u at point r and w_ur its weight, the posterior of the point is
h_ur = w_ur l_ur / sum_s w_us l_us, and the conditional mean of a coefficient sum_r h_ur beta_ur (Revelt and Train 2000;
Train 2009, chapter 11). Parameters are taken as known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.analysis.bootstrap import estimates_of
from choicemodel.analysis.effects import model_and_data
from choicemodel.arguments import require
from choicemodel.data import ChoiceData
from choicemodel.data.codes import plain_label
from choicemodel.data.keys import unit_keys
from choicemodel.estimation.executor import executor
from choicemodel.estimation.fit import likelihood_of
from choicemodel.estimation.mixed import MixedLikelihood
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.person_draws import SurveyFacts
from choicemodel.estimation.prediction import mean_probabilities
from choicemodel.exceptions import SpecificationError
from choicemodel.heterogeneity.class_mixture import ClassMixture
from choicemodel.heterogeneity.latent_classes import ClassTastes
from choicemodel.models import ChoiceModel
from choicemodel.results import ChoiceResults

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Numbers in one piece of work.
_PIECE = 2_000_000


def individual_coefficients(result: ChoiceResults, data: ChoiceData | None = None) -> pd.DataFrame:
    """Compute the mean and standard deviation of each person's coefficients, given the person's choices.

    With latent classes, also the probability that the person belongs to each of them (Bayes' rule). Conditional means
    vary less than the coefficients themselves do: their variance and the mean of the conditional variances add up to
    that of the population. Where they vary within persons too (`within=True`), they are those of what a person has on
    average over situations.

    Parameters
    ----------
    result : ChoiceResults
        Of a model in which coefficients vary over persons.
    data : ChoiceData, optional
        Persons with choices; default those of the estimation.

    Returns
    -------
    DataFrame
        A row for each person (situation, where no persons are declared), columns (coefficient, ``mean`` or ``sd``), and
        with latent classes (``class 1``, ``probability``), (``class 2``, ``probability``), ..., which sum to one.

    Raises
    ------
    SpecificationError
        If everybody has the same coefficients, or a loaded result comes without data.

    Examples
    --------
    >>> import choicemodel as cm
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.electricity(), situation="chid", alternative="alt", choice="choice", person="id"
    ... )
    >>> draws = cm.Draws("sobol", 64, rng=0)
    >>> result = cm.MixedLogit(data, "pf + cl + tod + seas | 0", {"cl": "normal"}, draws=draws).fit()
    >>> cm.individual_coefficients(result).shape
    (361, 2)
    """
    model, data, mixing = _mixture(result, data, "individual_coefficients")
    theta, (posterior, facts) = estimates_of(result), _posterior(result, model, data)
    varying = mixing.tastes.varying
    mean, square = (np.zeros((len(posterior), len(varying))) for _ in range(2))
    step = max(1, _PIECE // max(1, len(varying) * posterior.shape[1]))
    for start in range(0, len(posterior), step):
        units = np.arange(start, min(start + step, len(posterior)))
        beta = mixing.person_points(theta, facts.of(units)).beta
        beta = np.broadcast_to(beta, (len(units), *beta.shape[1:]))
        mean[units] = np.einsum("ur,uvr->uv", posterior[units], beta)
        square[units] = np.einsum("ur,uvr->uv", posterior[units], (beta - mean[units][:, :, np.newaxis]) ** 2)
    names = [model.columns[k].name for k in varying]
    of_classes = class_probabilities(mixing, posterior)  # (U, C)
    columns = [(name, what) for name in names for what in ("mean", "sd")]
    columns += [(f"class {c + 1}", "probability") for c in range(of_classes.shape[1])]
    table = np.stack([mean, np.sqrt(square)], axis=2).reshape(len(mean), -1)
    found = np.hstack([table, of_classes])
    return pd.DataFrame(found, index=_labels(data), columns=pd.MultiIndex.from_tuples(columns))


def class_probabilities(mixing: Mixing, posterior: FloatArray) -> FloatArray:
    """Posterior of the classes (U, C) from that of the points (U, R); no columns where there are no classes."""
    tastes = mixing.tastes
    if isinstance(tastes, ClassTastes):
        return posterior
    if isinstance(tastes, ClassMixture):
        return np.asarray(np.add.reduceat(posterior, [w.points.start for w in tastes.within], axis=1))
    return np.empty((len(posterior), 0))


def individual_probabilities(result: ChoiceResults, data: ChoiceData | None = None) -> pd.Series[float]:
    """Predict choice probabilities of persons whose earlier choices are known.

    Probabilities at each point are averaged with the posterior of the person's points, given the choices that the model
    was estimated from.

    Parameters
    ----------
    result : ChoiceResults
        Of a model in which coefficients vary over persons.
    data : ChoiceData, optional
        Situations of persons who are in the estimation data, known by their label; default the estimation data.

    Returns
    -------
    Series
        On the index of the data's long table.

    Raises
    ------
    SpecificationError
        If a person is not in the estimation data.

    Examples
    --------
    >>> import choicemodel as cm
    >>> few = cm.datasets.electricity().query("id <= 40")
    >>> data = cm.ChoiceData.from_long(few, situation="chid", alternative="alt", choice="choice", person="id")
    >>> mixed = cm.MixedLogit(data, "pf + cl + loc | 0", {"loc": "normal"}, draws=cm.Draws("sobol", 32, rng=0)).fit()
    >>> cm.individual_probabilities(mixed).head(4).round(2).to_list()
    [0.18, 0.53, 0.17, 0.13]
    >>> mixed.predict().head(4).round(2).to_list()  # of somebody whose choices are not known
    [0.2, 0.46, 0.19, 0.14]
    """
    model, known, mixing = _mixture(result, None, "individual_probabilities")
    data = known if data is None else data
    require(data, ChoiceData, "data=", "ChoiceData")
    position = pd.Series(np.arange(known.structure.n_units), index=unit_keys(known, 0))
    found = position.reindex(unit_keys(data, 0)).to_numpy()
    if np.isnan(found).any():
        unit = plain_label(_labels(data)[int(np.isnan(found).argmax())])
        raise SpecificationError(
            f"{int(np.isnan(found).sum())} persons, such as {unit!r}, are not in the data that the "
            "model was estimated from, so nothing is known of them: use predict, which averages over all tastes."
        )
    (posterior, facts), of = _posterior(result, model, known), found.astype(np.int64)
    placed = None
    if facts.placed is not None:
        placed = SurveyFacts(None, mixing.covariates(data), data.structure.unit, None, facts.placed.some(of))
    theta, design = estimates_of(result), model.design_on(data)
    P = mean_probabilities(theta, design, (model.errors, mixing), lambda units: posterior[of[units]], placed)
    return pd.Series(P, index=data.index, name="probability")


def _mixture(result: ChoiceResults, data: ChoiceData | None, what: str) -> tuple[ChoiceModel, ChoiceData, Mixing]:
    given = result.data if data is None and isinstance(result, ChoiceResults) else data
    model = model_and_data(result, data, what)[0]
    if not isinstance(model.mixing, Mixing):
        raise SpecificationError(
            f"{what} is for models in which coefficients vary over persons; in this {model.title.lower()} everybody "
            "has the same. Fit a MixedLogit or a LatentClassLogit, or use predict."
        )
    assert given is not None  # noqa: S101 - refused by model_and_data
    return model, given, model.mixing  # all answers of a ranking say what a person is like


def _posterior(result: ChoiceResults, model: ChoiceModel, data: ChoiceData) -> tuple[FloatArray, SurveyFacts]:
    """Posterior of the points of each unit (U, R), the weights themselves where a unit says nothing; and the points."""
    mixing: Any = model.mixing
    with executor(result.settings.threads) as pool:
        theta = estimates_of(result)
        likelihood: Any = likelihood_of(model.composition(model.design_on(data)), pool, at=theta)
        found: FloatArray = likelihood.posterior(theta)
    own = isinstance(likelihood, MixedLikelihood)
    facts: SurveyFacts = likelihood.facts if own else mixing.facts(data)
    silent = np.flatnonzero(np.isnan(found).any(axis=1))
    if len(silent):
        found[silent] = np.exp(mixing.person_points(theta, facts.of(silent)).log_weights)
    return found, facts


def _labels(data: ChoiceData) -> pd.Index[Any]:
    """Labels of the units."""
    s, rows = data.structure, data.structure.first_rows()
    name = data.roles.person
    if name is None:  # the answers of an occasion are one unit, in the order of the occasions
        whole = data.first_choices()
        return pd.Index([whole.name_of(i) for i in range(s.n_units)], name="situation")
    values = data.column(name).to_numpy(dtype=object)[rows]
    out = np.empty(s.n_units, dtype=object)
    out[s.unit] = values
    labels: pd.Index[Any] = pd.Index([plain_label(v) for v in out], name=name)
    return labels
