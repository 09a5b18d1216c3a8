"""Charts of the rows that query functions return, for notebooks and reports.

Each function takes a frame of any engine and returns an Altair chart, which
needs no network: ``chart.save("ranking.png")``, .svg or .html. For an empty
frame the chart is empty and says so. Needs the extra ``notebooks``.
"""

from queries.charts.errors import errors
from queries.charts.heat_map import heat_map
from queries.charts.history import history
from queries.charts.latency import success_against_latency
from queries.charts.notebooks import draw_as_svg
from queries.charts.ranking import ranking
from queries.charts.round_trips import round_trip_times

__all__ = ["draw_as_svg", "errors", "heat_map", "history", "ranking", "round_trip_times", "success_against_latency"]
