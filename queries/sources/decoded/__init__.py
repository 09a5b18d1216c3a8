"""The lake's files, decoded once per machine into Arrow files that all of its processes map into memory."""

from queries.sources.decoded.categories import TextCategories
from queries.sources.decoded.decoded_files import MappedBatch
from queries.sources.decoded.lake import DecodedLake
from queries.sources.decoded.mapped_events import MappedEvents
from queries.sources.decoded.sorted_times import SortedTimes

__all__ = ["DecodedLake", "MappedBatch", "MappedEvents", "SortedTimes", "TextCategories"]
