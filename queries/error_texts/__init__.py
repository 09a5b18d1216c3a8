"""The errors that testers post: cut out of the results, made comparable, and put into classes."""

from queries.error_texts.classes import ERROR_CLASSES, ErrorClass, classify_errors
from queries.error_texts.normalization import message_text, normalize_error
from queries.error_texts.splitting import split_errors

__all__ = ["ERROR_CLASSES", "ErrorClass", "classify_errors", "message_text", "normalize_error", "split_errors"]
