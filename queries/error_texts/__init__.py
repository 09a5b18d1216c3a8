"""The errors that testers post: cut out of the results, made comparable, and put into classes."""

from queries.error_texts.splitting import split_errors

__all__ = ["split_errors"]
