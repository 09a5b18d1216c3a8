"""What went wrong at a tester, and not at the orchestrators that it tests."""

from queries.incidents.detection import INCIDENT_EVENT_COLUMNS as INCIDENT_EVENT_COLUMNS
from queries.incidents.detection import INCIDENT_KINDS as INCIDENT_KINDS
from queries.incidents.detection import incidents as incidents
