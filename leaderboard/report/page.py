"""A notebook's text, tables and charts as one page."""

from base64 import b64encode
from html import escape

from nbconvert import HTMLExporter
from nbformat import NotebookNode

SVG = "image/svg+xml"

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
    URL has a password.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if SVG in output.get("data", ()):
                output.data["text/html"] = _picture(output.data[SVG], output.data["text/plain"])
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


def _picture(svg: str, title: str) -> str:
    """A picture by itself, as the parts of several SVGs in one page would share their names."""
    return f'<img alt="{escape(title)}" src="data:{SVG};base64,{b64encode(svg.encode()).decode()}">'
