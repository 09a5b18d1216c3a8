"""Random numbers as columns. The same generator in the same state makes the same columns on every machine."""

import sys
from array import array
from collections.abc import Sequence
from random import Random

import polars as pl

_STEPS = 2**32


def named_random(seed: int, name: str) -> Random:
    """A generator of its own for one part of a simulation, so that a change to one part leaves the others alone."""
    return Random(f"{seed} {name}")


def uniform(random: Random, rows: int) -> pl.Series:
    """``rows`` random numbers (Float64) between 0 and 1, both exclusive."""
    words = array("I")
    words.frombytes(random.randbytes(words.itemsize * rows))
    if sys.byteorder == "big":
        words.byteswap()
    return (pl.Series(words, dtype=pl.UInt32).cast(pl.Float64) + 0.5) / _STEPS


def with_draws(frame: pl.DataFrame, random: Random, *names: str) -> pl.DataFrame:
    """The frame with a column of random numbers for each name."""
    return frame.with_columns(uniform(random, frame.height).alias(name) for name in names)


def hexadecimal(random: Random, rows: int, digits: int) -> pl.Series:
    """``rows`` random texts (String) of so many hexadecimal digits. ``digits`` must be even."""
    text = random.randbytes(rows * digits // 2).hex()
    return pl.Series([text[at : at + digits] for at in range(0, rows * digits, digits)], dtype=pl.String)


def choose(draw: pl.Expr, values: Sequence[str] | Sequence[float]) -> pl.Expr:
    """One of the values for each random number. A value that stands there twice is twice as likely."""
    number = (draw * len(values)).cast(pl.UInt32)
    return number.replace_strict(dict(enumerate(values)))


def bell(draw: pl.Expr, width: float) -> pl.Expr:
    """Factors around 1 out of random numbers: log-logistic, so that a few are many times as long as most."""
    return (width * (draw / (1 - draw)).log()).exp()
