"""Classes of errors: what they have in common, and what an operator can do."""

from dataclasses import dataclass

import polars as pl

MAX_TEXT_CHARACTERS = 4_000
"""A class is found in so much of an error's text."""


@dataclass(frozen=True)
class ErrorClass:
    """A class of errors.

    ``pattern`` is a regular expression of Rust's syntax. It is searched in the
    error's code and message, one line each, without regard to case.
    ``examples`` are codes or messages that testers post.
    """

    name: str
    meaning: str
    pattern: str
    examples: tuple[str, ...]
    what_to_do: str


def _status(codes: str) -> str:
    """The pattern of an HTTP status: as the whole code, after a word that announces one, or before its reason."""
    return (
        rf"^(?:HTTP)?[- ]?(?:STATUS)?[- ]?{codes}$"
        rf"|(?:\bHTTP(?:/[0-9.]+)?|status(?: ?code)?|HTTP error|error code|server returned)[ :=-]{{1,3}}{codes}\b"
        rf"|\b{codes} (?:bad|unauthorized|forbidden|not|payload|unprocessable|internal|service|gateway)"
    )


OTHER_CLASS = "other"
_NOT_OF_THE_NODE = "A text that begins with Post or Get is about the tester's way to its gateway, not about the node."

ERROR_CLASSES = (
    ErrorClass(
        "busy",
        "the orchestrator had no capacity left",
        r"orchestrator ?(?:is )?(?:capped|busy)|insufficient capacity|no (?:free |available |idle )?capacity"
        rf"|(?:at|over|out of) capacity|too many (?:concurrent )?(?:requests|sessions|streams)|resource_?exhausted"
        rf"|server (?:is )?(?:too )?busy|{_status('429')}",
        ("OrchestratorCapped", "OrchestratorBusy", "insufficient capacity", "429"),
        "Raise -maxSessions or the model's capacity if the GPU has room, or add GPUs.",
    ),
    ErrorClass(
        "no_orchestrator",
        "the gateway found no orchestrator that takes the job, or the orchestrator no worker",
        r"\bno ?(?:[a-z]+ ){0,2}(?:orchestrators?|sessions?|transcoders?|workers?)",
        ("NoOrchestrators", "NoSession", "no orchestrators available within 2s timeout", "no workers available"),
        "Check that the node is active and registered with the right service URI, offers the pipeline and model at an "
        "accepted price, and has a transcoder or AI worker connected.",
    ),
    ErrorClass(
        "out_of_memory",
        "the GPU or the machine ran out of memory",
        r"out[ _]?of[ _]?memory|cannot allocate memory|bad_alloc|\boom\b|oom[- ]?kill|insufficient (?:[a-z]+ )?memory",
        ("CUDA out of memory", "OpenEncodeSessionEx failed: out of memory", "Cannot allocate memory"),
        "Run fewer models or sessions on the GPU, or use one with more memory.",
    ),
    ErrorClass(
        "dns",
        "a host name could not be resolved",
        r"no such host|\blookup [^\n]*(?:timeout|misbehaving|refused|no answer)|server misbehaving|name resolution"
        r"|getaddrinfo|could not resolve|name or service not known|\bnxdomain\b|\bdns\b",
        ("no such host", "server misbehaving", "Temporary failure in name resolution"),
        f"{_NOT_OF_THE_NODE} Otherwise check that the host of the service URI resolves from outside.",
    ),
    ErrorClass(
        "timeout",
        "the answer took too long, or none came",
        rf"timeout|timed?[ -]out\b|deadline ?exceeded|took too long|^LostSegment$|{_status('(?:408|504)')}",
        ("Timeout", "context deadline exceeded", "i/o timeout", "LostSegment", "504"),
        "Compare the round trip times in this region with others. Check the node's load, bandwidth and firewall, and "
        "whether the model was cold.",
    ),
    ErrorClass(
        "tls",
        "no encrypted connection could be set up",
        r"\bx509\b|\btls\b|\bssl\b|certificate|authentication handshake|HTTP response to HTTPS client",
        ("x509: certificate has expired or is not yet valid", "remote error: tls: handshake failure"),
        f"{_NOT_OF_THE_NODE} Otherwise check the certificate of the service URI, its chain and its date, and whether "
        "a proxy before it speaks TLS.",
    ),
    ErrorClass(
        "refused",
        "the connection was refused or broke off",
        r"connection (?:was )?(?:refused|reset|aborted|closed|lost|error|broken)|broken pipe|\beof\b|no route to host"
        r"|unreachable|(?:network|host) is down|closed network connection|transport is closing|server closed"
        r"|remote end closed|econnre(?:fused|set)|code = unavailable|^(?:Download|ReadBody)$",
        ("connect: connection refused", "connection reset by peer", "EOF", "Download", "ReadBody"),
        f"{_NOT_OF_THE_NODE} Otherwise check that the node runs and did not restart, and that its service URI can be "
        "reached from outside: address, port, firewall and proxy.",
    ),
    ErrorClass(
        "verification",
        "the result was received and found wrong",
        r"pixel ?mismatch|pixels ?absent|audio ?mismatch|tampered|\bPM check failed|Invalid(?:Sign|Video)Data"
        r"|(?:hash|checksum) mismatch|\bverif|signature",
        ("PixelMismatch", "PM Check Failed", "verification failed"),
        "Use an unmodified release, and check the GPU and its driver for faults.",
    ),
    ErrorClass(
        "decoding",
        "the video or the answer could not be decoded or encoded",
        r"transcod(?:e|er|ing)(?: ?loop)? ?(?:invalid|unrecognized|incompatible|stopped|error|failed)|^Transcode$"
        r"|decod|encoder|invalid data|no (?:video )?frames|zero ?frames|probe failed|unsupported (?:codec|format|pixel)"
        r"|MediaStats|^EmptyData$|^ParseResponse$|unmarshal|invalid character|unexpected end of json|corrupt"
        r"|cuvid|nvenc|CUDA_ERROR|generic error in an external library",
        ("Transcode", "TranscoderInvalidVideo", "stream playback probe failed: exit status 1", "ParseResponse"),
        "Look in the node's log for the codec or the response that failed, and check the GPU's driver and the versions "
        "of ffmpeg and of the AI runner.",
    ),
    ErrorClass(
        "http_4xx",
        "the request was rejected, HTTP status 400 to 499",
        _status(r"4[0-9][0-9]"),
        ("404", "HTTP-STATUS-422", "HTTP 404"),
        "Check that the node serves the pipeline and model that it advertises, under the path and with the parameters "
        "of its release.",
    ),
    ErrorClass(
        "http_5xx",
        "the server failed, HTTP status 500 to 599",
        rf"{_status('5[0-9x][0-9x]')}|internal server error|bad gateway|service unavailable",
        ("503", "HTTP-STATUS-500", "502 Bad Gateway"),
        "Look in the logs of the node and of its AI runner at that time; restart the runner if it no longer answers.",
    ),
    ErrorClass(
        OTHER_CLASS,
        "any other error",
        "",
        ("SessionEnded", "InsufficientBalance", "Unknown"),
        "Look for the text in the node's log at that time. Some are the gateway's own, such as InsufficientBalance.",
    ),
)
"""The classes in the order of the rules: an error's class is the first whose pattern it contains, or ``other``."""


def classify_errors(error_code: pl.Expr, message: pl.Expr) -> pl.Expr:
    """The name of each error's class in ERROR_CLASSES (String, never null). Null codes and messages are empty ones.

    >>> errors = pl.DataFrame({"code": ["503", "503", "Timeout"], "message": ["insufficient capacity", "", None]})
    >>> errors.select(classify_errors(pl.col("code"), pl.col("message"))).to_series().to_list()
    ['busy', 'http_5xx', 'timeout']
    """
    code, message = (text.fill_null("").str.slice(0, MAX_TEXT_CHARACTERS) for text in (error_code, message))
    text = pl.concat_str(code, message, separator="\n")
    # \b of ASCII: where a text has other characters, that of Unicode takes ten times as long
    names = [
        pl.when(text.str.contains("(?im)" + found.pattern.replace(r"\b", r"(?-u:\b)"))).then(pl.lit(found.name))
        for found in ERROR_CLASSES
        if found.name != OTHER_CLASS
    ]
    return pl.coalesce(*names, pl.lit(OTHER_CLASS))
