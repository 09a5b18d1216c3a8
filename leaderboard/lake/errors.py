"""Errors of the lake."""


class LakeError(Exception):
    """The lake cannot be written or checked. The message is one sentence."""


class NoPlaceForLake(LakeError):
    """This machine cannot keep the lake: its folder is read-only, or the disk has too little room."""


class LakeConflict(LakeError):
    """Another writer is at work or committed first. This writer changed nothing."""
