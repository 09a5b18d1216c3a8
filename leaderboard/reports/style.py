"""The style of report pages: the palette of charts and pages, light and dark, on phones and on paper."""

from queries.charts import FONT_FAMILY, MONOSPACE_FAMILY, PALETTE, SPACES, TEXT_SIZES

_RULES = """
* { box-sizing: border-box }
body { font: var(--text-body)/1.5 var(--font); color: var(--text); background: var(--surface);
  max-width: 1100px; margin: 0 auto; padding: var(--space-4) var(--space-3) }
h1, h2, h3 { line-height: 1.25; margin: var(--space-5) 0 var(--space-2) }
h1 { font-size: var(--text-title); margin-top: 0 }
h2 { font-size: var(--text-subtitle); border-bottom: 1px solid var(--border); padding-bottom: var(--space-1) }
a { color: var(--link) }
code, pre, td.address { font-family: var(--monospace); font-size: 0.9em }
pre { background: var(--surface-raised); padding: var(--space-2); overflow-x: auto }
blockquote { margin: var(--space-2) 0; padding-left: var(--space-3); border-left: 3px solid var(--border) }
strong { overflow-wrap: anywhere }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: var(--space-1) var(--space-3);
  background: var(--surface-raised); padding: var(--space-3); margin: var(--space-3) 0 }
.facts dt { color: var(--text-muted) }
.facts dd { margin: 0; overflow-wrap: anywhere }
nav a { display: inline-block; margin-right: var(--space-3); line-height: 2 }
.scroll { overflow-x: auto; margin: var(--space-2) 0 }
.scroll:focus-visible { outline: 2px solid var(--link) }
img { display: block; max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: 0.8125rem }
td, th { border-bottom: 1px solid var(--border); padding: var(--space-1) var(--space-2); vertical-align: top;
  text-align: left; overflow-wrap: break-word }
th { border-bottom-width: 2px; vertical-align: bottom; font-weight: 600 }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums }
td.address, td.time { white-space: nowrap }
tbody tr:hover { background: var(--surface-raised) }
.note { color: var(--text-muted); font-size: var(--text-small); margin: var(--space-1) 0 }
.anchor-link { display: none }
@media (max-width: 640px) {
  body { padding: var(--space-3) var(--space-2) }
  .facts { grid-template-columns: 1fr; gap: 0 }
  .facts dd { margin-bottom: var(--space-2) }
  .scroll img { max-width: none }
  td.address { white-space: normal; overflow-wrap: anywhere; min-width: 22ch }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt }
  nav { display: none }
  .scroll { overflow: visible }
  table { font-size: 7.5pt }
  thead { display: table-header-group }
  tr, img, .facts { break-inside: avoid }
  h2, h3 { break-after: avoid }
}
"""


def page_style() -> str:
    """The style sheet of a page, with the palette as variables, for light and dark by the reader's wish."""
    sizes = {f"text-{name}": f"{pixels / 16:g}rem" for name, pixels in TEXT_SIZES.items()}
    spaces = {f"space-{number}": f"{pixels / 16:g}rem" for number, pixels in enumerate(SPACES, 1)}
    fonts = {"font": FONT_FAMILY, "monospace": MONOSPACE_FAMILY}
    colours = {name: f"light-dark({shade.light}, {shade.dark})" for name, shade in PALETTE.items()}
    variables = "\n".join(f"  --{name}: {value};" for name, value in (fonts | sizes | spaces | colours).items())
    return f":root {{\n  color-scheme: light dark;\n{variables}\n}}{_RULES}"


def with_dark_colours(svg: str) -> str:
    """The picture of a chart with a style of its own, that draws the palette's colours as the dark ones if wished."""
    rules = "".join(
        f'[{attribute}="{shade.light}"]{{{attribute}:{shade.dark}}}'
        for shade in PALETTE.values()
        for attribute in ("fill", "stroke")
        if f'{attribute}="{shade.light}"' in svg
    )
    start, end, rest = svg.partition(">")
    return f"{start}{end}<style>@media (prefers-color-scheme:dark){{{rules}}}</style>{rest}"
