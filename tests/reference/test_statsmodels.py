"""The logit against statsmodels, on cases that both can fit."""

import numpy as np
import pytest
from statsmodels.discrete.conditional_models import ConditionalLogit
from statsmodels.discrete.discrete_model import Logit, MNLogit

import choicemodel as cm


def test_conditional_logit() -> None:
    frame = cm.datasets.travel_mode()
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    ours = cm.MultinomialLogit(data, "gc + ttme + invt | 0").fit()
    # with one success in each group the conditional likelihood is that of the conditional logit
    theirs = ConditionalLogit(
        frame.choice.to_numpy(), frame[["gc", "ttme", "invt"]], groups=frame.individual.to_numpy()
    ).fit(method="newton", disp=False)
    assert ours.llf == pytest.approx(theirs.llf, rel=1e-9)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-6)
    np.testing.assert_allclose(ours.bse, theirs.bse, rtol=1e-5)


def test_covariates_only_are_the_multinomial_logit() -> None:
    frame = cm.datasets.travel_mode()
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    ours = cm.MultinomialLogit(data, "0 | hinc").fit()
    chosen = frame[frame.choice == 1]
    codes = chosen["mode"].map({"air": 0, "bus": 1, "car": 2, "train": 3}).to_numpy()
    exog = np.column_stack([np.ones(len(chosen)), chosen.hinc])
    theirs = MNLogit(codes, exog).fit(disp=False, method="newton")
    assert ours.llf == pytest.approx(theirs.llf, rel=1e-9)
    assert ours.ll_constants == pytest.approx(theirs.llnull, rel=1e-9)
    assert ours.prsquared == pytest.approx(theirs.prsquared, rel=1e-9)
    assert ours.aic == pytest.approx(theirs.aic)
    assert ours.bic == pytest.approx(theirs.bic)
    names = [f"{kind}[{mode}]" for mode in ("bus", "car", "train") for kind in ("ASC", "hinc")]
    np.testing.assert_allclose(ours.params[names], np.asarray(theirs.params).T.ravel(), rtol=1e-5)
    np.testing.assert_allclose(ours.bse[names], np.asarray(theirs.bse).T.ravel(), rtol=1e-5)


def test_two_alternatives_are_the_binary_logit_with_its_robust_covariance() -> None:
    frame = cm.datasets.travel_mode().query("mode in ['car', 'bus']")
    frame = frame[frame.groupby("individual").choice.transform("sum") == 1]
    data = cm.ChoiceData.from_long(frame, situation="individual", alternative="mode", choice="choice")
    ours = cm.MultinomialLogit(data, "gc + ttme", base="bus").fit()
    wide = frame.pivot_table(index="individual", columns="mode", values=["gc", "ttme", "choice"])
    difference = np.column_stack([wide[c]["car"] - wide[c]["bus"] for c in ("gc", "ttme")])
    exog = np.column_stack([difference, np.ones(len(wide))])
    binary = Logit(wide["choice"]["car"].to_numpy(), exog)
    theirs = binary.fit(disp=False, method="newton", tol=1e-10)
    names = ["gc", "ttme", "ASC[car]"]
    np.testing.assert_allclose(ours.params[names], theirs.params, rtol=1e-6)
    np.testing.assert_allclose(ours.bse[names], theirs.bse, rtol=1e-6)
    # HC0 has no small-sample factor either
    robust = binary.fit(disp=False, method="newton", tol=1e-10, cov_type="HC0")
    np.testing.assert_allclose(ours.with_cov("robust").bse[names], robust.bse, rtol=1e-6)
