"""Charts and tables of the rows that query functions return, for notebooks and reports.

Each chart function takes a frame of any engine and returns an Altair chart,
which needs no network: ``chart.save("ranking.png")``, .svg or .html. The title
names the jobs of the ``event_filter``, and the subtitle the ``window``, where
they are given. For an empty frame the chart is empty and says so. Importing this
enables the project's theme for all charts of Altair; ``alt.theme.enable("default")``
undoes that. Needs the extra ``notebooks``.
"""

from queries.charts.errors import errors
from queries.charts.heat_map import heat_map
from queries.charts.history import history
from queries.charts.latency import success_against_latency
from queries.charts.notebooks import draw_as_svg
from queries.charts.palette import FONT_FAMILY as FONT_FAMILY
from queries.charts.palette import MONOSPACE_FAMILY as MONOSPACE_FAMILY
from queries.charts.palette import PALETTE as PALETTE
from queries.charts.palette import SPACES as SPACES
from queries.charts.palette import TEXT_SIZES as TEXT_SIZES
from queries.charts.ranking import ranking
from queries.charts.round_trips import round_trip_times
from queries.charts.tables import table
from queries.charts.theme import SCORE_SCALE as SCORE_SCALE
from queries.charts.theme import chart_title, inline_data

__all__ = [
    "chart_title",
    "draw_as_svg",
    "errors",
    "heat_map",
    "history",
    "inline_data",
    "ranking",
    "round_trip_times",
    "success_against_latency",
    "table",
]
