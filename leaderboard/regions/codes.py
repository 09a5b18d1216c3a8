"""What a region's code and display name may be."""

import re

MAX_CODE_LENGTH, MAX_DISPLAY_NAME_LENGTH = 56, 128
"""As many characters as the columns hold."""
CODE_RULE = f"a code has 1 to {MAX_CODE_LENGTH} letters, digits, - and _, and begins with a letter or digit"
DISPLAY_NAME_RULE = f"a display name has 1 to {MAX_DISPLAY_NAME_LENGTH} printable characters"

_CODE = re.compile(f"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_CODE_LENGTH - 1}}}")


def is_code(text: str) -> bool:
    """Whether a region may be registered under this code, which may be in any case."""
    return _CODE.fullmatch(text) is not None


def is_display_name(text: str) -> bool:
    """Whether PostgreSQL can store a display name, and a terminal show it."""
    return 0 < len(text) <= MAX_DISPLAY_NAME_LENGTH and text.isprintable() and not text.isspace()
