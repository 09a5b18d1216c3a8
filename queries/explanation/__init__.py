"""Why an orchestrator's score is what it is, in numbers and in words."""

from queries.explanation.explain import explanation as explanation
from queries.explanation.result import REASONS as REASONS
from queries.explanation.result import Explanation as Explanation
