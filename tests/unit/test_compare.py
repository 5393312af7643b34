"""Models side by side."""

import numpy as np
import pytest

import choicemodel as cm
from choicemodel.estimation.delta import difference_jacobian
from choicemodel.exceptions import SpecificationError
from choicemodel.tables import Table
from tests.unit.surveys import logit, make_frame


@pytest.fixture(scope="module")
def results():
    frame = make_frame()
    frame["person"] = frame.situation // 2
    return [logit(frame, f, person="person").fit() for f in ("x", "x + z", "x + z | income")]


def test_coefficients_are_aligned_by_name(results):
    table = cm.compare(results, ["A", "B", "C"])
    frame = table.to_frame()
    assert list(frame.index) == ["x", "ASC[bus]", "ASC[car]", "z", "income[bus]", "income[car]"]
    for label, result in zip("ABC", results, strict=True):
        assert np.allclose(frame[label, "estimate"].dropna().sort_index(), result.params.sort_index())
        assert np.allclose(frame[label, "std_error"].dropna().sort_index(), result.bse.sort_index())
    assert frame["A", "estimate"].isna().sum() == 3
    assert table.fit.loc["LL", "B"] == results[1].llf
    assert list(table.fit.index) == ["LL", "rho-bar-squared", "AIC", "BIC", "Situations", "Parameters"]


def test_is_a_table_that_writes_itself(results):
    table = cm.compare(results, stars=True)
    assert isinstance(table, Table)
    assert table.summary() is table
    assert str(table) == repr(table) == table.as_text()
    assert r"\toprule" in table.as_latex(label="tab:models")
    assert table._repr_html_().startswith("<div")
    assert "(1) |" in table.as_markdown()
    assert "***" in str(table)
    assert "*" not in str(cm.compare(results))


def test_brackets_follow_show(results):
    plain = [logit(make_frame(), "x").fit()]
    assert f"({plain[0].bse['x']:.4f})"[:6] in str(cm.compare(plain))
    assert f"({plain[0].tvalues['x']:.3f})" in str(cm.compare(plain, show="z"))
    robust = plain[0].with_cov("robust").tvalues["x"]
    assert f"({robust:.3f})" in str(cm.compare(plain, show="robust_z"))
    assert "robust covariance" in " ".join(cm.compare(results).notes)


@pytest.mark.parametrize("scale", ["x", True])
def test_normalised_standard_errors_are_the_delta_methods(results, scale):
    two = results[1:]
    frame = cm.compare(two, ["A", "B"], scale_normalised=scale).to_frame()
    shared = ["x", "z", "ASC[bus]", "ASC[car]"]
    for label, result in zip("AB", two, strict=True):
        names = list(result.params.index)
        where = [names.index("x")] if scale == "x" else [names.index(n) for n in shared]
        theta, V = result.params.to_numpy(), result.cov_params().to_numpy()

        def normalised(b, where=where):
            return b / np.linalg.norm(b[where])

        J = difference_jacobian(normalised, theta, np.sqrt(np.diag(V)))
        found = frame[label].loc[names]
        assert np.allclose(found["estimate"], normalised(theta))
        assert np.allclose(found["std_error"], np.sqrt(np.abs(np.diag(J @ V @ J.T))), atol=1e-7)


def test_the_scale_of_utility_cancels():
    frame = make_frame()
    one = logit(frame, "x + z | 0").fit()
    two = logit(frame.assign(x=frame.x / 3, z=frame.z / 3), "x + z | 0").fit()
    for scale in ("x", True):
        table = cm.compare([one, two], ["A", "B"], scale_normalised=scale).to_frame()
        assert np.allclose(table["A"], table["B"], rtol=1e-5, equal_nan=True)


def test_says_by_what_it_divided(results):
    assert "absolute value of x" in " ".join(cm.compare(results, scale_normalised="x").notes)
    notes = " ".join(cm.compare(results, scale_normalised=True).notes)
    assert "norm of x, ASC[bus], ASC[car] of" in notes
    assert "divided" not in " ".join(cm.compare(results).notes)


def test_fixed_coefficients_are_marked():
    result = logit(make_frame(), "x + z").fit(fixed={"z": 0.0})
    assert "(fixed)" in str(cm.compare([result]))
    assert "(fixed)" not in str(cm.compare([result], scale_normalised="x"))


def test_different_data_are_said(results):
    other = logit(make_frame(seed=1), "x").fit()
    assert "cannot be compared" in " ".join(cm.compare([results[0], other]).notes)


def test_loaded_results_will_do(results, tmp_path):
    results[0].save(tmp_path / "r.json")
    loaded = cm.load_results(tmp_path / "r.json")
    assert str(cm.compare([loaded], show="robust_z")) == str(cm.compare([results[0]], show="robust_z"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["a"]}, "labels"),
        ({"labels": ["a", "a", "b"]}, "labels"),
        ({"labels": "abc"}, "labels"),
        ({"names": ["a", "b", "c"]}, "models are called is labels="),
        ({"names": {"xx": "A"}}, "Did you mean x"),
        ({"show": "t"}, "show"),
        ({"scale_normalised": "z"}, "no coefficient of model"),
    ],
)
def test_wrong_options_are_refused(results, options, message):
    with pytest.raises(SpecificationError, match=message):
        cm.compare(results, **options)


def test_what_is_no_result_is_refused(results):
    with pytest.raises(SpecificationError, match="fit the models"):
        cm.compare([results[0].model])
    with pytest.raises(SpecificationError, match="at least one"):
        cm.compare([])
    other = logit(make_frame(), "z | 0").fit()
    with pytest.raises(SpecificationError, match="no coefficient in common"):
        cm.compare([results[0], other], scale_normalised=True)
