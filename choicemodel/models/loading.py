"""Results that were saved, read again."""

from __future__ import annotations

import os

import numpy as np

from choicemodel import storage
from choicemodel.exceptions import ChoiceModelError
from choicemodel.models.choice_model import ChoiceModel
from choicemodel.results import ChoiceResults
from choicemodel.utility.terms import parse_formula


def load_results(path: str | os.PathLike[str]) -> ChoiceResults:
    """Read a result that was saved; no code runs, and the data are not in the file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    ChoiceResults
        Can predict on data that it is given; its ``data`` is None.

    Raises
    ------
    ResultFileError
        If the file is missing, truncated, edited, foreign, or from a newer version.

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
    >>> loaded
    <ChoiceResults: Multinomial logit, 5 parameters, 210 situations, log-likelihood -199.9766, converged>
    >>> loaded.data is None, loaded.predict(data).equals(result.predict(data))
    (True, True)
    """
    content = storage.read(path, "results")
    try:
        with np.errstate(all="ignore"):
            model = ChoiceModel.from_dict(content["model"])
            result = ChoiceResults.from_dict(content, model)
            result.summary().as_text()  # looks at every part, so that what does not fit shows here
            shapes = {np.shape(covariance) for covariance in content["covariances"].values()}
            if shapes != {(len(result.params),) * 2} or np.isinf(result.cov_params().to_numpy()).any():
                raise ValueError(f"covariances of shapes {shapes}, or infinite ones")
            parse_formula(model.formula)
            storage.encode(result.to_dict())
    except ChoiceModelError:
        raise
    except Exception as error:  # noqa: BLE001 - the checksum holds, so somebody made this up, and anything may be wrong
        raise storage.made_up(path, "result", error) from None
    return result
