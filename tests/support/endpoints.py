"""A GET of every endpoint, over three events at one moment."""

from tests.conftest import load_events

ADDRESS = "0x" + "aB" * 20
NOW = 1790000000
AI_JOB = {"pipeline": "Text to image", "model": "a/b"}
AI_QUERY = "pipeline=Text%20to%20image&model=a/b"
AT_NOW = f"since={NOW}&until={NOW}"
"""The query string of the window that has these events."""

GETS = {
    "aggregated_stats": f"/api/aggregated_stats?{AT_NOW}",
    "aggregated_stats, AI": f"/api/aggregated_stats?{AT_NOW}&{AI_QUERY}",
    "raw_stats": f"/api/raw_stats?{AT_NOW}&orchestrator={ADDRESS}",
    "raw_stats, AI": f"/api/raw_stats?{AT_NOW}&orchestrator={ADDRESS}&{AI_QUERY}",
    "score_history": f"/api/score_history?{AT_NOW}&orchestrator={ADDRESS}",
    "score_history, AI of the network": f"/api/score_history?{AT_NOW}&{AI_QUERY}",
    "network_stats": f"/api/network_stats?{AT_NOW}",
    "network_stats, AI": f"/api/network_stats?{AT_NOW}&job_type=ai&group_by=pipeline,model",
    "leaderboard": f"/api/leaderboard?{AT_NOW}",
    "leaderboard, AI": f"/api/leaderboard?{AT_NOW}&job_type=ai",
    "orchestrators": f"/api/orchestrators/{ADDRESS}?{AT_NOW}",
    "explanation": f"/api/orchestrators/{ADDRESS}/explanation?{AT_NOW}",
    "explanation, AI": f"/api/orchestrators/{ADDRESS}/explanation?{AT_NOW}&job_type=ai",
    "discovery": f"/api/discovery?{AT_NOW}",
    "gateway_preview": "/api/gateway_preview?region=FRA",
    "top_ai_score": f"/api/top_ai_score?orchestrator={ADDRESS}",
    "pipelines": f"/api/pipelines?{AT_NOW}",
    "regions": "/api/regions",
    "incidents": f"/api/incidents?{AT_NOW}",
    "exclusions": "/api/exclusions",
    "health": "/api/health",
}


def load_endpoint_events(url: str) -> None:
    """Stores the events that the GETs are about."""
    measures = {"success_rate": 0.5, "round_trip_time": 2, "seg_duration": 2, "timestamp": NOW - 60}
    load_events(
        url,
        [
            [NOW, ADDRESS, "FRA", "transcoding", measures],
            [NOW, ADDRESS, "MDW", "transcoding", measures | {"success_rate": 3}],
            [NOW, ADDRESS, "FRA", "ai", measures | AI_JOB],
        ],
    )


RESULT = {"region": "FRA", "orchestrator": "0x" + "a" * 40}
OUTAGE_PATHS = (
    "/api/aggregated_stats",
    "/api/raw_stats?orchestrator=0x1",
    "/api/score_history",
    "/api/network_stats",
    "/api/leaderboard",
    f"/api/orchestrators/0x{'a' * 40}",
    f"/api/orchestrators/0x{'a' * 40}/explanation",
    "/api/discovery",
    "/api/gateway_preview?region=FRA",
    "/api/top_ai_score?orchestrator=0x1",
    "/api/pipelines",
    "/api/regions",
    "/api/incidents",
    "/api/exclusions",
)
"""A GET of every endpoint that needs data."""
