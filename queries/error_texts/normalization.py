"""Error texts without what differs from one occurrence of an error to the next."""

import polars as pl

MAX_CHARACTERS = 500
"""Longer texts are cut."""

# of ASCII: where a text has other characters, \b and \w of Unicode take ten times as long
_B, _N, _W = r"(?-u:\b)", "[0-9]", "[0-9A-Za-z_]"
_HEX = "[0-9A-Fa-f]"
_DAY, _CLOCK = rf"{_N}{{4}}[-/]{_N}{{2}}[-/]{_N}{{2}}", rf"{_N}{{1,2}}:{_N}{{2}}(?::{_N}{{2}}(?:[.,]{_N}+)?)?"
_UNITS = "[kKMGT]i?B|bytes|[kKMGT]bps|ms|sec|secs|seconds?|minutes?|hours?"
_KEYS = rf"{_W}*(?:[iI][dD]|seqNo|nonce|pid|port|dur|IP|offset|size|length)"
# what a URL may contain, and how one ends in a sentence: in none of :.,
_IN_URL, _AT_END_OF_URL = r"[^\s\"'<>\\/?#,;(){}]", r"[^\s\"'<>\\/?#,;(){}:.]"

_RULES = (
    # colours of a terminal, then all that is no character of a text
    (r"\x1b\[[0-9;]*[A-Za-z]", ""),
    (r"[[\p{Cc}\p{Cf}\p{Co}\p{Z}]--[ ]]+", " "),
    (" {2,}", " "),
    (rf"([a-zA-Z][a-zA-Z0-9+.-]*)://{_IN_URL}*{_AT_END_OF_URL}", "$1://…"),
    # the query of a URL
    (r"(://…[^\s\"'<>\\?#,;(){}]*)[?#][^\s\"'<>\\,;(){}]*", "$1"),
    # addresses with their ports
    (rf"\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%{_W}+)?\](?::{_N}+)?", "…"),
    (rf"{_B}(?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}{_B}", "…"),
    (rf"{_B}(?:{_HEX}{{1,4}}:){{1,6}}(?::{_HEX}{{1,4}}){{1,6}}{_B}", "…"),
    (rf"{_B}{_N}{{1,3}}(?:\.{_N}{{1,3}}){{3}}(?::{_N}{{1,5}})?{_B}", "…"),
    (rf"{_B}(?:localhost|(?:[0-9A-Za-z_-]+\.)+[a-zA-Z]{{2,}}):{_N}{{1,5}}{_B}", "…"),
    # names in certificates
    (rf"{_B}certificate is valid for [^\n]*?, not [^\s:]+", "certificate is valid for …, not …"),
    # identifiers, moments, hashes
    (rf"{_B}{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}{_B}", "…"),
    (rf"{_B}0[xX]{_HEX}+{_B}", "…"),
    (rf"{_B}{_DAY}(?:[T ]{_CLOCK}(?: ?(?:Z|UTC|[+-]{_N}{{2}}:?{_N}{{2}}))?)?{_B}", "…"),
    (rf"{_B}{_CLOCK}{_B}", "…"),
    (rf"{_B}{_HEX}{{8,}}{_B}", "…"),
    # lengths of time, sizes
    (rf"{_B}(?:{_N}+(?:\.{_N}+)?(?:ns|us|µs|ms|s|m|h))+{_B}", "…"),
    (rf"{_B}{_N}+(?:\.{_N}+)? ?({_UNITS}){_B}", "… $1"),
    # numbers that count or name something; a status or an exit code stays
    (rf"{_B}({_KEYS})=[^\s,;:(){{}}\]\"']+", "$1=…"),
    (rf"{_B}({_KEYS}): ?{_N}+{_B}", "$1: …"),
    (
        rf"(?i){_B}(segment|attempt|retry|try|frame|task|line|process|port|gpu|chunk|packet)( #?|#){_N}+{_B}",
        "$1$2…",
    ),
    (rf"{_B}{_N}{{4,}}{_B}", "…"),
    # names that could not be resolved, and the resolvers
    (rf"{_B}lookup (?:[0-9A-Za-z_.…-]+(?: on …)+|[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)+\.?)", "lookup …"),
    (r"…(?:[-._]?…)+", "…"),
)


def normalize_error(text: pl.Expr) -> pl.Expr:
    """The text with … for what differs between two occurrences of the same error (String, null for null).

    That is: hosts, ports and queries of URLs, addresses, identifiers, hashes,
    hexadecimal numbers, moments, lengths of time, sizes, and numbers of four or
    more digits. Control characters become spaces, and texts are cut after
    MAX_CHARACTERS. HTTP statuses and exit codes stay. Normalizing twice changes
    nothing. Takes time linear in the length of the text.

    >>> text = 'Post "https://203.0.113.7:9935/text-to-image": dial tcp 203.0.113.7:9935: connect: connection refused'
    >>> pl.select(normalize_error(pl.lit(text))).item()
    'Post "https://…/text-to-image": dial tcp …: connect: connection refused'
    """
    cut = pl.when(text.str.len_chars() > MAX_CHARACTERS).then(
        pl.concat_str(text.str.slice(0, MAX_CHARACTERS - 1), pl.lit("…"))
    )
    normalized = cut.otherwise(text)
    for pattern, replacement in _RULES:
        normalized = normalized.str.replace_all(pattern, replacement)
    return normalized.str.strip_chars()


_MESSAGE_PATHS = ("$.error.message", "$.detail.msg", "$.detail[0].msg", "$.error", "$.message", "$.detail", "$.msg")


def message_text(message: pl.Expr) -> pl.Expr:
    """The sentence in a message that is the JSON or HTML body of a response, and any other message as it is."""
    json = [pl.when(message.str.starts_with("{")).then(message.str.json_path_match(path)) for path in _MESSAGE_PATHS]
    title = message.str.extract(r"(?i)<title>([^<]*)</title>")
    return pl.coalesce(*json, title, message)
