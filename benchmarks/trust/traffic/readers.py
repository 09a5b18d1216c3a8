"""Readers that compare every answer with the ledger."""

import json
import random
from threading import Event
from typing import Any
from urllib.parse import quote

from benchmarks.trust.traffic.client import Answer, BrokenConnection, Client, Hang
from benchmarks.trust.traffic.ledger import Ledger
from benchmarks.trust.traffic.request_counts import RequestCounts
from benchmarks.trust.traffic.subjects import NUMBER_FIELD, PIPELINE_PREFIX, REGION, Subject

RECENT_SUBJECTS = 12
WIDE_WINDOW = "since=2020-01-01"
"""Longer than what workers keep in memory from their start."""


class Reader:
    """Asks one question after another about subjects of the ledger, until ``stopped`` is set."""

    def __init__(self, port: int, ledger: Ledger, counts: RequestCounts, seed: int) -> None:
        self._client = Client(port)
        self._ledger = ledger
        self._counts = counts
        self._random = random.Random(seed)
        self._questions = (
            self._check_raw_stats,
            self._check_raw_stats_file,
            self._check_aggregated_stats,
            self._check_ranking,
            self._check_history,
            self._check_orchestrator,
            self._check_pipelines,
        )

    def run(self, stopped: Event, pause_seconds: float) -> None:
        """Asks, and pauses after each question."""
        while not stopped.wait(pause_seconds):
            if subjects := self._ledger.subjects():
                recent = self._random.random() < 0.7
                subject = self._random.choice(subjects[-RECENT_SUBJECTS:] if recent else subjects)
                self._random.choice(self._questions)(subject)
        self._client.close()

    def check_all(self) -> None:
        """Asks every question about every subject that may have results."""
        for subject in filter(self._ledger.possible_numbers, self._ledger.subjects()):
            for question in self._questions:
                question(subject)
        self._client.close()

    def _check_raw_stats(self, subject: Subject) -> None:
        answer = self._get("raw_stats", f"/api/raw_stats?orchestrator={subject.address}{_job_type(subject)}")
        if answer is not None:
            document = answer.json
            if not document.keys() <= {REGION}:
                self._ledger.violate(f"raw_stats: {subject} has regions {sorted(document)}")
            self._check_results("raw_stats", subject, answer, document.get(REGION, []))

    def _check_raw_stats_file(self, subject: Subject) -> None:
        path = f"/api/raw_stats?orchestrator={subject.address}{_job_type(subject)}&{WIDE_WINDOW}&format=ndjson"
        answer = self._get("raw_stats file", path)
        if answer is not None:
            results = [json.loads(json.loads(line)["result"]) for line in answer.body.splitlines()]
            self._check_results("raw_stats file", subject, answer, results)

    def _check_results(self, what: str, subject: Subject, answer: Answer, results: list[dict[str, Any]]) -> None:
        wrong = [result for result in results if not subject.is_result(result)]
        if wrong:
            self._ledger.violate(
                f"{what}: {subject} has {len(wrong)} results that were not posted so, such as {wrong[0]}"
            )
        numbers = [result.get(NUMBER_FIELD, -1) for result in results]
        self._ledger.check_numbers(what, subject, numbers, self._known(subject, answer))

    def _check_aggregated_stats(self, subject: Subject) -> None:
        job = f"&pipeline={quote(subject.pipeline)}&model={quote(subject.model)}" if subject.is_ai else ""
        answer = self._get("aggregated_stats", f"/api/aggregated_stats?orchestrator={subject.address}{job}")
        if answer is None:
            return
        scores = answer.json.get(subject.address, {}).get(REGION)
        # without the anchor the mean says nothing, and it is the first result that is stored
        number = round(1 / scores["success_rate"]) if scores and scores["success_rate"] else 0
        self._check_count("aggregated_stats", subject, answer, number)

    def _check_ranking(self, subject: Subject) -> None:
        answer = self._get("leaderboard", f"/api/leaderboard?orchestrator={subject.address}{_job_type(subject)}")
        if answer is not None:
            number = sum(row["events"] for row in answer.json["leaderboard"])
            self._check_count("leaderboard", subject, answer, number)

    def _check_history(self, subject: Subject) -> None:
        path = f"/api/score_history?orchestrator={subject.address}{_job_type(subject)}&interval=1h"
        answer = self._get("score_history", path + self._random.choice(("", f"&{WIDE_WINDOW}")))
        if answer is not None:
            self._check_count("score_history", subject, answer, sum(row["events"] for row in answer.json["history"]))

    def _check_orchestrator(self, subject: Subject) -> None:
        answer = self._get("orchestrators", f"/api/orchestrators/{subject.address}")
        if answer is None:
            return
        jobs = answer.json["jobs"]
        number = sum(job["events"] for job in jobs)
        self._check_count("orchestrators", subject, answer, number)
        # every result but the anchor has one error
        errors = sum(error["results"] for job in jobs for error in job["errors"])
        # during an outage the errors may be as of an earlier moment than the jobs
        if errors != max(0, number - 1) and "X-Data-As-Of" not in answer.headers:
            self._ledger.violate(f"orchestrators: {subject} has {number} results, but {errors} with an error")

    def _check_pipelines(self, _: Subject) -> None:
        answer = self._get("pipelines", "/api/pipelines")
        if answer is None:
            return
        # others may be simulated
        ours = [found for found in answer.json["pipelines"] if found["id"].startswith(PIPELINE_PREFIX)]
        answered = {(found["id"], *found["models"]) for found in ours}
        known = {subject for subject in self._ledger.known_subjects(answer.complete_until) if subject.is_ai}
        lacking = {(subject.pipeline, subject.model) for subject in known} - answered
        possible = {(subject.pipeline, subject.model) for subject in self._ledger.subjects() if subject.is_ai}
        if lacking or answered - possible:
            self._ledger.violate(f"pipelines: lacks {sorted(lacking)[:3]}, invents {sorted(answered - possible)[:3]}")

    def _check_count(self, what: str, subject: Subject, answer: Answer, number: int) -> None:
        self._ledger.check_count(what, subject, number, self._known(subject, answer))

    def _known(self, subject: Subject, answer: Answer) -> set[int]:
        return self._ledger.known_numbers(subject, answer.complete_until)

    def _get(self, kind: str, path: str) -> Answer | None:
        """A good answer, or None where the service or the connection failed in an allowed way."""
        try:
            # a proxy may keep answers, which lack what was acknowledged meanwhile
            answer = self._client.request("GET", path, None, **{"Cache-Control": "no-cache"})
        except BrokenConnection as error:
            self._counts.count_broken(kind, error)
            if isinstance(error, Hang):
                self._ledger.violate(str(error))
            return None
        self._counts.count(kind, answer)
        if fault := answer.fault():
            self._ledger.violate(f"{kind}: {fault}")
        if answer.status == 200:
            return answer
        if answer.status not in (503, 504):
            self._ledger.violate(f"{path} answered {answer.status}: {answer.body[:200]!r}")
        return None


def _job_type(subject: Subject) -> str:
    return "&job_type=ai" if subject.is_ai else ""
