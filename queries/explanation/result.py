"""What ``explanation`` returns."""

from dataclasses import dataclass

import polars as pl

from queries.explanation.costs import COLUMN_OF_CAUSE

NOT_TESTED, ONLY_UNSCORED, ONE_RESULT, TESTER, BEST, AS_MEDIAN = (
    *("not_tested", "only_unscored", "one_result", "tester", "best", "as_median"),
)
REASONS = (NOT_TESTED, ONLY_UNSCORED, ONE_RESULT, TESTER, BEST, AS_MEDIAN, *COLUMN_OF_CAUSE)
"""What a score is mainly due to, or why there is none."""


@dataclass(frozen=True)
class Explanation:
    """Why one orchestrator has its score. Text of it: ``str(explanation)``.

    - orchestrator, job_type
    - reason: one of REASONS
    - sentences: the same in words; the first one answers the question
    - score (0..1), rank, ranked_count: as ``ranking`` has them, and the number
      of orchestrators with a score. Score, lost and rank are None without scored events
    - lost: what the score lacks to the highest possible one, the sum of all costs
    - events, failed, unscored: of the orchestrator
    - has_other_results: whether an orchestrator without results that match the
      filter has some that do not
    - causes: a row for failures, for slowness and for low quality, with what each costs
    - jobs: a row per job and region with a score, the one that costs most first
    - what_ifs: a row per change that would raise the score
    - error_classes: those of failed results by job and region; empty without results
    - incidents: the tester's trouble in the same regions, and what it cost
    """

    orchestrator: str
    job_type: str
    reason: str
    sentences: tuple[str, ...]
    score: float | None
    lost: float | None
    rank: int | None
    ranked_count: int
    events: int
    failed: int
    unscored: int
    has_other_results: bool
    causes: pl.DataFrame
    jobs: pl.DataFrame
    what_ifs: pl.DataFrame
    error_classes: pl.DataFrame
    incidents: pl.DataFrame

    def __str__(self) -> str:
        return " ".join(self.sentences)
