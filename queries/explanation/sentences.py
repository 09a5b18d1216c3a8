"""An explanation in words, all of them written here. They are plain text."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from queries.error_texts import ERROR_CLASSES
from queries.explanation.costs import COLUMN_OF_CAUSE, FAILURES, KEY_COLUMNS, QUALITY, SLOWNESS
from queries.explanation.result import AS_MEDIAN, BEST, NOT_TESTED, ONE_RESULT, ONLY_UNSCORED, TESTER, Explanation
from queries.explanation.trouble import SILENCE
from queries.explanation.what_ifs import MEDIAN_SPEED, SUCCESS, SUCCESS_IN_WORST_JOB
from queries.filters import AI

NOTICEABLE = 0.005
"""A smaller part of a score is not worth a sentence: it is 0.00 with two decimals."""
PARTIAL_SUCCESS = 1e-6
_NAMES = {FAILURES: "failures", SLOWNESS: "slowness", QUALITY: "low quality"}
_MEANINGS = {found.name: found.meaning for found in ERROR_CLASSES}

Row = dict[str, Any]


def with_sentences(facts: Explanation) -> Explanation:
    """The explanation with its reason and its sentences."""
    reason = _reason(facts)
    return replace(facts, reason=reason, sentences=tuple(_sentences(facts, reason)))


def _reason(facts: Explanation) -> str:
    if facts.score is None or facts.lost is None:
        return ONLY_UNSCORED if facts.unscored + facts.events else NOT_TESTED
    if facts.events == 1:
        return ONE_RESULT
    trouble = _trouble_cost(facts)
    if trouble >= NOTICEABLE and trouble >= facts.lost / 2:
        return TESTER
    if facts.rank == 1 and facts.ranked_count > 1:
        return BEST
    if facts.ranked_count > 1 and facts.causes.filter(pl.col("cost") - pl.col("median") >= NOTICEABLE).is_empty():
        return AS_MEDIAN
    reason: str = _main_cause(facts)["cause"]
    return reason


def _sentences(facts: Explanation, reason: str) -> Iterator[str]:
    if reason in (NOT_TESTED, ONLY_UNSCORED):
        yield from _without_score(facts, reason)
        return
    cause = _main_cause(facts)
    job = _worst_job(facts, cause["cause"])
    yield _first_sentence(facts, reason, cause, job)
    if reason == TESTER:
        yield _without_trouble(facts)
    yield from _further_trouble(facts, reason)
    if (facts.lost or 0) >= NOTICEABLE:
        yield _sum_of_costs(facts)
        yield _about_job(job, cause["cause"], facts.job_type)
        if cause["cause"] == FAILURES:
            yield from _about_errors(facts, job)
        yield from _what_if_sentences(facts, cause["cause"])


def _without_score(facts: Explanation, reason: str) -> Iterator[str]:
    if reason == ONLY_UNSCORED and facts.events:
        yield f"You have no score: the formula asks for more than {_count(facts.events, 'scored result')}."
        return
    if reason == ONLY_UNSCORED:
        yield (
            f"You have no score: {_count(facts.unscored, 'result')} in this window, none of them scored, because the "
            "node was busy or the tester could not tell how it did."
        )
        return
    yield f"You have no score: no such {_work(facts.job_type)} job was tested in this window."
    if facts.has_other_results:
        yield "There are results of other jobs, or from other regions."
    yield from _silences(facts)
    yield (
        "Testers test orchestrators that are active on the network: check that yours is active and registered with the "
        "right service URI, and that it can be reached from outside."
    )


def _first_sentence(facts: Explanation, reason: str, cause: Row, job: Row) -> str:
    score, rank = f"Your score is {facts.score:.2f}", f"rank {facts.rank} of {facts.ranked_count}"
    if reason == ONE_RESULT:
        return f"{score}, {rank}, but it rests on one result and says little."
    if reason == BEST:
        return f"{score}, the best of {facts.ranked_count} orchestrators."
    if reason == AS_MEDIAN:
        return f"{score}, {rank}, and nothing costs you more than it costs the median orchestrator."
    if reason == TESTER:
        worst = facts.incidents.row(0, named=True)
        return (
            f"{score}, {rank}, mainly because of the tester and not of your node: {_trouble(worst)}, which cost you "
            f"{_trouble_cost(facts):.2f}{' with other such incidents' if len(_costly_trouble(facts)) > 1 else ''}."
        )
    subject, in_job = ("they cost" if reason == FAILURES else "it costs"), job[COLUMN_OF_CAUSE[reason]]
    compared = f" (the median orchestrator: {cause['median']:.2f})" if facts.ranked_count > 1 else ""
    part = "all of it" if cause["cost"] - in_job < NOTICEABLE else f"the largest part, {in_job:.2f},"
    return (
        f"{score}, {rank}, mainly because of {_NAMES[reason]}: {subject} {cause['cost']:.2f}{compared}, "
        f"{part} for {_name(job)}."
    )


def _without_trouble(facts: Explanation) -> str:
    worst = facts.incidents.row(0, named=True)
    return (
        f"Without the {_count(worst['events'], 'result')} from there and then your score would be "
        f"{worst['score_without']:.2f}."
    )


def _further_trouble(facts: Explanation, reason: str) -> Iterator[str]:
    """The incidents that the first sentence does not tell of."""
    for incident in _costly_trouble(facts)[reason == TESTER :]:
        yield f"It was the tester and not your node: {_trouble(incident)}, which cost you {incident['cost']:.2f}."
    if reason == ONE_RESULT:
        yield from _silences(facts)


def _silences(facts: Explanation) -> Iterator[str]:
    for silence in facts.incidents.filter(pl.col("kind") == SILENCE).iter_rows(named=True):
        yield f"The tester in {silence['region']} posted nothing {_span(silence['begin'], silence['end'])}."


def _sum_of_costs(facts: Explanation) -> str:
    costs = facts.causes.filter(pl.col("cost") >= NOTICEABLE).sort("cost", descending=True)
    parts = [f"{_NAMES[cause]} {cost:.2f}" for cause, cost in costs.select("cause", "cost").iter_rows()]
    return f"It lacks {facts.lost:.2f} to the highest score: {_list(parts)}."


def _about_job(job: Row, cause: str, job_type: str) -> str:
    if cause == FAILURES:
        # a job that succeeded in part counts as failed, and as a part of a success
        is_partial = job["success_rate"] * job["events"] > job["events"] - job["failed"] + PARTIAL_SUCCESS
        begin = f"For {_name(job)}, {job['failed']} of {job['events']} results failed"
        begin += " at least in part" if is_partial else ""
    elif cause == QUALITY:
        begin = f"For {_name(job)}, the mean quality is {job['round_trip_score']:.2f}, with 0 for a failed stream"
    else:
        begin = f"For {_name(job)}, the mean round trip time is {job['round_trip_time']:.2f} s"
        if job_type == AI and job["median_round_trip_time"] is not None:
            begin += f", and the network's median {job['median_round_trip_time']:.2f} s"
    if job["ranked_count"] == 1:
        return f"{begin}; nobody else did this job there."
    verb, cost = "cost" if cause == FAILURES else "costs", COLUMN_OF_CAUSE[cause]
    return (
        f"{begin}; {_NAMES[cause]} there {verb} you {job[cost]:.2f}, the median orchestrator "
        f"{job[f'median_{cost}']:.2f}, and the best tenth at most {job[f'best_tenth_{cost}']:.2f}."
    )


def _about_errors(facts: Explanation, job: Row) -> Iterator[str]:
    """The most frequent class of errors of the job, and what to do about it."""
    is_of_job = pl.all_horizontal(pl.col(name).eq_missing(pl.lit(job[name])) for name in KEY_COLUMNS)
    for error in facts.error_classes.filter(is_of_job).head(1).iter_rows(named=True):
        yield (
            f"The most frequent class of their errors is {error['class']} ({_MEANINGS[error['class']]}), in "
            f"{error['results']} of {job['failed']} failed results."
        )
        yield error["what_to_do"]


def _what_if_sentences(facts: Explanation, cause: str) -> Iterator[str]:
    changes = {row["change"]: row for row in facts.what_ifs.iter_rows(named=True) if row["gain"] >= NOTICEABLE}
    in_job, everywhere, as_median = (changes.get(name) for name in (SUCCESS_IN_WORST_JOB, SUCCESS, MEDIAN_SPEED))
    if cause != FAILURES:
        in_job = None
    if in_job:
        yield f"With 99 % success for {_name(in_job)}, you would have {_standing(facts, in_job)}."
    if everywhere and (not in_job or everywhere["gain"] - in_job["gain"] >= NOTICEABLE):
        yield f"With 99 % success for all jobs, you would have {_standing(facts, everywhere)}."
    if as_median:
        how = "good" if cause == QUALITY else "fast"
        yield f"As {how} as the median orchestrator for all jobs, you would have {_standing(facts, as_median)}."


def _main_cause(facts: Explanation) -> Row:
    """The cause that costs most beyond what it costs the best tenth, who show what can be avoided."""
    return max(
        facts.causes.iter_rows(named=True), key=lambda row: (max(0, row["cost"] - row["best_tenth"]), row["cost"])
    )


def _worst_job(facts: Explanation, cause: str) -> Row:
    """The job where a cause costs most."""
    cost = COLUMN_OF_CAUSE[cause]
    return max(facts.jobs.iter_rows(named=True), key=lambda job: job[cost])


def _costly_trouble(facts: Explanation) -> list[Row]:
    return facts.incidents.filter(pl.col("cost") >= NOTICEABLE).to_dicts()


def _trouble_cost(facts: Explanation) -> float:
    return math.fsum(incident["cost"] for incident in _costly_trouble(facts))


def _trouble(incident: Row) -> str:
    what = "failed" if incident["kind"] == "failures" else "were slow"
    return f"in {incident['region']} most orchestrators {what} {_span(incident['begin'], incident['end'])}"


def _span(begin: datetime, end: datetime) -> str:
    last = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"from {begin:%Y-%m-%d %H:%M} to {last} UTC"


def _standing(facts: Explanation, row: Row) -> str:
    return f"a score of {row['score']:.2f} and rank {row['rank']} of {facts.ranked_count}"


def _name(job: Row) -> str:
    if job["pipeline"] is None:
        return f"transcoding in {job['region']}"
    return f"{job['pipeline']} with {job['model']} in {job['region']}"


def _work(job_type: str) -> str:
    return "AI" if job_type == AI else "transcoding"


def _list(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
