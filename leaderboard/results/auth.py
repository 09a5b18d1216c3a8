"""The signature that a posted result carries in its Authorization header."""

import hmac


def sign(secret: str, body: bytes) -> str:
    """hex(HMAC-SHA256(secret, body)), in lower case."""
    return hmac.new(secret.encode(), body, "sha256").hexdigest()


def is_signed(secret: str, body: bytes, signature: str) -> bool:
    """Whether the signature is that of the body, told in constant time."""
    return hmac.compare_digest(sign(secret, body).encode(), signature.strip().lower().encode())
