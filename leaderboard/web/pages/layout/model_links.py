"""The URLs of models, whose names may hold anything."""

import re

from leaderboard.web.pages.layout.state import PageState

# browsers and proxies change other paths: they resolve dots, merge slashes, and decode what is quoted
_PLAIN_PIPELINE = re.compile(r"[\w ,:;@+~()-][\w .,:;@+~()-]*", re.ASCII)
_PLAIN_MODEL = re.compile(f"{_PLAIN_PIPELINE.pattern}(/{_PLAIN_PIPELINE.pattern})*", re.ASCII)


def model_link(state: PageState, pipeline: str, model: str) -> str:
    """The URL of the page of a model. Names that a path cannot hold are parameters instead."""
    is_plain = _PLAIN_PIPELINE.fullmatch(pipeline) and _PLAIN_MODEL.fullmatch(model)
    endpoint = "pages.model" if is_plain else "pages.model_by_name"
    return state.link(endpoint, job_type=None, pipeline=pipeline, model=model)
