"""The Hausman-McFadden test against a published one.

TravelMode (210 travellers between Sydney and Melbourne), air dropped with the 58 who chose it. Numbers: R 4.2.2, mlogit
1.1.3, ``hmftest``, for "ch ~ gcost + wait (+ income at air)" with constants, base car; Greene (Econometric Analysis)
prints 33.3363 on 4 degrees of freedom for the first. Tolerance 1e-5 relative: the other program's estimates stop before
the last digit.
"""

import numpy as np
import pytest

import choicemodel as cm

CASES = [
    ('gc + ttme + at(hinc, "air")', 33.3366798961722, 1.01912553842303e-06, -199.128368715982),
    ("gc + ttme", 33.2954306859013, 1.03914841675837e-06, -199.976623111878),
]
# the fit without air, the same for both
RESTRICTED = {
    "ASC[train]": 4.46366785145672,
    "ASC[bus]": 3.10474386621712,
    "gc": -0.0636819153242586,
    "ttme": -0.0698778264334295,
}


@pytest.mark.parametrize(("formula", "statistic", "p", "llf"), CASES)
def test_hausman_mcfadden_of_travel_mode(formula, statistic, p, llf):
    data = cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )
    result = cm.MultinomialLogit(data, formula, base="car").fit()
    assert np.isclose(result.llf, llf, rtol=1e-9)
    subset = cm.iia_test(result, drop="air").subsets[0]
    assert np.isclose(subset.hausman, statistic, rtol=1e-5)
    assert np.isclose(subset.hausman_pvalue, p, rtol=1e-4)
    assert subset.df == 4
    assert subset.nobs == 152
    assert set(subset.coefficients.index) == set(RESTRICTED)
    for name, value in RESTRICTED.items():
        assert np.isclose(subset.coefficients.loc[name, "restricted"], value, rtol=1e-5)
