"""Nests as a picture: the tree of a nested logit, and which alternatives share which nests in a cross-nested one.

Places are in millimetres, so that room for a text can be told before it is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from choicemodel.exceptions import SpecificationError
from choicemodel.models import ChoiceModel
from choicemodel.random_utility import CrossNested, Nested, Scaled
from choicemodel.random_utility.nests import Nest
from choicemodel.report.naming import check_names
from choicemodel.report.style import INK, LINE, axes_or_new, lay_out, look, number_of, root, text_of
from choicemodel.results import ChoiceResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Names = Mapping[Any, str]
Ruler = Callable[[str], float]

_SIZE = 7.0  # of letters, in points
_MM = 1 / 25.4
_PAD = 1.4  # between a text and a line, in mm
_ROW = 1.6  # between two rows of text, in mm
_STUB = 5.0  # shortest branch to an alternative, in mm
_THICK = 3.2  # line of a whole alternative, in points
_THIN = 0.4
# A child's lambda may exceed its parent's by rounding.
_ROUNDING = 1e-9


def nests(
    result_or_model: ChoiceResults | ChoiceModel,
    *,
    names: Names | None = None,
    digits: int = 2,
    ax: Axes | None = None,
) -> Axes:
    """Draw the nests of a nested or cross-nested logit with their parameters.

    A nested logit is a tree, from the root on the left to the alternatives on the right; on the branch to each nest
    stand its name and its dissimilarity parameter lambda (absolute, 1 at the root) with the standard error. In a
    cross-nested logit lines lead from the nests to their alternatives, as wide as the allocations, which stand at the
    end of the line; an alternative without a line is in no nest.

    In place of a standard error stands "fixed" for what was given and "bound" for an estimate on the edge of its range;
    the dot of such a nest is empty. A lambda above 1, or above that of the nest around it, is said to be so. A model
    that is not fitted is drawn with the names of its parameters.

    Parameters
    ----------
    result_or_model : ChoiceResults or ChoiceModel
        Of `NestedLogit` or `CrossNestedLogit`.
    names : dict, optional
        What to write for an alternative or a nest.
    digits : int
        Decimals of the parameters.
    ax : Axes, optional
        Where to draw; default a new figure, as tall as the labels need. Axes of your own stay as they are.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the model has no nests.

    Examples
    --------
    >>> import choicemodel as cm
    >>> import matplotlib.pyplot as plt
    >>> data = cm.ChoiceData.from_long(
    ...     cm.datasets.travel_mode(), situation="individual", alternative="mode", choice="choice"
    ... )
    >>> model = cm.NestedLogit(
    ...     data, 'gc + ttme + at(hinc, "air")', nests={"ground": ["train", "bus", "car"]}, base="car"
    ... )
    >>> with cm.plots.style("single"):
    ...     ax = cm.plots.nests(model.fit())
    >>> [text.get_text().replace(chr(160), " ") for text in ax.texts]
    ['ground', '\u03bb = 0.52 (0.13)', 'train', 'bus', 'car', 'air']
    >>> plt.close(ax.figure)
    """
    model, result = _model_of(result_or_model)
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 9:
        raise SpecificationError(f"digits is a whole number between 0 and 9; got {digits!r}.")
    errors = model.errors.errors if isinstance(model.errors, Scaled) else model.errors
    if not isinstance(errors, (Nested, CrossNested)):
        raise SpecificationError(
            f"A {model.title.lower()} has no nests to draw: its errors are independent. Fit "
            "choicemodel.NestedLogit(data, formula, nests={...}), or CrossNestedLogit."
        )
    nests = [n.name for n in errors.root.all_nests()] if isinstance(errors, Nested) else list(errors.nests)
    check_names(names, [*model.alternatives, *nests], result)
    known = _Known({} if result is None else _numbers(result), digits)
    new, ax = ax is None, axes_or_new(ax)
    ax.set_axis_off()
    page = _Page(ax, new, names or {})
    if isinstance(errors, Nested):
        _draw_tree(page, _branches(errors, known, page))
    else:
        _draw_shares(page, _crossing(errors, known))
    return ax


def _model_of(given: ChoiceResults | ChoiceModel) -> tuple[ChoiceModel, ChoiceResults | None]:
    if isinstance(given, ChoiceModel):
        return given, None
    if isinstance(given, ChoiceResults) and isinstance(given.model, ChoiceModel):
        return given.model, given
    raise SpecificationError(f"nests takes a result or a model; got {type(given).__name__}.")


# --- the numbers -----------------------------------------------------------------------------------------------------


class _Number(NamedTuple):
    """A parameter: its value, and its standard error or what stands in its place."""

    value: float
    error: float
    note: str


def _numbers(result: ChoiceResults) -> dict[str, _Number]:
    """Parameters of the errors by name, and those that are derived from them."""
    fixed, bound, out = set(result.fixed), set(result.at_bound), {}
    for name, value, error in zip(result.params.index, result.params, result.bse, strict=True):
        note = "fixed" if name in fixed else "bound" if name in bound else ""
        out[name] = _Number(float(value), float(error), note)
    for name, row in result.derived.iterrows():
        # no error at all: what it is derived from was given
        out[str(name)] = _Number(float(row["estimate"]), float(row["std_error"]), "" if row["std_error"] else "fixed")
    return out


@dataclass(frozen=True)
class _Known:
    """What is known of the parameters, and how it is written."""

    numbers: Mapping[str, _Number]
    digits: int

    def written(self, number: _Number) -> str:
        """The value with its standard error in parentheses; the two may be parted, the rest not."""
        return f"{number_of(number.value, self.digits)} ({number.note or number_of(number.error, self.digits)})"

    def estimated(self, name: str) -> bool:
        """Whether a parameter has a standard error, or may get one."""
        number = self.numbers.get(name)
        return number is None or not (number.note or isnan(number.error))

    def dissimilarity(self, name: str, limit: _Number | None) -> str:
        """What to write for a lambda, whose limit is that of the nest around it; None for 1 at the root."""
        number = self.numbers.get(name)
        if number is None:
            return name.replace("lambda", "\u03bb", 1)
        text = f"\u03bb\u00a0=\u00a0{self.written(number)}"
        if number.value > 1 + _ROUNDING:
            return f"{text}, above\u00a01"
        if limit is not None and number.value > limit.value * (1 + _ROUNDING):
            return f"{text}, above its parent\u2019s"
        return text


# --- room for texts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Page:
    """Axes in millimetres."""

    ax: Axes
    new: bool
    names: Names

    @property
    def room(self) -> tuple[float, float]:
        """Width and height of the axes, in mm."""
        box = self.ax.get_window_extent(lay_out(self.ax))
        per_mm = root(self.ax).dpi * _MM
        return box.width / per_mm, box.height / per_mm

    def name(self, label: Any) -> str:
        """What to write for a nest or an alternative."""
        return str(self.names.get(label, label))

    def ruler(self) -> Ruler:
        """Give a function that measures a line of text, in mm."""
        from matplotlib.font_manager import FontProperties

        renderer, font = lay_out(self.ax), FontProperties(size=_SIZE)
        per_mm = root(self.ax).dpi * _MM

        def width(text: str) -> float:
            # without mathtext a dollar sign is one, and needs no escape
            return float(renderer.get_text_width_height_descent(text, font, False)[0] / per_mm)

        return width

    def start(self, height: float) -> tuple[float, float]:
        """Make a figure of our own as tall as it must be, and set the axes to millimetres; give their size."""
        wide, tall = self.room
        figure = root(self.ax)
        if self.new and tall < height:
            figure.set_figheight(figure.get_figheight() + (height - tall) * _MM)
            tall = self.room[1]
        self.ax.set_xlim(0, wide)
        self.ax.set_ylim(tall, 0)
        return wide, tall

    def write(self, at: tuple[float, float], text: str, *, ha: str = "left", va: str = "center_baseline") -> None:
        """Write a text, if there is any."""
        if text:
            self.ax.text(*at, text, ha=ha, va=va, fontsize=_SIZE, linespacing=1.15)

    def dot(self, at: tuple[float, float], color: str = INK, *, filled: bool = True) -> None:
        """Mark a nest or an alternative."""
        face = color if filled else "white"
        self.ax.plot(*at, "o", color=color, markerfacecolor=face, markersize=3.5, clip_on=False, zorder=3)


def _fitted(text: str, width: float, ruler: Ruler) -> str:
    """Break a text into lines of a width in mm, after spaces and signs where it can be; ready to be drawn."""
    lines = [""]
    for piece in re.split(r"(?<=[ _:/\])+-])", text):
        if lines[-1] and ruler((lines[-1] + piece).strip(" ")) > width:
            lines.append("")
        for letter in piece if ruler(piece.strip(" ")) > width else [piece]:
            if lines[-1] and ruler((lines[-1] + letter).strip(" ")) > width:
                lines.append("")
            lines[-1] += letter
    return text_of("\n".join(line.strip(" ") for line in lines))


def _lines(text: str) -> int:
    return text.count("\n") + 1


# --- the tree --------------------------------------------------------------------------------------------------------


class _Branch(NamedTuple):
    """A nest, or an alternative, which has no branches of its own."""

    text: str
    value: str  # of lambda
    estimated: bool
    branches: tuple[_Branch, ...]

    def all_branches(self) -> Iterator[_Branch]:
        """Yield this branch and those beyond it."""
        yield self
        for branch in self.branches:
            yield from branch.all_branches()

    @property
    def depth(self) -> int:
        """How many nests lie behind each other from here on."""
        return 1 + max(branch.depth for branch in self.branches) if self.branches else 0

    @property
    def height(self) -> float:
        """Room that it needs, in mm: the name of a nest is above its branch and lambda below it."""
        if not self.branches:
            return _lines(self.text) * LINE + _ROW
        beside = 2 * (max(_lines(self.text), _lines(self.value)) * LINE + _PAD) if self.value else 0.0
        return max(beside, sum(branch.height for branch in self.branches))


def _branches(errors: Nested, known: _Known, page: _Page) -> _Branch:
    """The tree: in every nest the nests come first."""
    named = errors.parameter_of_nest

    def leaf(label: Any) -> _Branch:
        return _Branch(page.name(label), "", True, ())

    def visit(nest: Nest, limit: _Number | None) -> _Branch:
        name = named[nest.name]
        own = known.numbers.get(name)
        inside = (*(visit(n, own) for n in nest.nests), *map(leaf, nest.alternatives))
        return _Branch(page.name(nest.name), known.dissimilarity(name, limit), known.estimated(name), inside)

    top = errors.root
    below = {label for nest in top.nests for label in nest.all_alternatives()}
    alone = [label for label in errors.alternatives or () if label not in below]
    return _Branch("", "", True, (*(visit(nest, None) for nest in top.nests), *map(leaf, alone)))


class _Columns(NamedTuple):
    """Where the nests of each depth are, and the alternatives, in mm."""

    nest: float  # width of a column
    alternatives: float  # left end of their labels


def _draw_tree(page: _Page, tree: _Branch) -> None:
    wide, ruler = page.room[0], page.ruler()
    nodes = list(tree.all_branches())
    depth = tree.depth
    ends = [b.text for b in nodes if not b.branches]
    labels = min(max(map(ruler, ends)) + 0.5, (0.4 if depth == 2 else 0.3) * wide)
    room = wide - labels - 2 * _PAD  # for the branches
    wanted = max(max(ruler(b.text), ruler(b.value)) for b in nodes if b.value) + 2.5 * _PAD
    # no wider than the texts want while that leaves alternatives a branch, but never less than an even share
    column = max((room - _PAD) / depth, min(wanted, (room - _PAD - _STUB) / max(depth - 1, 1)))
    column = min(column, (room - _PAD - _STUB) / max(depth - 1, 1))
    columns = _Columns(column, wide - labels)
    tree = _wrapped(tree, columns, labels, ruler)
    _, tall = page.start(tree.height)
    _draw_branch(page, tree, columns, (_PAD / 2, 0.0, tall))


def _wrapped(branch: _Branch, columns: _Columns, labels: float, ruler: Ruler) -> _Branch:
    """The same branches with their texts in lines that fit."""
    width = columns.nest - 2 * _PAD if branch.branches else labels
    inside = tuple(_wrapped(b, columns, labels, ruler) for b in branch.branches)
    return _Branch(_fitted(branch.text, width, ruler), _fitted(branch.value, width, ruler), branch.estimated, inside)


def _draw_branch(page: _Page, branch: _Branch, columns: _Columns, at: tuple[float, float, float]) -> float:
    """Draw what grows from a point at x in a strip from top on, so high; give the middle of the strip."""
    x, top, high = at
    middle = top + high / 2
    if branch.branches:
        page.dot((x, middle), filled=branch.estimated)
        page.write((x - columns.nest + _PAD, middle - 0.5), branch.text, va="bottom")
        page.write((x - columns.nest + _PAD, middle + 0.5), branch.value, va="top")
        total = sum(b.height for b in branch.branches)
        for inside in branch.branches:
            share = high * inside.height / total
            end = x + columns.nest if inside.branches else columns.alternatives - _PAD
            y = _draw_branch(page, inside, columns, (end, top, share))
            page.ax.plot([x, x, end], [middle, y, y], color=INK, linewidth=0.8, solid_joinstyle="miter", zorder=1)
            top += share
    else:
        page.dot((x, middle))
        page.write((x + _PAD, middle), branch.text, va="center")
    return middle


# --- shares of several nests -----------------------------------------------------------------------------------------


class _Share(NamedTuple):
    """How much of an alternative belongs to a nest, and what is written for it."""

    nest: int
    alternative: int
    size: float
    text: str


class _Crossing(NamedTuple):
    """Nests and alternatives with the shares that connect them."""

    nests: list[Any]
    values: list[str]  # of lambda
    estimated: list[bool]
    alternatives: list[Any]
    shares: list[_Share]

    def of(self, alternative: int) -> list[_Share]:
        """Shares of an alternative, in the order of the nests."""
        return [share for share in self.shares if share.alternative == alternative]


def _crossing(errors: CrossNested, known: _Known) -> _Crossing:
    nests = list(errors.nests)
    parameters = ["lambda" if errors.shared else f"lambda[{nest}]" for nest in nests]
    belongs = {a: [m for m, nest in enumerate(nests) if a in errors.nests[nest]] for a in errors.alternatives}
    # alternatives near their nests, so that few lines cross; those of no nest come last
    order = sorted(belongs, key=lambda a: sum(belongs[a]) / len(belongs[a]) if belongs[a] else float("inf"))
    shares = [
        _Share(m, j, *_allocation(errors, known, nests[m], label))
        for j, label in enumerate(order)
        for m in belongs[label]
    ]
    return _Crossing(
        nests,
        [known.dissimilarity(p, None) for p in parameters],
        [known.estimated(p) for p in parameters],
        order,
        shares,
    )


def _allocation(errors: CrossNested, known: _Known, nest: Any, alternative: Any) -> tuple[float, str]:
    """Share of an alternative in a nest, and how it is written."""
    belongs = [m for m, members in errors.nests.items() if alternative in members]
    if len(belongs) == 1:
        return 1.0, "1"
    given = (errors.allocation or {}).get(alternative)
    if given is not None:
        share = float(given.get(nest, 0.0))
        return share, known.written(_Number(share, 0.0, "fixed"))
    number = known.numbers.get(f"alpha[{nest},{alternative}]")
    return (1 / len(belongs), "\u03b1") if number is None else (number.value, known.written(number))


def _draw_shares(page: _Page, picture: _Crossing) -> None:
    wide, ruler = page.room[0], page.ruler()
    names, labels = ([page.name(x) for x in part] for part in (picture.nests, picture.alternatives))
    left = min(max(map(ruler, [*names, *picture.values])) + 0.5, 0.31 * wide)
    right = min(max(map(ruler, labels)) + 0.5, 0.28 * wide)
    texts = ["\n".join(_fitted(t, left, ruler) for t in both) for both in zip(names, picture.values, strict=True)]
    labels = [_fitted(text, right, ruler) for text in labels]
    step = LINE + 0.7
    needs = (
        [_lines(text) * LINE + 1.5 * _ROW for text in texts],
        [max(_lines(t) * LINE, len(picture.of(j)) * step) + _ROW for j, t in enumerate(labels)],
    )
    _, tall = page.start(max(map(sum, needs)))
    # x: texts of the nests, dot, lines, shares, dot, labels of the alternatives
    begin, dot = left + _PAD, wide - right - _PAD
    middles = [_middles(need, tall) for need in needs]
    for m, (text, y) in enumerate(zip(texts, middles[0], strict=True)):
        page.write((left, y), text, ha="right", va="center")
        page.dot((begin, y), look(m).color, filled=picture.estimated[m])
    for j, (text, y) in enumerate(zip(labels, middles[1], strict=True)):
        page.write((wide - right, y), text, va="center")
        page.dot((dot, y))
        own = picture.of(j)
        for i, share in enumerate(own):
            port = y + (i - (len(own) - 1) / 2) * step
            end = dot - ruler(share.text) - 1.6 * _PAD
            _line(page, (begin, middles[0][share.nest]), (end, port), share)
            page.write((dot - _PAD, port), share.text, ha="right", va="center")


def _line(page: _Page, start: tuple[float, float], end: tuple[float, float], share: _Share) -> None:
    """A line as wide as a share is large, in the look of its nest."""
    drawn, width = look(share.nest), _THIN + (_THICK - _THIN) * min(max(share.size, 0.0), 1.0)
    page.ax.plot(
        [start[0], end[0]],
        [start[1], end[1]],
        color=drawn.color,
        linestyle=drawn.linestyle,
        linewidth=width,
        solid_capstyle="butt",
        zorder=1,
    )


def _middles(needs: Sequence[float], tall: float) -> list[float]:
    """Middles of strips one below the other that fill a height in proportion to what they need."""
    scale, top, out = tall / sum(needs), 0.0, []
    for need in needs:
        out.append(scale * (top + need / 2))
        top += need
    return out
