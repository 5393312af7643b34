"""What every test shares: floating-point errors raise, and slow studies can be shortened.

The environment variable `CHOICEMODEL_REPLICATIONS` is the fraction of the replications that the slow tests run, 1 if it
is not set: `CHOICEMODEL_REPLICATIONS=0.1 make test-slow` runs a tenth. A test asks the fixture `replications` for its
number and derives its tolerance from the number it gets. Slow tests that are marked `crossed`, which look at every
model in every way, are then run for a third of the models each, not the same third for all.
"""

import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import settings

# the same examples on every machine and in every run, and no failure because a machine was busy
settings.register_profile("choicemodel", derandomize=True, deadline=None)
settings.load_profile("choicemodel")


_THIRD = 3


def fraction_of_replications() -> float:
    fraction = float(os.environ.get("CHOICEMODEL_REPLICATIONS", "1"))
    if not 0 < fraction <= 1:
        message = f"CHOICEMODEL_REPLICATIONS must be above 0 and at most 1, got {fraction}"
        raise pytest.UsageError(message)
    return fraction


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With fewer replications leave two thirds of the crossed tests out."""
    if fraction_of_replications() == 1:
        return
    number: Counter[str] = Counter()
    kept, left = [], []
    for item in items:
        test = item.nodeid.split("[")[0]
        out = False
        if item.get_closest_marker("crossed") and item.get_closest_marker("slow"):
            out = (number[test] + zlib.crc32(test.encode())) % _THIRD != 0
            number[test] += 1
        (left if out else kept).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(autouse=True)
def floating_point_errors_raise() -> Iterator[None]:
    # an underflow to zero is what exp of a large negative utility should give
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture(autouse=True)
def no_figures_of_others() -> None:
    """Close what examples and other tests drew: tests look whether figures are left open."""
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def replications() -> Callable[..., int]:
    """Return `replications(full, at_least=10)`, the number of replications to run instead of `full`."""
    fraction = fraction_of_replications()

    def number(full: int, at_least: int = 10) -> int:
        return min(full, max(at_least, round(full * fraction)))

    return number
