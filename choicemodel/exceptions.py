"""Every error and warning of the package.

Errors derive from `ValueError`, so that code written for pandas or statsmodels catches them; warnings derive from
`UserWarning`, and each can be silenced by its name. A message says what is wrong, where (an example), why it matters
and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

# How many problems a message lists.
_SHOWN = 12


class ChoiceModelError(ValueError):
    """Base of every error that choicemodel raises on purpose."""


class ChoiceDataError(ChoiceModelError):
    """Something is wrong with the survey data."""


class EmptyDataError(ChoiceDataError):
    """The data hold no row that can be used."""


class UnknownColumnError(ChoiceDataError):
    """A column that was asked for is not in the data, or is there more than once."""


class MissingIdentifierError(ChoiceDataError):
    """A situation, alternative or person identifier is missing."""


class LabelError(ChoiceDataError):
    """A column of situations, alternatives, persons or categories holds lists or other things that are no labels."""


class NoChoiceError(ChoiceDataError):
    """Some choice situations have no chosen alternative."""


class SeveralChoicesError(ChoiceDataError):
    """Some choice situations have more than one chosen alternative."""


class ChoiceCodingError(ChoiceDataError):
    """The choice column is neither an indicator nor the label of an alternative."""


class UnavailableChoiceError(ChoiceDataError):
    """The chosen alternative is not available, or not in the choice set."""


class DuplicateAlternativeError(ChoiceDataError):
    """An alternative appears more than once in a choice situation."""


class AvailabilityError(ChoiceDataError):
    """An availability is neither 0 nor 1."""


class EmptyChoiceSetError(ChoiceDataError):
    """Some choice situations have no available alternative."""


class WeightError(ChoiceDataError):
    """A weight is missing, negative, infinite, varies within a situation, or all weights are zero."""


class PersonError(ChoiceDataError):
    """A choice situation belongs to more than one person."""


class UnknownAlternativeError(ChoiceDataError):
    """An alternative is named that the data, or the model, do not have."""


class MissingValueError(ChoiceDataError):
    """A column that is used holds missing or infinite values."""


class NotNumericError(ChoiceDataError):
    """A column that is used as a number holds text."""


class ConstantColumnError(ChoiceDataError):
    """A column that is used never varies."""


class UnseenLevelError(ChoiceDataError):
    """A categorical column holds a level that the estimation data did not have."""


class VaryingCovariateError(ChoiceDataError):
    """A column that must be the same for all alternatives of a situation is not."""


class ChoicesRequiredError(ChoiceDataError):
    """The data hold no choices, and the task needs them."""


class SeveralDataErrors(ChoiceDataError):  # noqa: N818 - plural, because it holds several
    """More than one thing is wrong with the data; `errors` holds each of them.

    Parameters
    ----------
    errors : iterable of ChoiceDataError
        The problems found, in the order in which they were found.
    """

    def __init__(self, errors: Iterable[ChoiceDataError]) -> None:
        self.errors = tuple(errors)
        lines = [f"{len(self.errors)} problems were found in the data:"]
        lines += [f"{i}. [{type(e).__name__}] {e}" for i, e in enumerate(self.errors[:_SHOWN], start=1)]
        if len(self.errors) > _SHOWN:
            lines.append(f"... and {len(self.errors) - _SHOWN} more, in the attribute `errors`.")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[SeveralDataErrors], tuple[tuple[ChoiceDataError, ...]]]:
        return type(self), (self.errors,)  # a worker process sends its errors


class FormulaError(ChoiceModelError):
    """The formula cannot be read, or asks for something outside its small language."""


class SpecificationError(ChoiceModelError):
    """An argument of a model, a fit or an analysis does not make sense."""


class ClusterError(SpecificationError):
    """A cluster on which a fit runs was lost."""


class IdentificationError(ChoiceModelError):
    """The data cannot tell the coefficients apart, whatever their values."""


class ResultFileError(ChoiceModelError):
    """A results file is truncated, edited, foreign or from a newer version."""


class ChoiceModelWarning(UserWarning):
    """Base of every warning that choicemodel gives."""


class ConvergenceWarning(ChoiceModelWarning):
    """The optimiser did not reach a maximum that passes the tests."""


class SeparationWarning(ConvergenceWarning):
    """Some coefficients have no finite maximum: a combination of columns predicts choices perfectly."""


class CovarianceWarning(ChoiceModelWarning):
    """Some standard errors are undefined."""


class LatentClassWarning(ChoiceModelWarning):
    """Something is wrong with the classes of a fit: one is empty, two are the same, an optimum was found once only."""


class TasteWarning(ChoiceModelWarning):
    """How coefficients vary over people is at odds with the data: a sign, or a correlation of one."""


class SingleAlternativeWarning(ChoiceModelWarning):
    """Some situations offer one alternative only and carry no information."""


class DroppedSituationsWarning(ChoiceModelWarning):
    """An operation on the data left situations out."""


class ComparisonWarning(ChoiceModelWarning):
    """A comparison of models rests on an assumption that the data may not meet."""


def raise_problems(problems: list[ChoiceDataError]) -> None:
    """Raise what was found: nothing, the one problem, or all of them together."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise SeveralDataErrors(problems)


def __dir__() -> list[str]:
    """Show the errors and warnings only."""
    return sorted(n for n, item in globals().items() if isinstance(item, type) and item.__module__ == __name__)
