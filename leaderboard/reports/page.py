"""A notebook's text, tables and charts as one page."""

import re
from base64 import b64encode
from html import escape

from nbconvert import HTMLExporter
from nbformat import NotebookNode

from leaderboard.reports.notebooks import NO_REPORT

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
# nothing is fetched and no script runs, whatever is in the results
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(notebook: NotebookNode, title: str) -> str:
    """The outputs and the text of a notebook that was run, as HTML that needs nothing beside it.

    Its code is left out, and with it what the parameters were: a database's
    URL has a password. So are cells with the tag NO_REPORT.
    """
    notebook.cells = [cell for cell in notebook.cells if NO_REPORT not in cell.metadata.get("tags", ())]
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            shown = output.get("data", {})
            if SVG in shown:
                shown[HTML] = _picture(shown[SVG], shown["text/plain"])
            elif HTML in shown:
                shown[HTML] = _table(shown[HTML])
    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(notebook)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _table(html: str) -> str:
    """A table of Polars with its text plain, nothing where there is nothing, and names that may be broken."""
    html = html.replace("<td>null</td>", "<td></td>")
    html = re.sub("<td>&quot;(.*?)&quot;</td>", r"<td>\1</td>", html)
    return re.sub("<th>.*?</th>", lambda name: name[0].replace("_", "_<wbr>"), html)


def _picture(svg: str, title: str) -> str:
    """A picture by itself, as the parts of several SVGs in one page would share their names."""
    return f'<img alt="{escape(title)}" src="data:{SVG};base64,{b64encode(svg.encode()).decode()}">'
