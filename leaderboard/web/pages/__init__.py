"""The pages for people: the ranking, orchestrators, the network, models, gateways, formulas and the status.

How a page is made:

- One module per page, with one view: it parses the request, calls query
  functions, and renders a template. Templates compute nothing.
- The state of a page is in its URL. ``layout.state.PageState`` reads it and makes
  the links that change one part of it.
- ``layout.rendering.page_response`` caches a page for as long as its windows have
  the same events, as the API's responses are.
- Numbers and times are written by the filters of ``layout.formats``; pictures
  are SVG from ``drawing``, whose colours are classes of the style sheet.
- Everything works without JavaScript. ``static/app.js`` adds to it.
"""
