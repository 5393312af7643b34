"""What a result asks of its model."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodel.data import ChoiceData
from choicemodel.estimation.mixing import Mixing
from choicemodel.estimation.parameters import Parameters
from choicemodel.heterogeneity import Homogeneous
from choicemodel.random_utility import Derived, ErrorDistribution

FloatArray = NDArray[np.float64]


class FittedModel(Protocol):
    """What a result asks of its model."""

    @property
    def errors(self) -> ErrorDistribution: ...  # noqa: D102 - protocol
    @property
    def parameters(self) -> Parameters: ...  # noqa: D102 - protocol
    @property
    def mixes(self) -> bool: ...  # noqa: D102 - protocol
    @property
    def heterogeneity_or_none(self) -> Homogeneous | Mixing: ...  # noqa: D102 - protocol
    def derived_numbers(self, theta: FloatArray) -> Derived: ...  # noqa: D102 - protocol
    @property
    def alternatives(self) -> tuple[Any, ...]: ...  # noqa: D102 - protocol
    @property
    def title(self) -> str: ...  # noqa: D102 - protocol
    @property
    def formula(self) -> str: ...  # noqa: D102 - protocol
    @property
    def base(self) -> Any: ...  # noqa: D102 - protocol
    @property
    def full_constants(self) -> bool: ...  # noqa: D102 - protocol
    def probabilities(self, params: Any, data: ChoiceData | None = None) -> pd.Series[float]: ...  # noqa: D102 - protocol
    def unit_scores(self, params: Any) -> FloatArray: ...  # noqa: D102 - protocol
    def to_dict(self) -> dict[str, Any]: ...  # noqa: D102 - protocol
