"""Renders a notebook's text, tables and charts as one HTML page."""

import re
from base64 import b64encode
from html import escape

from nbconvert import HTMLExporter
from nbformat import NotebookNode

from leaderboard.reports.notebooks import NO_REPORT_TAG

SVG, HTML = "image/svg+xml", "text/html"

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.2; margin: 2rem 0 .5rem }
img { max-width: 100%; height: auto; margin: .5rem 0 }
table { border-collapse: collapse; border: 0; font-size: 13px; margin: .5rem 0 }
td, th { border: 0; border-bottom: 1px solid #ddd; padding: .25rem .6rem; text-align: right }
th { border-bottom: 2px solid #999 }
pre { overflow: auto }
.output_html { overflow-x: auto }
.anchor-link { display: none }
"""
# the browser fetches nothing and runs no script, whatever the results contain
CONTENT_SECURITY_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def render_page(notebook: NotebookNode, title: str) -> str:
    """The text and the outputs of an executed notebook as self-contained HTML.

    The page leaves out the code, and with it the parameters, because the URL of
    a database holds a password. It also leaves out cells with NO_REPORT_TAG.
    """
    notebook.cells = [cell for cell in notebook.cells if NO_REPORT_TAG not in cell.metadata.get("tags", ())]
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if SVG in data:
                data[HTML] = _render_picture(data[SVG], data["text/plain"])
            elif HTML in data:
                data[HTML] = _simplify_table(data[HTML])
    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(notebook)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _simplify_table(html: str) -> str:
    """A table of Polars with unquoted text, empty cells for nulls, and column names that may wrap."""
    html = html.replace("<td>null</td>", "<td></td>")
    html = re.sub("<td>&quot;(.*?)&quot;</td>", r"<td>\1</td>", html)
    return re.sub("<th>.*?</th>", lambda name: name[0].replace("_", "_<wbr>"), html)


def _render_picture(svg: str, title: str) -> str:
    """The SVG as an image of its own. Inline SVGs on one page would share the ids of their parts."""
    return f'<img alt="{escape(title)}" src="data:{SVG};base64,{b64encode(svg.encode()).decode()}">'
