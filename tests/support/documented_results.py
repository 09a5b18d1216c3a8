"""The results that the example answers in docs/http-api.md are computed from."""

import calendar
import json
from typing import Any

FIRST, SECOND = "0x10e0a91e652b05e9c7449ff457cf2e96c3037fb7", "0x525419ff5707190389bfb5c87c375d710f5fcb0e"
NOON = calendar.timegm((2026, 9, 1, 12, 0, 0))
"""When the first result was received, unix seconds; each of the others came a minute after the one before."""
CAPPED = [{"error_code": "OrchestratorCapped", "message": "no capacity", "count": 1}]
UNAVAILABLE = [{"error_code": "HTTP-STATUS-503", "message": "Service Unavailable", "count": 1}]
IMAGE = {"pipeline": "Text to image", "model": "ByteDance/SDXL-Lightning", "model_is_warm": True}

FIRST_NODE, SECOND_NODE = (
    {"input_parameters": json.dumps({"prompt": "a city at dawn", "orchestrator": f"https://{name}.example.org:8935"})}
    for name in ("first", "second")
)

_JOBS = [
    (FIRST, "FRA", "transcoding", {"success_rate": 1, "round_trip_time": 0.7, "seg_duration": 2}),
    (FIRST, "FRA", "transcoding", {"success_rate": 0.5, "round_trip_time": 0.9, "seg_duration": 2, "errors": CAPPED}),
    (FIRST, "LAX", "transcoding", {"success_rate": 1, "round_trip_time": 1.2, "seg_duration": 2}),
    (SECOND, "FRA", "transcoding", {"success_rate": 1, "round_trip_time": 2, "seg_duration": 2}),
    (FIRST, "FRA", "ai", IMAGE | FIRST_NODE | {"success_rate": 1, "round_trip_time": 3}),
    (SECOND, "FRA", "ai", IMAGE | SECOND_NODE | {"success_rate": 1, "round_trip_time": 5}),
    (SECOND, "FRA", "ai", IMAGE | SECOND_NODE | {"success_rate": 0, "round_trip_time": 9, "errors": UNAVAILABLE}),
]


_OUTAGE_BEGIN = calendar.timegm((2026, 8, 3, 0, 0, 0))
_OUTAGE_HOURS = range(30, 34)


def _outage() -> list[list[Any]]:
    """Two days in which every orchestrator is tested once an hour in two regions. In one, all fail for four hours."""
    return [
        [
            _OUTAGE_BEGIN + 3600 * hour + 60 * number,
            f"0x{number:040x}",
            region,
            "transcoding",
            {
                "success_rate": 0 if region == "SYD" and hour in _OUTAGE_HOURS else 1,
                "round_trip_time": 1,
                "seg_duration": 2,
            },
        ]
        for hour in range(48)
        for number in range(1, 7)
        for region in ("SYD", "HND")
    ]


def documented_results() -> list[list[Any]]:
    """``[event_time, orchestrator, region, job_type, payload]`` of each result."""
    return [
        [NOON + 60 * number, orchestrator, region, job_type, fields | {"timestamp": NOON + 60 * number - 5}]
        for number, (orchestrator, region, job_type, fields) in enumerate(_JOBS)
    ] + _outage()


DOCUMENTED_EXCLUSION = """
    INSERT INTO exclusions (region, job_type, since, until, reason, added_at, added_by)
    VALUES ('SIN', 'transcoding', '2026-08-30 06:00+00', '2026-08-30 12:00+00', 'the tester''s disk was full',
        '2026-08-30 20:00+00', 'ann@operations.example')"""
"""It covers none of the results."""
