"""The page of one orchestrator, its badge and its feed."""

# each of them adds its view to the blueprint
from leaderboard.web.pages.orchestrator import badge as badge
from leaderboard.web.pages.orchestrator import feed as feed
from leaderboard.web.pages.orchestrator import page as page
