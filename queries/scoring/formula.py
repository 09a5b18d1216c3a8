"""Formulas as values: what a score is made of, and which results count.

A released formula has a number and never changes. An analyst's own is a value
of the same type, made with ``dataclasses.replace``.
"""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

LIVE_PIPELINE = "live-video-to-video"
"""The slug of live video, whose results carry a quality (0..1) instead of a round trip time."""

FORMULA_SYMBOLS = {
    "s": "the mean success_rate of an orchestrator's results in a region; a higher one than 1 counts as 1",
    "d": "their mean seg_duration in seconds",
    "t": "their mean round_trip_time in seconds",
    "m": "the median round_trip_time of the jobs with the same pipeline and model that succeeded and took time",
    "q": "the mean quality of the live streams: what was posted as round_trip_time if it is at most 1, 0 for a failure",
}
"""What the letters in ``Formula.describe`` stand for."""

_RULES = {
    "skips_unscored": "Results with a test_outcome that begins with unscored count only as unscored.",
    "skips_double_posts": "Results of live video that succeeded and have errors are left out: each is the second "
    "result of a run that failed.",
    "rates_live_video": "Results of live video with a time above 1 say nothing about quality; their success counts.",
    "merges_spellings": "Pipelines that differ only in case, spaces, underscores and hyphens are one pipeline.",
    "uses_network_median": "The median m is that of all regions, whichever region is asked for.",
    "applies_exclusions": "Results in a span that an operator excluded are left out.",
    "ignores_busy": "Transcoding jobs that failed only because the orchestrator was busy count as unscored.",
}


@dataclass(frozen=True, kw_only=True)
class Formula:
    """How results become scores. Every query function that scores takes one.

    - ``name``: the number of a released formula, or any name.
    - ``success_weight``, ``round_trip_weight``: the parts of an AI score.
    - ``score_at_median``: the round_trip_score of an AI job that takes as long as the network's median.
    - ``skips_unscored``: results with an outcome that begins with "unscored" only count as unscored.
    - ``skips_double_posts``: live results that succeeded and have errors are left out; older testers
      posted them after the same run's failure.
    - ``rates_live_video``: live video is scored by the quality that testers post in round_trip_time.
    - ``merges_spellings``: pipelines with the same slug are one pipeline.
    - ``uses_network_median``: an AI job is scored against the median of all regions, whichever the filter names.
    - ``applies_exclusions``: results in an operator's exclusions are left out. A source of events does this.
    - ``ignores_busy``: a transcoding job that failed because the orchestrator was busy counts as unscored.
    - ``half_life``: the time after which a result counts half; None if all count the same.
    - ``min_events``: with fewer scored results, an orchestrator has no score for a job in a region.
    """

    name: str
    success_weight: float = 0.65
    round_trip_weight: float = 0.35
    score_at_median: float = 0.8
    skips_unscored: bool = True
    skips_double_posts: bool = True
    rates_live_video: bool = True
    merges_spellings: bool = True
    uses_network_median: bool = True
    applies_exclusions: bool = True
    ignores_busy: bool = False
    half_life: timedelta | None = None
    min_events: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError, which names the field, for a value that makes no score."""
        for name in ("success_weight", "round_trip_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)!r}")
        if not 0 < self.score_at_median < 1:
            raise ValueError(f"score_at_median must be between 0 and 1, both excluded, not {self.score_at_median!r}")
        if self.half_life is not None and self.half_life <= timedelta():
            raise ValueError(f"half_life must be longer than 0, not {self.half_life!r}")
        if self.min_events < 1:
            raise ValueError(f"min_events must be at least 1, not {self.min_events!r}")

    def describe(self) -> dict[str, Any]:
        """The formula in words: how each kind of job is scored (``scores``), and which results count (``rules``)."""
        weighted = f"score = {self.success_weight:g} · s + {self.round_trip_weight:g} · round_trip_score, 0 where s = 0"
        at_median = f"round_trip_score = {self.score_at_median:g}^(t / m), 0 where no job succeeded"
        scores = {
            "transcoding": "round_trip_score = 1 − e^(−d / t), 0 where t = 0; score = s · round_trip_score",
            "ai": f"{at_median}; {weighted}",
        }
        if self.rates_live_video:
            scores[LIVE_PIPELINE] = f"round_trip_score = q; {weighted}"
        return {
            "scores": scores,
            "rules": [sentence for field, sentence in _RULES.items() if getattr(self, field)]
            + ([f"After {self.half_life} a result counts half."] if self.half_life is not None else [])
            + ([f"A score needs at least {self.min_events} results."] if self.min_events > 1 else []),
        }

    def as_dict(self) -> dict[str, Any]:
        """The fields, with the half-life in seconds."""
        seconds = self.half_life.total_seconds() if self.half_life is not None else None
        return asdict(self) | {"half_life": seconds}


FORMULA_1 = Formula(
    name="1",
    skips_unscored=False,
    skips_double_posts=False,
    rates_live_video=False,
    merges_spellings=False,
    uses_network_median=False,
    applies_exclusions=False,
)
"""The formula of the service that this one replaces, for every result as it is."""

FORMULA_2 = Formula(name="2")
"""The same formulas over the results that they are meant for, and live video by its quality."""

FORMULAS = {1: FORMULA_1, 2: FORMULA_2}
"""The released formulas by their numbers."""
