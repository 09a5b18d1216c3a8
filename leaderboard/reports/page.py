"""Renders a notebook's text, tables and charts as one HTML page."""

import re
from base64 import b64encode
from collections.abc import Mapping
from html import escape

from nbconvert import HTMLExporter
from nbformat import NotebookNode

from leaderboard.reports.notebooks import NO_REPORT_TAG
from leaderboard.reports.style import page_style, with_dark_colours

SVG, HTML = "image/svg+xml", "text/html"

# the browser fetches nothing and runs no script, whatever the results contain
CONTENT_SECURITY_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_TITLE = re.compile(r"\A# (.+)\n*")
_SECTION = re.compile(r'<h2 id="([^"]*)">(.*?)<a class="anchor-link"')


def render_page(notebook: NotebookNode, facts: Mapping[str, str]) -> str:
    """The text and the outputs of an executed notebook as self-contained HTML.

    The page begins with the notebook's title, the ``facts`` and links to the
    sections. It leaves out the code, and with it the parameters, because the URL
    of a database holds a password. It also leaves out cells with NO_REPORT_TAG.
    """
    notebook.cells = [cell for cell in notebook.cells if NO_REPORT_TAG not in cell.metadata.get("tags", ())]
    title = _take_title(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if SVG in data:
                data[HTML] = _render_picture(data[SVG], data["text/plain"])
            elif HTML in data:
                data[HTML] = _scrollable("Table", data[HTML])
    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(notebook)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{page_style()}</style>\n</head>\n<body>\n"
        f"{_render_header(title, facts, _SECTION.findall(body))}\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _take_title(notebook: NotebookNode) -> str:
    """The title that the first cell begins with, which is cut out of it."""
    first = notebook.cells[0]
    found = _TITLE.match(first.source)
    if found is None:
        raise ValueError("the first cell of a notebook must begin with its title")
    first.source = first.source[found.end() :]
    return found[1]


def _render_header(title: str, facts: Mapping[str, str], sections: list[tuple[str, str]]) -> str:
    """The title, the facts and the links. ``sections`` are the ids and texts of headings, which are HTML already."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    links = " ".join(f'<a href="#{anchor}">{text}</a>' for anchor, text in sections)
    return (
        f'<header>\n<h1>{escape(title)}</h1>\n<dl class="facts">{rows}</dl>\n'
        f'<nav aria-label="Sections">{links}</nav>\n</header>'
    )


def _render_picture(svg: str, title: str) -> str:
    """The SVG as an image of its own. Inline SVGs on one page would share the ids of their parts."""
    source = f"data:{SVG};base64,{b64encode(with_dark_colours(svg).encode()).decode()}"
    return _scrollable("Chart", f'<img alt="{escape(title)}" src="{source}">')


def _scrollable(what: str, html: str) -> str:
    """A box that scrolls by itself where the page is too narrow, with the keyboard as well."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{what}">{html}</div>'
