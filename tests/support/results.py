"""Events for ``load_events``."""

from typing import Any


def transcoding_event(event_time: float, address: str, **payload: Any) -> list[Any]:
    """A row of a transcoding job in FRA that succeeded, with these fields of the payload changed."""
    measures = {"success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
    return [event_time, address, "FRA", "transcoding", measures | payload]
