"""Pictures as SVG. Each function takes plain numbers and returns markup; colours and fonts are the style sheet's.

``chart.history_chart`` makes a whole figure with a legend:

    <figure class="chart" data-chart>
      <figcaption>…</figcaption>
      <svg class="plot" role="img" aria-label="…">…</svg>
      <ul class="legend"><li>… <b class="legend-value">0.913</b> <small class="legend-count">12 tests</small></li></ul>
      <script type="application/json">{"unit": …, "times": […], "series": […], …}</script>
    </figure>

A page shows it as it is, without another template or script. Where JavaScript
runs, ``static/app.js`` loads uPlot and draws the same from the JSON, so that a
span can be zoomed; the legend then shows the values under the pointer.
"""
