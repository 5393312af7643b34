"""Draw the figures of the theory pages, one function each.

`build(folder)` writes them all as SVG, and is what the documentation calls before it reads the pages; by hand:

    python docs/theory/figures.py            # into docs/theory/figures/
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import choicemodel as cm
from choicemodel.report.style import INK, MUTED, look

GAMMA, SD = float(np.euler_gamma), float(np.pi / np.sqrt(6))


def panels(number: int = 2, height: float = 68.0) -> tuple[Any, Any]:
    """A figure of so many panels side by side."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, number, layout="constrained", figsize=(plt.rcParams["figure.figsize"][0], height / 25.4)
    )
    return figure, axes


def curve(ax: Any, x: Any, y: Any, position: int = 0, label: str | None = None, **how: Any) -> None:
    own = look(position)
    ax.plot(x, y, **{"color": own.color, "linestyle": own.linestyle, "label": label, **how})


def gumbel_density(x: np.ndarray) -> np.ndarray:
    return np.exp(-x - np.exp(-x))


# --- the pages -------------------------------------------------------------------------------------------------------


def random_utility() -> Any:
    figure, (left, right) = panels()
    e = np.linspace(-2.5, 5, 120)
    one, two = np.meshgrid(e, e)
    f = gumbel_density(one) * gumbel_density(two)
    left.contour(one, two, f, levels=[0.003, 0.01, 0.03, 0.06, 0.1, 0.13], colors=MUTED, linewidths=0.7)
    left.plot(e, e + 1, color=INK)
    left.fill_between(e, e + 1, 5, color=look(1).color, alpha=0.25, linewidth=0)
    left.fill_between(e, -2.5, np.minimum(e + 1, 5), color=look(0).color, alpha=0.15, linewidth=0)
    left.text(-1.9, 4.1, "2 is chosen")
    left.text(2.2, -1.7, "1 is chosen")
    left.set(xlim=(-2.5, 5), ylim=(-2.5, 5), xlabel="error of alternative 1", ylabel="error of alternative 2")
    d = np.linspace(-7, 7, 281)  # 1 is among them
    density = np.exp(-d) / (1 + np.exp(-d)) ** 2
    curve(right, d, density, color=INK)
    for side, position in ((d <= 1, 0), (d >= 1, 1)):
        right.fill_between(d[side], density[side], color=look(position).color, alpha=0.25, linewidth=0)
    right.text(-0.5, 0.07, "1 is chosen\n0.731", ha="center")
    right.annotate(
        "2 is chosen\n0.269", (1.9, 0.08), (4.2, 0.16), ha="center", arrowprops={"arrowstyle": "-", "lw": 0.6}
    )
    right.set(xlabel="error of 2 less error of 1", ylabel="density", ylim=(0, None))
    return figure


def gumbel() -> Any:
    figure, (left, middle, right) = panels(3)
    e = cm.Gumbel().sample((4, 40_000), np.empty(0), None, np.random.default_rng(1))
    x = np.linspace(-3, 6, 400)
    bars: dict[str, Any] = {"density": True, "color": look(5).color, "alpha": 0.5}
    left.hist(e[0], bins=np.linspace(-3, 6, 46), **bars)
    curve(left, x, gumbel_density(x), color=INK)
    for value, name, place in ((0.0, "mode", 0.41), (-np.log(np.log(2)), "median", 0.385), (GAMMA, "mean", 0.36)):
        left.plot([value, value], [0, gumbel_density(np.array(value))], color=look(6).color, linewidth=0.8)
        left.annotate(f"{name} {value:.2f}", (value, gumbel_density(np.array(value))), (2.2, place - 0.045), fontsize=7)
    left.set(xlabel="error", ylabel="density", ylim=(0, 0.42))
    d = np.linspace(-7, 7, 400)
    middle.hist(e[0] - e[1], bins=np.linspace(-7, 7, 46), **bars)
    curve(middle, d, np.exp(-d) / (1 + np.exp(-d)) ** 2, color=INK, label="logistic")
    wide = np.pi / np.sqrt(3)
    normal = np.exp(-0.5 * (d / wide) ** 2) / (wide * np.sqrt(2 * np.pi))
    curve(middle, d, normal, 6, label="normal", linestyle="--")
    middle.set(xlabel="difference of two errors", ylim=(0, 0.31))
    middle.legend(loc="upper right", handlelength=1.8)
    V, u = np.array([1.0, 0.5, -0.5]), np.linspace(-3.5, 7, 400)
    logsum = float(cm.logsum(V))
    right.hist((V[:, np.newaxis] + e[:3]).max(axis=0), bins=np.linspace(-3.5, 7, 46), **bars)
    for j, v in enumerate(V):
        curve(right, u, gumbel_density(u - v), color=MUTED, linewidth=0.7, label="each" if j == 0 else None)
    curve(right, u, gumbel_density(u - logsum), color=INK, label="maximum")
    right.set(xlabel="utility", ylim=(0, 0.5))
    right.legend(loc="upper right", handlelength=1.8)
    return figure


