"""Contrast of colours, and how people see them who lack one kind of cone. Colours are ``#rrggbb``."""

from collections.abc import Sequence

Triple = tuple[float, float, float]

# Machado, Oliveira and Fernandes 2009, severity 1.0, for linear RGB
VISIONS: dict[str, tuple[Triple, Triple, Triple]] = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""For each kind of vision, the matrix that turns linear RGB into what is seen."""

_RGB_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_WHITE = (0.95047, 1.0, 1.08883)


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG, from 1 to 21."""
    darker, lighter = sorted(_multiply(_RGB_TO_XYZ, _linear(colour))[1] for colour in (first, second))
    return (lighter + 0.05) / (darker + 0.05)


def distance(first: str, second: str, vision: str) -> float:
    """The distance in CIELAB (ΔE 1976) between two colours as that vision sees them."""
    return sum((a - b) ** 2 for a, b in zip(_lab(first, vision), _lab(second, vision), strict=True)) ** 0.5


def _linear(colour: str) -> Triple:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return _decode(red), _decode(green), _decode(blue)


def _decode(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _lab(colour: str, vision: str) -> Triple:
    seen = [min(max(channel, 0.0), 1.0) for channel in _multiply(VISIONS[vision], _linear(colour))]
    x, y, z = (_compress(value / white) for value, white in zip(_multiply(_RGB_TO_XYZ, seen), _WHITE, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _compress(value: float) -> float:
    return value ** (1 / 3) if value > (6 / 29) ** 3 else value / (3 * (6 / 29) ** 2) + 4 / 29


def _multiply(matrix: Sequence[Triple], vector: Sequence[float]) -> Triple:
    x, y, z = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return x, y, z
