"""How numbers are written in tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable


def format_estimate(x: float, digits: int = 4) -> str:
    """Write a coefficient or a standard error with at least so many digits that count.

    Examples
    --------
    >>> [format_estimate(x) for x in (5.20744, -0.01550152, 0.00440799, 0.0000153, 25123.456, 1.5e8, 0)]
    ['5.2074', '-0.01550', '0.004408', '1.530e-05', '25123.5', '1.500e+08', '0.0000']
    >>> [format_estimate(x, digits=2) for x in (5.20744, -0.01550152, 0.0000153, 0)]
    ['5.21', '-0.016', '1.5e-05', '0.00']
    """
    size = abs(x)
    if size == 0:
        return f"{0:.{digits}f}"  # also for -0.0, whose sign means nothing here
    if math.isfinite(x) and not 1e-4 <= size < 1e6:
        return f"{x:.{digits - 1}e}"
    if size >= 1e4:
        return f"{x:.{max(digits - 3, 1)}f}"
    decimals = digits if size >= 0.1 or not math.isfinite(x) else digits - 1 - math.floor(math.log10(size))
    return f"{x:.{decimals}f}"


def column_format(values: Iterable[float]) -> Callable[[float], str]:
    """Choose how the numbers of a column are written, so that they can be compared.

    Like `format_estimate`, but for columns with large amounts, which are written out in full: a million would else
    stand as a power of ten beside a number below it.

    Examples
    --------
    >>> [column_format([1.2e6, 950_000.0])(x) for x in (1_234_567.8, 950_000.0, 12.5)]
    ['1,234,568', '950,000', '12.5000']
    """
    largest = max((abs(x) for x in values if math.isfinite(x)), default=0.0)

    def write(x: float) -> str:
        if 1e6 <= largest < 1e15 and math.isfinite(x) and abs(x) >= 1000:
            return f"{x:,.0f}"
        return format_estimate(x)

    return write


def format_statistic(x: float) -> str:
    """Write a z, t or chi-square statistic: three decimals, scientific from a hundred thousand on.

    Examples
    --------
    >>> [format_statistic(x) for x in (-3.5148, 0.0002, 1.5e8)]
    ['-3.515', '0.000', '1.500e+08']
    """
    if math.isfinite(x) and abs(x) >= 1e5:
        return f"{x:.3e}"
    return f"{x:z.3f}"


def format_p(p: float) -> str:
    """Write a p-value with three decimals; never as zero.

    Examples
    --------
    >>> [format_p(p) for p in (0.0499, 0.001, 0.00002, 1)]
    ['0.050', '0.001', '<0.001', '1.000']
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def format_count(n: float) -> str:
    """Write a count with thousands separators; a weighted count that is not whole keeps one decimal.

    Examples
    --------
    >>> [format_count(n) for n in (210, 1234567, 1234.0, 1234.56)]
    ['210', '1,234,567', '1,234', '1,234.6']
    """
    return f"{n:,.0f}" if isinstance(n, int) or float(n).is_integer() else f"{n:,.1f}"


def format_loglik(x: float) -> str:
    """Write a log-likelihood or an information criterion: three decimals.

    Examples
    --------
    >>> format_loglik(-199.12837), format_loglik(float("-inf"))
    ('-199.128', '-inf')
    """
    return f"{x:z.3f}"


def format_percent(share: float) -> str:
    """Write a share as a percentage with one decimal.

    Examples
    --------
    >>> format_percent(0.2762)
    '27.6%'
    """
    return f"{share:z.1%}"