def logit() -> Any:
    figure, (left, right) = panels()
    rng = np.random.default_rng(4)
    x = rng.normal(size=60)
    y = x + 0.5 + rng.logistic(size=60) > 0
    b = np.linspace(-1, 4, 1001)
    V = b[:, np.newaxis] * x + 0.5
    hits = ((V > 0) == y).mean(axis=1)
    loglike = -np.logaddexp(0, np.where(y, -V, V)).mean(axis=1)
    curve(left, b, hits, 1, linestyle="-", drawstyle="steps-mid")
    left.set(xlabel="coefficient", ylabel="share of right predictions", ylim=(0.3, 1.0))
    left.yaxis.label.set_color("#9a6500")
    other = left.twinx()
    curve(other, b, loglike)
    other.plot(b[loglike.argmax()], loglike.max(), "o", color=look(0).color)
    other.set_ylabel("mean log-likelihood", color=look(0).color)
    other.spines["right"].set_visible(True)
    d = np.linspace(-4, 4, 401)
    for position, tau in enumerate((0.25, 1.0, 3.0)):
        curve(right, d, cm.softmax(np.stack([d / tau, 0 * d], axis=1))[:, 0], position, rf"$\tau$ = {tau:g}")
    right.plot([-4, 0, 0, 4], [0, 0, 1, 1], color=MUTED, linewidth=0.7, label="argmax")
    right.set(xlabel=r"$V_1 - V_2$", ylabel="probability of the first")
    right.legend(loc="upper left")
    return figure


def travel_mode() -> cm.ChoiceData:
    return cm.ChoiceData.from_long(
        cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    )


def location_and_scale() -> Any:
    figure, (left, right) = panels()
    result = cm.MultinomialLogit(travel_mode(), "gc + ttme", base="car").fit()
    V = np.log(result.predict().to_numpy()).reshape(210, 4)  # up to a constant, which is the point
    chosen = travel_mode().frame["choice"].to_numpy(dtype=bool).reshape(210, 4)
    c, alpha = np.linspace(-3, 3, 41), np.linspace(0, 3, 121)
    curve(left, c, [cm.log_softmax(V + value)[chosen].sum() for value in c])
    ray = [result.model.evaluate(result.params * a).value for a in alpha]
    curve(right, alpha, ray)
    right.plot(1, result.llf, "o", color=look(0).color)
    right.axhline(result.ll_zero, color=MUTED, linewidth=0.7)
    right.text(1.9, result.ll_zero - 4, "equal shares", va="top", color=MUTED, fontsize=7)
    for ax, name in ((left, "constant $c$ added to every utility"), (right, r"factor $\alpha$ of every coefficient")):
        ax.set(xlabel=name, ylim=(-320, -185))
    left.set_ylabel("log-likelihood")
    return figure


def iia() -> Any:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(layout="constrained", figsize=(110 / 25.4, 68 / 25.4))
    lam = np.linspace(0.001, 1, 200)
    curve(ax, lam, 1 / (1 + 2**lam))
    buses, n = cm.Nested({"bus": ["red", "blue"]}).on(["car", "red", "blue"]), 100_000
    sets = buses.prepare(np.arange(3, dtype=np.int32))
    rng = np.random.default_rng(1)
    for value in np.linspace(0.1, 1, 10):
        e = buses.sample((3, n), np.array([value]), sets, rng)
        ax.plot(value, np.mean(e.argmax(axis=0) == 0), "o", color=look(6).color)
    for level, name, place in ((1 / 2, "what everybody expects of equal buses", 0.25), (1 / 3, "logit", 0.25)):
        ax.axhline(level, color=MUTED, linewidth=0.7)
        ax.text(place, level + 0.005, name, color=MUTED, fontsize=7)
    ax.set(xlabel=r"dissimilarity $\lambda$ of the two buses", ylabel="share of the car", ylim=(0.3, 0.53))
    return figure


