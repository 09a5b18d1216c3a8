"""Authentication of what testers post: the signature in the Authorization header."""

import hmac


class NotAuthenticated(Exception):
    """The request does not carry the signature of its body."""


def authenticate(secret: str | None, body: bytes, signature: str) -> None:
    """Raises NotAuthenticated unless ``signature`` is that of the body, and always where there is no secret.

    The comparison takes the same time wherever the signatures differ.
    """
    if secret is None:
        raise NotAuthenticated("posting is off on this server, which has no SECRET")
    if not hmac.compare_digest(sign(secret, body).encode(), signature.strip().lower().encode()):
        raise NotAuthenticated("the Authorization header is not the signature of this body")


def sign(secret: str, body: bytes) -> str:
    """The signature hex(HMAC-SHA256(secret, body)), in lower case."""
    return hmac.new(secret.encode(), body, "sha256").hexdigest()
