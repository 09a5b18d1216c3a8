"""When the testers test: their targets in turn, at equal intervals, without those that are not there."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import polars as pl

from leaderboard.simulation.draws import uniform

Span = tuple[int, int]
"""From a microsecond since 1970 (inclusive) to another (exclusive)."""


@dataclass(frozen=True)
class Plan:
    """The tests of one job type.

    ``round`` is the order of the targets (see ``targets.transcoding_round``),
    ``tests`` the number of tests, and ``silences`` maps a region to the spans in
    which its tester does nothing.
    """

    job_type: str
    round: pl.DataFrame
    tests: int
    silences: dict[str, list[Span]]


def schedule_tests(random: Random, plans: list[Plan], time: Span, piece_tests: int) -> Iterator[pl.DataFrame]:
    """The tests of all plans, sorted by time, in frames of roughly at most ``piece_tests`` rows.

    Columns: moment (Int64, microseconds since 1970), job_type, target, turn.

    The time is cut wherever a target or a tester comes or goes. In a piece
    without such changes, the round goes on among the targets that are there.
    A tester has as many tests per target at all times.
    """
    pieces = _cut(plans, time, piece_tests)
    plans = [plan for plan in plans if plan.tests]
    counts = [_share_out(plan, pieces) for plan in plans]
    next_entries = [0] * len(plans)
    for number, piece in enumerate(pieces):
        frames = []
        for index, plan in enumerate(plans):
            if tests := counts[index][number]:
                chosen = _tests_of_piece(random, plan, piece, next_entries[index], tests)
                next_entries[index] = chosen["entry"][-1] + 1
                frames.append(chosen.drop("entry"))
        if frames:
            yield pl.concat(frames).sort("moment", maintain_order=True)


def _cut(plans: list[Plan], time: Span, piece_tests: int) -> list[Span]:
    """The pieces of the time, sorted: within one, the same targets are there."""
    start, end = time
    even = 1 + sum(plan.tests for plan in plans) // piece_tests
    cuts = {start, end, *(start + (end - start) * number // even for number in range(1, even))}
    for plan in plans:
        cuts.update(plan.round["arrives"].drop_nulls(), plan.round["departs"].drop_nulls())
        cuts.update(cut for spans in plan.silences.values() for span in spans for cut in span)
    ordered = sorted(cut for cut in cuts if start <= cut <= end)
    return list(pairwise(ordered)) or [time]


def _share_out(plan: Plan, pieces: list[Span]) -> list[int]:
    """How many tests each piece has: in proportion to its length and to the targets that are there."""
    present = {region: _Presence(entries) for (region,), entries in plan.round.group_by("region", maintain_order=True)}
    weights = []
    for start, end in pieces:
        silent = _silent_regions(plan, start)
        targets = sum(presence.at(start) for region, presence in present.items() if region not in silent)
        weights.append(targets * (end - start))
    total = sum(weights)
    if not total:
        # an instant: everything at once
        return [plan.tests] + [0] * (len(pieces) - 1)
    counts, weight_so_far, shared_out = [], 0, 0
    for weight in weights:
        weight_so_far += weight
        # the running sum is rounded, so that exactly the number of tests is shared out
        counts.append(plan.tests * weight_so_far // total - shared_out)
        shared_out += counts[-1]
    return counts


class _Presence:
    """Counts the entries of a round that are there."""

    def __init__(self, entries: pl.DataFrame) -> None:
        self._entries = entries.height
        self._arrivals = sorted(entries["arrives"].drop_nulls())
        self._departures = sorted(entries["departs"].drop_nulls())

    def at(self, moment: int) -> int:
        """How many entries are there at a moment, in microseconds since 1970."""
        yet_to_come = len(self._arrivals) - bisect_right(self._arrivals, moment)
        return self._entries - yet_to_come - bisect_right(self._departures, moment)


def _silent_regions(plan: Plan, moment: int) -> list[str]:
    return [region for region, spans in plan.silences.items() if any(start <= moment < end for start, end in spans)]


def _tests_of_piece(random: Random, plan: Plan, piece: Span, next_entry: int, tests: int) -> pl.DataFrame:
    """So many tests in the piece, of the targets that are there, beginning with an entry of the round.

    Columns: those of ``schedule_tests``, and entry (its number in the round).
    """
    start, end = piece
    present = plan.round.with_row_index("entry").filter(
        pl.col("arrives").is_null() | (pl.col("arrives") <= start),
        pl.col("departs").is_null() | (pl.col("departs") > start),
        ~pl.col("region").is_in(_silent_regions(plan, start)),
    )
    number = pl.int_range(tests, eager=True)
    first = present["entry"].search_sorted(next_entry)
    moment = (start + (number + uniform(random, tests)) / tests * (end - start)).cast(pl.Int64)
    return present[(number + first) % present.height].select(
        moment.alias("moment"), pl.lit(plan.job_type).alias("job_type"), "target", "turn", "entry"
    )
