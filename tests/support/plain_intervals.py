"""The intervals of scores in plain Python, event by event, to check the vectorised ones."""

from collections.abc import Callable, Sequence
from math import exp, log, sqrt
from statistics import fmean
from typing import NamedTuple

Z = 1.959963984540054


class Job(NamedTuple):
    """One event. ``seconds`` is the quality for live video."""

    success: float
    seconds: float
    duration: float = 2.0


class Spread(NamedTuple):
    """The centres of an interval, and the squared distances of its ends from these."""

    low_centre: float
    high_centre: float
    low_square: float
    high_square: float


class _Success(NamedTuple):
    mean: float
    square: float
    low: float
    high: float


class _Time(NamedTuple):
    """Relative to the mean: the slope on success, the variance of the mean, the distance of its ends in logarithms."""

    slope: float
    variance: float
    distance: float


def interval(spreads: Sequence[Spread], weights: Sequence[float] | None = None) -> tuple[float, float]:
    """The interval of the weighted mean of scores."""
    weights = weights or [1.0] * len(spreads)
    shares = [weight / sum(weights) for weight in weights]
    low, high, low_square, high_square = (
        sum(share**power * spread[place] for share, spread in zip(shares, spreads, strict=True))
        for place, power in enumerate((1, 1, 2, 2))
    )
    return max(low - sqrt(low_square), 0), min(high + sqrt(high_square), 1)


def transcoding_spreads(groups: Sequence[list[Job]]) -> list[Spread]:
    """Of each group; the groups are the network."""
    spreads = []
    for jobs, time in zip(groups, _times(groups, [_relative_loads(jobs) for jobs in groups]), strict=True):
        success, load = _success(jobs), fmean(job.seconds for job in jobs) / fmean(job.duration for job in jobs)
        spread = _spread(success, load, time, lambda rate, load: rate * (1 - exp(-1 / load)))
        spreads.append(spread if success.mean else Spread(0, 0, 0, success.high**2))
    return spreads


def ai_spreads(groups: Sequence[list[Job]], median: float) -> list[Spread]:
    """Of each group; the groups are the network of one pipeline and model."""
    spreads = []
    for jobs, time in zip(
        groups, _times(groups, [_relative([j.seconds for j in jobs]) for jobs in groups]), strict=True
    ):
        load = fmean(job.seconds for job in jobs) / median
        spreads.append(
            _spread(_success(jobs), load, time, lambda rate, load: 0.65 * rate + 0.35 * exp(log(0.8) * load))
        )
    return spreads


def live_spreads(groups: Sequence[list[Job]]) -> list[Spread]:
    """Of each group; the groups are the network of one model."""
    succeeded = [[job.seconds for job in jobs if job.success == 1] for jobs in groups]
    squares = [sum((quality - fmean(qualities)) ** 2 for quality in qualities) for qualities in succeeded]
    degrees = [max(len(qualities) - 1, 0) for qualities in succeeded]
    network = (sum(squares) + 0.04) / (sum(degrees) + 1)
    spreads = []
    for jobs, qualities, square, degree in zip(groups, succeeded, squares, degrees, strict=True):
        success, quality = _success(jobs), fmean(qualities) if qualities else 1.0
        variance = (square + 4 * network) / (degree + 4) / len(qualities) if qualities else 0.0
        distance = _t_quantile(degree + 4) * sqrt(variance)
        per_success, weight = 0.65 + 0.35 * quality, 0.35 * success.mean
        low_square = (per_success * (success.mean - success.low)) ** 2 + (weight * min(distance, quality)) ** 2
        high_square = (per_success * (success.high - success.mean)) ** 2 + (weight * min(distance, 1 - quality)) ** 2
        spreads.append(Spread(success.mean * per_success, success.mean * per_success, low_square, high_square))
    return spreads


def _spread(success: _Success, load: float, time: _Time, score: Callable[[float, float], float]) -> Spread:
    """The spread of a score that is a function of success and load."""
    slope = time.slope if success.mean else -1.0
    at_low, at_high = (
        score(rate, load * max(1 + slope * (rate - success.mean), 1e-9)) for rate in (success.low, success.high)
    )
    fast, slow = load * exp(-time.distance), load * exp(time.distance + time.variance)
    centre = score(success.mean, load)
    high_square = max(at_high - centre, 0) ** 2 + (score(success.mean, fast) - centre) ** 2
    if success.mean == 0:
        return Spread(0, centre, 0, high_square)
    low_centre = score(success.mean, load * exp(time.variance))
    low_square = max(centre - at_low, 0) ** 2 + (low_centre - score(success.mean, slow)) ** 2
    return Spread(low_centre, centre, low_square, high_square)


def _success(jobs: list[Job]) -> _Success:
    n, mean = len(jobs), fmean(job.success for job in jobs)
    square = sum((job.success - mean) ** 2 for job in jobs)
    effective = n * (n * mean * (1 - mean) + 0.25) / (square + 0.25)
    return _Success(mean, square, _wilson(mean, effective, -1), _wilson(mean, effective, 1))


def _wilson(share: float, n: float, side: int) -> float:
    share = min(max(share + side * 0.25 / n, 0), 1)
    deviation = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return min(max((share + Z * Z / (2 * n) + side * deviation) / (1 + Z * Z / n), 0), 1)


def _times(groups: Sequence[list[Job]], relative: Sequence[list[float]]) -> list[_Time]:
    """Of the relative deviations of each group's times, with the variance and the slope of all pooled."""
    successes = [_success(jobs) for jobs in groups]
    covariances = [
        sum((job.success - success.mean) * deviation for job, deviation in zip(jobs, deviations, strict=True))
        for jobs, success, deviations in zip(groups, successes, relative, strict=True)
    ]
    network_slope = sum(covariances) / (sum(success.square for success in successes) + 1)
    degrees = [max(len(jobs) - (2 if s.square > 1e-9 else 1), 0) for jobs, s in zip(groups, successes, strict=True)]
    parts = list(zip(groups, successes, relative, covariances, degrees, strict=True))
    own = [_residual(jobs, s, deviations, c / (s.square + 0.02)) for jobs, s, deviations, c, _ in parts]
    network_variance = (sum(own) + 0.25) / (sum(degrees) + 1)
    times = []
    for jobs, success, deviations, covariance, degree in parts:
        slope = (covariance + 0.02 * network_slope) / (success.square + 0.02)
        residual = _residual(jobs, success, deviations, slope)
        variance = (residual + 4 * network_variance) / (degree + 4) / len(jobs)
        times.append(_Time(slope, variance, _t_quantile(degree + 4) * sqrt(variance)))
    return times


def _residual(jobs: list[Job], success: _Success, deviations: list[float], slope: float) -> float:
    """The sum of squares that the slope leaves."""
    return sum((d - slope * (job.success - success.mean)) ** 2 for job, d in zip(jobs, deviations, strict=True))


def _relative(values: list[float]) -> list[float]:
    mean = fmean(values)
    return [(value - mean) / mean if mean else 0.0 for value in values]


def _relative_loads(jobs: list[Job]) -> list[float]:
    """The relative deviations of the time per second of video, to first order."""
    seconds, durations = (_relative([job[place] for job in jobs]) for place in (1, 2))
    return [first - second for first, second in zip(seconds, durations, strict=True)]


def _t_quantile(degrees: float) -> float:
    terms = ((Z**3 + Z) / 4, (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96, (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384)
    return Z + sum(term / degrees**power for power, term in enumerate(terms, 1))
