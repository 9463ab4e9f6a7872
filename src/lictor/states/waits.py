"""How long to wait before a retry so that those who wait together do not come back together."""

from __future__ import annotations

import math
import random


def clamped_poisson(average: float, factor: float = 0.3) -> float:
    """Seconds, drawn from an exponential distribution cut to about ±`factor` of `average`, as the reference has it.

    The upper bound is `average · (1 + factor)`, the lower one such that the mean stays near `average`.
    ValueError for a factor that is not positive.
    """
    if factor <= 0:
        raise ValueError("the clamping factor must be positive")
    if average <= 0:
        return 0.0
    upper = 1 + factor
    # Beyond 2^50 the lower bound is zero to a double's precision, and 2^upper would overflow in the end.
    lower = -math.log2(1 - 2**-upper) if upper < 50 else 0.0
    draw = random.uniform(math.exp(-upper), math.exp(-lower))
    return -math.log(max(draw, 1e-10)) * average
