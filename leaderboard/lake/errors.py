"""Errors of the lake."""


class LakeError(Exception):
    """The lake cannot be written or checked. The message is one sentence."""


class LakeConflict(LakeError):
    """Another writer is at work or committed first. This writer changed nothing."""