def surplus() -> Any:
    figure, (left, right) = panels()
    V = np.linspace(-3, 3, 301)
    curve(left, V, np.logaddexp(V, 0), label="logsum")
    left.plot(V, np.maximum(V, 0), color=INK, linewidth=0.8, label="larger V")
    P = 1 / (1 + np.exp(-0.5))
    near = np.linspace(-1.2, 2.4, 2)
    curve(left, near, np.logaddexp(0.5, 0) + P * (near - 0.5), 1, f"slope {P:.2f}", linestyle="--")
    left.plot(0.5, np.logaddexp(0.5, 0), "o", color=look(1).color)
    left.set(xlabel=r"$V_1$, with $V_2 = 0$", ylabel="utility", ylim=(-0.6, 3.2))
    left.legend(loc="upper left")
    price = np.linspace(0, 5, 301)
    demand = 1 / (1 + np.exp(price - 2))
    at = (price >= 1) & (price <= 4)
    curve(right, price, demand)
    right.fill_between(price[at], demand[at], color=look(0).color, alpha=0.2, linewidth=0)
    ends = np.array([1.0, 4.0])
    right.plot(ends, 1 / (1 + np.exp(ends - 2)), color=look(1).color, linestyle="--")
    for end in ends:
        right.plot([end, end], [0, 1 / (1 + np.exp(end - 2))], color=INK, linewidth=0.7)
    right.set(xlabel="price", ylabel="probability of the alternative", ylim=(0, 1))
    return figure


def likelihood() -> Any:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(layout="constrained", figsize=(110 / 25.4, 75 / 25.4))
    model = cm.MultinomialLogit(travel_mode(), "gc + ttme | 0")
    path = [np.zeros(2)]
    for _ in range(6):
        found = model.evaluate(path[-1], hessian=True)
        path.append(path[-1] - np.linalg.solve(found.hessian, found.score))
    steps = np.array(path)
    top = model.evaluate(steps[-1]).value
    x, y = np.linspace(-0.03, 0.01, 61), np.linspace(-0.04, 0.01, 61)
    value = np.array([[model.evaluate([a, b]).value - top for a in x] for b in y])
    lines = ax.contour(x, y, value, levels=[-30, -10, -3, -1], colors=MUTED, linewidths=0.8, linestyles="-")
    ax.clabel(lines, fmt=lambda level: f"{-level:g}", fontsize=6)
    curve(ax, steps[:, 0], steps[:, 1], 0, marker="o", markersize=3)
    ax.annotate("start", steps[0], (-6, 6), ha="right", textcoords="offset points")
    ax.set(xlabel="coefficient of cost (gc)", ylabel="coefficient of waiting (ttme)")
    return figure


def gev() -> Any:
    figure, axes = panels(3, 72.0)
    e = np.linspace(-2.2, 4.5, 150)
    one, two = np.meshgrid(e, e)
    for ax, lam in zip(axes, (1.0, 0.5, 0.2), strict=True):
        t1, t2 = np.exp(-one / lam), np.exp(-two / lam)
        S = t1 + t2
        f = np.exp(-(S**lam)) * t1 * t2 * (S ** (2 * lam - 2) + (1 / lam - 1) * S ** (lam - 2))
        ax.contour(one, two, f, levels=[0.003, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4], colors=look(0).color, linewidths=0.8)
        ax.set_title(rf"$\lambda$ = {lam:g}, correlation {1 - lam**2:.2f}")
        ax.set(xlabel="first error", aspect="equal")
    axes[0].set_ylabel("second error")
    return figure


def mixing() -> Any:
    figure, (left, right) = panels()
    z, w = np.polynomial.hermite_e.hermegauss(200)
    w = w / w.sum()
    sd = np.linspace(0, 4, 81)
    P = 1 / (1 + np.exp(-sd[:, np.newaxis] * z))
    for position, T in enumerate((2, 4, 8)):
        curve(left, sd, P**T @ w, position, f"T = {T}")
        left.axhline(0.5**T, color=look(position).color, linewidth=0.6, linestyle="--")
    left.set(xlabel=r"standard deviation $\sigma$ of tastes", ylabel="same alternative, T times", ylim=(0, 0.5))
    left.legend(loc="upper left")
    rng, people, T = np.random.default_rng(2), 100, 8
    x = rng.normal(size=(people, T))
    y = rng.random((people, T)) < 1 / (1 + np.exp(-(1 + 1.5 * rng.normal(size=(people, 1))) * x))

    def likelihoods(z: np.ndarray) -> np.ndarray:
        V = (1 + 1.5 * z)[..., np.newaxis] * x[:, np.newaxis]
        return np.exp(-np.logaddexp(0, np.where(y[:, np.newaxis], -V, V)).sum(axis=-1))  # (people, draws)

    L = likelihoods(np.broadcast_to(z, (people, 200)))
    exact = L @ w
    relative = (L**2 @ w / exact**2 - 1).sum()
    numbers = np.array([25, 50, 100, 200, 400, 800])
    found = [
        np.mean([np.log(likelihoods(rng.normal(size=(people, R))).mean(axis=1) / exact).sum() for _ in range(50)])
        for R in numbers
    ]
    R = np.geomspace(20, 1000, 50)
    curve(right, R, -relative / (2 * R))
    right.plot(numbers, found, "o", color=look(6).color)
    right.axhline(0, color=MUTED, linewidth=0.6)
    right.set(xscale="log", xlabel="draws", ylabel="bias of the log-likelihood", xticks=numbers)
    right.set_xticklabels([str(n) for n in numbers])
    right.minorticks_off()
    return figure


