"""The orchestrators that results are posted about, and the results themselves.

A result follows from its subject and its number alone, so that an answer can
be compared with what was posted, field by field.
"""

from dataclasses import dataclass
from typing import Any

NUMBER_FIELD = "ledger_number"
"""A field that the service does not know. It stores it, and raw_stats answers it."""
PIPELINE_PREFIX = "pipeline "
REGION = "FRA"


@dataclass(frozen=True)
class Subject:
    """One orchestrator. Its first result, the anchor, succeeded; all others failed.

    So its mean success rate is 1 / n, which tells how many results an answer
    was computed from.
    """

    index: int
    is_ai: bool
    batch_results: int
    """Results per post, the anchor excepted, which is posted alone."""

    @property
    def address(self) -> str:
        """The orchestrator's address."""
        return f"0x{self.index:040x}"

    @property
    def pipeline(self) -> str:
        """The pipeline of its AI jobs."""
        return f"{PIPELINE_PREFIX}{self.index}"

    @property
    def model(self) -> str:
        """The model of its AI jobs."""
        return f"model {self.index}"

    def result(self, number: int, *, is_anchor: bool = False) -> dict[str, Any]:
        """The result with this number, as a tester posts it."""
        common = {
            "region": REGION,
            "orchestrator": self.address,
            "success_rate": 1 if is_anchor else 0,
            "round_trip_time": 0.5 + number % 97 / 100,
            "errors": [] if is_anchor else [{"error_code": f"E{number % 7}", "message": "late", "count": 1}],
            "timestamp": 1_788_000_000 + number,
            NUMBER_FIELD: number,
        }
        if self.is_ai:
            return common | {"pipeline": self.pipeline, "model": self.model, "model_is_warm": number % 2 == 0}
        return common | {
            "seg_duration": 2,
            "segments_sent": number % 20,
            "segments_received": number % 19,
            "upload_time": 0.1,
            "download_time": 0.2,
            "transcode_time": 0.3,
        }

    def is_result(self, answered: dict[str, Any]) -> bool:
        """Whether raw_stats answers one of its results as it was posted."""
        number = answered.get(NUMBER_FIELD)
        if not isinstance(number, int):
            return False
        return answered in (self.result(number), self.result(number, is_anchor=True))

    def __str__(self) -> str:
        return f"{'AI' if self.is_ai else 'transcoding'} orchestrator {self.index}"
