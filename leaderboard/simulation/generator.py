"""Simulated results, as the testers of a network post them.

Everything follows from the seed. An orchestrator has a size, places where its
nodes run, a reliability and a speed of its own, and better and worse weeks.
Testers test it in turn from each region; now and then a tester is itself at
fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random

import polars as pl

from leaderboard.simulation.batch_jobs import batch_results, read_examples
from leaderboard.simulation.draws import named_random
from leaderboard.simulation.incidents import SILENCE, Incident, draw_incidents, with_incidents
from leaderboard.simulation.live_video import PIPELINE, live_results
from leaderboard.simulation.network import draw_network
from leaderboard.simulation.schedule import Plan, Span, schedule_tests
from leaderboard.simulation.targets import ai_round, ai_targets, transcoding_round, transcoding_targets
from leaderboard.simulation.transcoding import transcoding_results
from queries import AI, TRANSCODING

BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Simulation:
    """The options of a simulation.

    ``events`` results are received between ``since`` and ``until`` (aware
    datetimes); a share ``ai_share`` (0..1) of them is of AI jobs. Without
    ``plant_incidents`` the testers are never at fault.
    """

    events: int
    since: datetime
    until: datetime
    seed: int = 1
    orchestrators: int = 100
    ai_share: float = 0.2
    plant_incidents: bool = True

    def incidents(self) -> list[Incident]:
        """The spans in which a tester is at fault, sorted by time: one in every four full days, none in less."""
        job_types = [job_type for job_type, tests in self._tests().items() if tests]
        if not self.plant_incidents or not job_types:
            return []
        return draw_incidents(named_random(self.seed, "incidents"), self.since, self.until, job_types)

    def frames(self) -> Iterator[pl.DataFrame]:
        """The results, sorted by time, in frames of at most BATCH_ROWS rows.

        Columns: event_time (Datetime(us, UTC)), orchestrator, region,
        job_type, payload (String, the result as JSON), and POSTED_FIELDS.
        """
        random = named_random(self.seed, "network")
        network = draw_network(random, self.orchestrators, self.since, self.until)
        targets = {TRANSCODING: transcoding_targets(random, network), AI: ai_targets(random, network)}
        rounds = {TRANSCODING: transcoding_round(targets[TRANSCODING]), AI: ai_round(random, targets[AI])}
        incidents = self.incidents()
        plans = [
            Plan(job_type, rounds[job_type], tests, _silences(incidents, job_type))
            for job_type, tests in self._tests().items()
        ]
        time = _microseconds(self.since), _microseconds(self.until)
        tests = schedule_tests(named_random(self.seed, "schedule"), plans, time, BATCH_ROWS)
        random = named_random(self.seed, "results")
        examples = read_examples()
        for batch in _in_batches(tests):
            parts = []
            for job_type in targets:
                own = batch.filter(pl.col("job_type") == job_type)
                jobs = pl.concat((own, targets[job_type][own["target"]]), how="horizontal")
                parts += _to_results(with_incidents(jobs, incidents, job_type), job_type, examples, random)
            yield pl.concat(parts).sort("event_time", maintain_order=True)

    def _tests(self) -> dict[str, int]:
        """How many results there are of each job type."""
        of_ai = round(self.events * self.ai_share)
        return {TRANSCODING: self.events - of_ai, AI: of_ai}


def _to_results(jobs: pl.DataFrame, job_type: str, examples: pl.DataFrame, random: Random) -> list[pl.DataFrame]:
    if job_type == TRANSCODING:
        return [transcoding_results(jobs, random)]
    is_live = pl.col("pipeline") == PIPELINE
    return [batch_results(jobs.filter(~is_live), examples, random), live_results(jobs.filter(is_live), random)]


def _silences(incidents: list[Incident], job_type: str) -> dict[str, list[Span]]:
    silences: dict[str, list[Span]] = {}
    for incident in incidents:
        if incident.kind == SILENCE and incident.job_type == job_type:
            span = _microseconds(incident.begin), _microseconds(incident.end)
            silences.setdefault(incident.region, []).append(span)
    return silences


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _in_batches(tests: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in frames of BATCH_ROWS rows, except for the last. ``moment`` is a Datetime there."""
    waiting: list[pl.DataFrame] = []
    for piece in tests:
        waiting.append(piece.with_columns(pl.from_epoch("moment", "us").dt.replace_time_zone("UTC")))
        while sum(frame.height for frame in waiting) >= BATCH_ROWS:
            together = pl.concat(waiting)
            yield together.head(BATCH_ROWS)
            waiting = [together[BATCH_ROWS:]]
    if any(frame.height for frame in waiting):
        yield pl.concat(waiting)