def covariance() -> Any:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(layout="constrained", figsize=(120 / 25.4, 72 / 25.4))
    rng, answers = np.random.default_rng(3), np.array([1, 2, 4, 8, 12, 16])
    names = ("persons", "answers", "inverse Hessian")
    lines: list[list[float]] = [[], [], []]
    spread = []
    for T in answers:
        x = rng.normal(size=(1000, 200, T))
        beta = 1 + rng.normal(size=(1000, 200, 1))
        y = rng.random(x.shape) < 1 / (1 + np.exp(-beta * x))
        b = np.full(1000, 0.7)
        for _ in range(7):
            P = 1 / (1 + np.exp(-b[:, np.newaxis, np.newaxis] * x))
            s, A = (y - P) * x, (P * (1 - P) * x**2).sum(axis=(1, 2))
            b = b + s.sum(axis=(1, 2)) / A
        spread.append(b.std())
        for line, B in zip(lines, ((s.sum(axis=2) ** 2).sum(axis=1), (s**2).sum(axis=(1, 2)), A), strict=True):
            line.append(float(np.mean(np.sqrt(B) / A)))
    for position, (name, line) in enumerate(zip(names, lines, strict=True)):
        curve(ax, answers, line, position, f"sandwich of {name}" if position < 2 else name)
    ax.plot(answers, spread, "o", color=INK, label="standard deviation of the estimates")
    ax.set(xlabel="answers of each person", ylabel="standard error", ylim=(0, None))
    ax.legend()
    return figure


def identification() -> Any:
    figure, (left, right) = panels()
    a = np.linspace(-2, 2, 121)
    one, two = np.meshgrid(a, a)
    value = -60 * np.logaddexp(0, two - one) - 40 * np.logaddexp(0, one - two)
    top = 60 * np.log(0.6) + 40 * np.log(0.4)
    left.contour(one, two, value - top, levels=[-50, -20, -8, -2, -0.5], colors=MUTED, linewidths=0.8, linestyles="-")
    left.plot(a, a - np.log(1.5), color=look(0).color)
    left.set(
        xlabel="constant of the first", ylabel="constant of the second", xlim=(-2, 2), ylim=(-2, 2), aspect="equal"
    )
    d = np.linspace(-3, 6, 181)
    x, y = np.array([-1.5, -0.5, 0.4, 1.2, 2.0]), np.array([0, 1, 0, 1, 1], dtype=bool)
    for position, (name, sides) in enumerate((("a maximum", y), ("separation: rises for ever", x > 0))):
        V = d[:, np.newaxis] * x
        curve(right, d, -np.logaddexp(0, np.where(sides, -V, V)).sum(axis=1), position, name)
    curve(right, d, np.full(len(d), -5 * np.log(2)), 2, "not identified: flat")
    right.set(xlabel="distance along a direction", ylabel="log-likelihood", ylim=(-12, 0.6))
    right.legend(loc="lower right")
    return figure


FIGURES: dict[str, Callable[[], Any]] = {
    "random-utility": random_utility,
    "gumbel": gumbel,
    "logit": logit,
    "location-and-scale": location_and_scale,
    "iia": iia,
    "surplus": surplus,
    "likelihood": likelihood,
    "gev": gev,
    "mixing": mixing,
    "covariance": covariance,
    "identification": identification,
}


def build(folder: Path, kind: str = "svg") -> list[Path]:
    """Write every figure into a folder, which is made where it is missing; give the files."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in FIGURES.items():
        path = folder / f"{name}.{kind}"
        with cm.plots.style("double"):
            figure = draw()
            # no date, so that the same figure is the same file
            figure.savefig(path, metadata={"Date": None} if kind == "svg" else None, dpi=110)
            plt.close(figure)
        written.append(path)
    return written


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "figures"
    for path in build(where):
        print(path)
