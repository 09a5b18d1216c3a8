// What JavaScript adds to the pages. Without it they are whole and usable.
//
// - The page is fetched again every half minute while it is visible, and only what changed is replaced.
// - The ranking is searched while one types.
// - Charts can be zoomed, addresses and commands copied, tables walked through with the arrow keys.
// - Times stay current, and are shown relative to now, in UTC or in local time.
//
// enhance() adds the elements for this to a page, to the shown one and to each that replaces it, so that the two
// differ only in what the service changed. All that is added has the attribute data-added.

const REFRESH_SECONDS = 30;
const MAX_REFRESH_SECONDS = 300;
const TIMEOUT_SECONDS = 20;
const SEARCH_DELAY_MS = 250;
const TICK_MS = 5000;
const main = document.querySelector("main");
const search = document.getElementById("search");
const scripts = document.querySelector("script[data-idiomorph]").dataset;

// ---- what the browser remembers ----

const remembered = {
  get(name) {
    try { return localStorage.getItem(name); } catch { return null; }
  },
  set(name, value) {
    try { localStorage.setItem(name, value); } catch { /* then only this page has it */ }
  },
};

// ---- times ----

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
let timeStyle = remembered.get("times") ?? "relative";

function relative(moment) {
  const age = (Date.now() - moment) / 1000;
  if (Math.abs(age) < 1) return "now";
  const [name, seconds] = UNITS.find(([, unit]) => Math.abs(age) >= unit);
  const number = Math.floor(Math.abs(age) / seconds);
  const span = `${number.toLocaleString("en")} ${name}${number === 1 ? "" : "s"}`;
  return age > 0 ? `${span} ago` : `in ${span}`;
}

function writeMoment(moment) {
  if (timeStyle === "utc") return `${moment.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  if (timeStyle === "local") return moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return relative(moment);
}

function writeTimes(page) {
  for (const element of page.querySelectorAll("time[datetime]")) {
    const text = writeMoment(new Date(element.dateTime));
    if (element.textContent !== text) element.textContent = text;
  }
}

// ---- what is added to a page ----

const COPY_ICON = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M5 5V2h9v9h-3M2 5h9v9H2z"/></svg>';

function copyButton(text, label) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "copy", innerHTML: COPY_ICON, title: `Copy ${label}` });
  button.setAttribute("aria-label", button.title);
  button.dataset.added = "";
  button.dataset.text = text;
  return button;
}

function enhance(page) {
  writeTimes(page);
  for (const address of page.querySelectorAll("abbr.address")) {
    (address.closest("a") ?? address).after(copyButton(address.title, address.textContent));
  }
  for (const element of page.querySelectorAll("[data-copy]")) {
    element.after(copyButton(element.dataset.copy || element.textContent, "this"));
  }
  for (const table of page.querySelectorAll("table[data-keys]")) {
    for (const [number, row] of [...table.tBodies[0].rows].entries()) row.tabIndex = number === 0 ? 0 : -1;
  }
  for (const figure of page.querySelectorAll("figure[data-chart]")) {
    const zoom = document.createElement("div");
    zoom.className = "plot-zoom";
    const hint = document.createElement("small");
    hint.className = "plot-hint";
    zoom.dataset.added = hint.dataset.added = "";
    figure.querySelector("svg.plot").after(zoom);
    figure.querySelector("figcaption").append(hint);
  }
}

// What scrolls sideways and has nothing to focus in it gets the focus itself, so that arrow keys scroll it.
function focusScrollers() {
  for (const element of main.querySelectorAll("pre, .table")) {
    const isStuck = element.scrollWidth > element.clientWidth && !element.querySelector("a, button, [tabindex]");
    if (isStuck) element.tabIndex = 0;
  }
}

// ---- the page, replaced in place ----

const loads = new Map();

function loadScript(url) {
  if (!loads.has(url)) {
    loads.set(url, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, { src: url, onload: resolve, onerror: reject });
      document.head.append(script);
    }).catch((error) => {
      loads.delete(url);
      throw error;
    }));
  }
  return loads.get(url);
}

function isBeingEdited(element) {
  if (!element.matches("input:not([type=hidden]), select, textarea")) return false;
  if (element === document.activeElement) return true;
  if (element.options) {
    const options = [...element.options];
    return element.selectedOptions[0] !== (options.find((option) => option.defaultSelected) ?? options[0]);
  }
  return element.value !== element.defaultValue || element.checked !== element.defaultChecked;
}

const keepWhatPeopleDid = {
  beforeNodeMorphed(old, next) {
    if (old.nodeType !== Node.ELEMENT_NODE) return true;
    if (old.hasAttribute("data-added") || isBeingEdited(old)) return false;
    // a cell is highlighted if its number changed, but not if another row came to its place
    const isNumber = old.matches("tr[id] > td, .figure-value") && !old.querySelector("time");
    if (isNumber && next.parentNode.id === old.parentNode.id && old.textContent !== next.textContent) {
      next.dataset.updated = "";
    }
    return true;
  },
  beforeAttributeUpdated(name, element) {
    const isOfPeople = (name === "open" && element.matches("details"))
      || (name === "tabindex" && element.matches("tr, pre, .table"));
    return !isOfPeople && name !== "data-zoomable";
  },
};

function replaceMain(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  enhance(page);
  document.title = page.title;
  Idiomorph.morph(main, page.querySelector("main"), { callbacks: keepWhatPeopleDid });
  for (const table of main.querySelectorAll("table[data-keys]")) chooseRow(table);
  focusScrollers();
  drawCharts();
}

const banner = document.querySelector("[data-refresh-banner]");
const status = document.querySelector("[data-refresh-status]");
let checkedAt = new Date(performance.timeOrigin);
let shownETag = null;
let waitSeconds = REFRESH_SECONDS;
let timer = 0;
let loading = null;

// The HTML of a URL and its ETag; null if it is what is shown. Throws if the service does not answer.
async function fetchChanged(url, signal) {
  const response = await fetch(url, { cache: "no-cache", signal });
  if (response.status >= 500) throw new Error(`status ${response.status}`);
  const etag = response.headers.get("ETag");
  // a redirect leads to another page, and 4xx is about this page's own URL, which does not change
  if (!response.ok || response.redirected || etag === shownETag) return null;
  const html = await response.text();
  await loadScript(scripts.idiomorph);
  return { html, etag };
}

// Shows the page of a URL, if it is another one than what is shown. Of several calls the last one counts.
async function load(url) {
  loading?.abort();
  const own = (loading = new AbortController());
  let changed = null;
  let hasAnswered = true;
  try {
    changed = await fetchChanged(url, AbortSignal.any([own.signal, AbortSignal.timeout(1000 * TIMEOUT_SECONDS)]));
  } catch {
    hasAnswered = false;
  }
  if (own !== loading) return;
  loading = null;
  if (hasAnswered) checkedAt = new Date();
  waitSeconds = hasAnswered ? REFRESH_SECONDS : Math.min(2 * waitSeconds, MAX_REFRESH_SECONDS);
  refreshLater();
  if (changed) {
    shownETag = changed.etag;
    replaceMain(changed.html);
  }
  writeStatus();
}

function refreshLater() {
  clearTimeout(timer);
  // up to a tenth later, so that pages that were opened together do not ask together
  timer = setTimeout(refresh, 1000 * waitSeconds * (1 + Math.random() / 10));
}

function refresh() {
  if (document.hidden) return;
  load(location.href);
}

function refreshIfOld() {
  if (!document.hidden && !loading && Date.now() - checkedAt > 1000 * REFRESH_SECONDS) refresh();
}

function writeStatus() {
  const fails = waitSeconds > REFRESH_SECONDS;
  if (fails && banner.hidden) banner.querySelector("span").textContent = "The service does not answer.";
  banner.hidden = !fails;
  banner.querySelector("small").textContent = fails ? `This page is as it was ${relative(checkedAt)}.` : "";
  status.textContent = `Updated ${relative(checkedAt)}`;
}

document.addEventListener("visibilitychange", refreshIfOld);
window.addEventListener("pageshow", (event) => event.persisted && refreshIfOld());
window.addEventListener("online", refresh);
document.addEventListener("animationend", (event) => event.target.removeAttribute("data-updated"));

// ---- search ----

let searching = 0;

function searchNow() {
  const url = new URL(location.href);
  url.searchParams.delete("page");
  url.searchParams.delete("q");
  if (search.value.trim()) url.searchParams.set("q", search.value.trim());
  history.replaceState(null, "", url);
  load(url.href);
}

if (new URL(search.form.action).pathname === location.pathname) {
  search.addEventListener("input", () => {
    clearTimeout(searching);
    searching = setTimeout(searchNow, SEARCH_DELAY_MS);
  });
}

// ---- keys ----

function chooseRow(table, row = table.querySelector("tr[tabindex='0']") ?? table.tBodies[0].rows[0]) {
  for (const other of table.tBodies[0].rows) other.tabIndex = other === row ? 0 : -1;
}

function moveInTable(event) {
  const row = event.target.closest("table[data-keys] tbody tr");
  if (!row) return;
  const rows = [...row.parentNode.rows];
  const targets = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling, Home: rows[0], End: rows.at(-1) };
  if (event.key in targets) {
    event.preventDefault();
    const target = targets[event.key] ?? row;
    chooseRow(row.closest("table"), target);
    target.focus();
  } else if (event.key === "Enter" && event.target === row) {
    row.querySelector("a[href]")?.click();
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    search.focus();
    search.select();
  } else {
    moveInTable(event);
  }
});

// ---- copying ----

async function copy(text) {
  // browsers have no clipboard on pages of plain http
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  await copy(button.dataset.text);
  button.focus();
  button.dataset.done = "";
  button.setAttribute("aria-label", "Copied");
  setTimeout(() => {
    delete button.dataset.done;
    button.setAttribute("aria-label", button.title);
  }, 2000);
});

// ---- charts ----

const WRITE_VALUE = {
  score: (value) => value.toFixed(3),
  share: (value) => `${(100 * value).toFixed(1)} %`,
  seconds: (value) => (value < 1 ? `${(1000 * value).toFixed(0)} ms` : `${value.toFixed(2)} s`),
};
const WRITE_TICK = { score: String, share: (value) => `${100 * value} %`, seconds: (value) => `${value} s` };
const DAY_SECONDS = 86400;
const charts = new Map();
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

// A colour of the style sheet as the current theme has it.
function colour(name) {
  probe.style.color = `var(--${name === "reference" ? "text-muted" : name})`;
  return getComputedStyle(probe).color;
}

const zone = () => (timeStyle === "local" ? undefined : "UTC");

function writeDate(seconds, options) {
  // as the service writes them: Sep
  return new Date(1000 * seconds).toLocaleString("en-GB", { timeZone: zone(), ...options }).replace("Sept", "Sep");
}

function writeTimeTick(seconds, increment) {
  if (increment >= 28 * DAY_SECONDS) return writeDate(seconds, { month: "short", year: "numeric" });
  const clock = writeDate(seconds, { hour: "2-digit", minute: "2-digit" });
  return increment < DAY_SECONDS && clock !== "00:00" ? clock : writeDate(seconds, { day: "numeric", month: "short" });
}

async function drawCharts() {
  for (const figure of charts.keys()) {
    if (!figure.isConnected) {
      charts.get(figure).destroy();
      charts.delete(figure);
    }
  }
  const figures = document.querySelectorAll("figure[data-chart]");
  if (!figures.length) return;
  if (!loads.has(scripts.uplot)) {
    const style = document.createElement("link");
    Object.assign(style, { rel: "stylesheet", href: scripts.uplotCss });
    document.head.append(style);
  }
  try {
    await loadScript(scripts.uplot);
  } catch {
    return;
  }
  for (const figure of figures) {
    const source = figure.querySelector("script").textContent;
    if (!charts.has(figure)) charts.set(figure, new ZoomableChart(figure));
    charts.get(figure).show(source);
  }
}

class ZoomableChart {
  constructor(figure) {
    this.figure = figure;
    this.box = figure.querySelector(".plot-zoom");
    this.hint = figure.querySelector(".plot-hint");
    this.resized = new ResizeObserver(() => this.plot?.setSize({ width: this.box.clientWidth, height: this.plot.height }));
    this.resized.observe(this.box);
  }

  show(source) {
    if (source === this.source) return;
    const before = this.data;
    this.source = source;
    this.data = JSON.parse(source);
    this.legend = [...this.figure.querySelectorAll(".legend li")].map((item) => {
      const parts = [item.querySelector(".legend-value"), item.querySelector(".legend-count")];
      return parts.map((element) => ({ element, text: element.textContent }));
    });
    const picture = this.figure.querySelector("svg.plot");
    this.box.setAttribute("role", "img");
    this.box.setAttribute("aria-label", picture.getAttribute("aria-label"));
    const columns = [this.data.times, ...this.data.series.map((one) => one.values)];
    if (this.plot && before.series.length === this.data.series.length && before.unit === this.data.unit) {
      this.plot.setData(columns, false);
      if (!this.isZoomed) this.showAll();
      this.plot.redraw();
    } else {
      const height = picture.getBoundingClientRect().height || this.plot?.height;
      this.plot?.destroy();
      this.figure.dataset.zoomable = "";
      this.plot = new uPlot(this.options(this.box.clientWidth, height), columns, this.box);
      this.showAll();
    }
  }

  options(width, height) {
    const axis = { stroke: () => colour("text-muted"), font: `12px ${getComputedStyle(this.box).fontFamily}`, ticks: { show: false } };
    const times = (_, splits, __, ___, increment) => splits.map((seconds) => writeTimeTick(seconds, increment));
    return {
      width, height,
      padding: [8, 16, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => (zone() ? uPlot.tzDate(new Date(1000 * seconds), zone()) : new Date(1000 * seconds)),
      cursor: { y: false, bind: { dblclick: () => () => this.showAll() } },
      scales: { y: { range: () => [0, this.data.ticks.at(-1)] } },
      axes: [
        { ...axis, size: 28, space: 70, grid: { show: false }, values: times },
        {
          ...axis, size: 52, gap: 6, grid: { stroke: () => colour("border"), width: 1 },
          splits: () => this.data.ticks, values: (_, splits) => splits.map(WRITE_TICK[this.data.unit]),
        },
      ],
      series: [{}, ...this.data.series.map((one) => ({
        stroke: () => colour(one.style),
        width: one.style === "reference" ? 1.5 : 2,
        dash: one.style === "reference" ? [5, 4] : undefined,
        points: { show: false },
      }))],
      hooks: {
        drawClear: [() => this.drawBands()],
        draw: [() => this.drawDots()],
        setCursor: [() => this.writeLegend()],
        setScale: [(_, name) => name === "x" && this.writeLegend()],
      },
    };
  }

  showAll() {
    const [min, max] = this.data.range;
    this.plot.setScale("x", { min, max });
  }

  get isZoomed() {
    const { min, max } = this.plot.scales.x;
    return min > this.data.range[0] || max < this.data.range[1];
  }

  drawBands() {
    const { ctx, bbox } = this.plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.globalAlpha = 0.18;
    ctx.fillStyle = colour("warning");
    for (const [begin, end] of this.data.bands) {
      const left = this.plot.valToPos(begin, "x", true);
      ctx.fillRect(left, bbox.top, this.plot.valToPos(end, "x", true) - left, bbox.height);
    }
    ctx.restore();
  }

  // Hollow dots rest on few tests; a full one stands alone between gaps.
  drawDots() {
    const { ctx } = this.plot;
    const { min, max } = this.plot.scales.x;
    ctx.save();
    ctx.lineWidth = 1.5 * devicePixelRatio;
    for (const { style, values, counts } of this.data.series) {
      ctx.strokeStyle = colour(style);
      values.forEach((value, number) => {
        const time = this.data.times[number];
        const isFew = counts[number] < this.data.few && style !== "reference";
        const isAlone = values[number - 1] == null && values[number + 1] == null;
        if (value === null || time < min || time > max || !(isFew || isAlone)) return;
        ctx.beginPath();
        ctx.arc(this.plot.valToPos(time, "x", true), this.plot.valToPos(value, "y", true), 3 * devicePixelRatio, 0, 2 * Math.PI);
        ctx.fillStyle = isFew ? colour("surface") : ctx.strokeStyle;
        ctx.fill();
        ctx.stroke();
      });
    }
    ctx.restore();
  }

  // The values under the pointer; without a pointer the last ones, as the service wrote them.
  writeLegend() {
    const { idx } = this.plot.cursor;
    const isOver = idx != null;
    this.legend.forEach(([value, count], number) => {
      const one = this.data.series[number];
      const shown = isOver ? one.values[idx] : null;
      value.element.textContent = !isOver ? value.text : shown === null ? "–" : WRITE_VALUE[this.data.unit](shown);
      const tests = isOver ? one.counts[idx] : 0;
      count.element.textContent = !isOver ? count.text : `${tests.toLocaleString("en")} test${tests === 1 ? "" : "s"}`;
    });
    this.hint.textContent = isOver ? this.writeStep(idx) : this.isZoomed ? "double click shows all" : "drag to zoom";
  }

  writeStep(idx) {
    const time = this.data.times[idx];
    const day = { day: "numeric", month: "short", year: "numeric" };
    const clock = this.data.step < DAY_SECONDS ? { hour: "2-digit", minute: "2-digit" } : {};
    const begin = writeDate(time - (this.data.step / 2), { ...day, ...clock });
    const bands = this.data.bands.filter(([from, to]) => from < time + this.data.step / 2 && to > time - this.data.step / 2);
    return [`${begin}${zone() ? " UTC" : ""}`, ...bands.map(([, , label]) => label)].join(", ");
  }

  destroy() {
    this.resized.disconnect();
    this.plot?.destroy();
  }
}

function redrawCharts() {
  for (const { plot } of charts.values()) plot?.redraw(false, true);
}

// ---- switches ----

function addSwitch(label, chosen, options, choose) {
  const select = document.createElement("select");
  select.setAttribute("aria-label", label);
  for (const [value, text] of Object.entries(options)) select.add(new Option(text, value, false, value === chosen));
  select.addEventListener("change", () => choose(select.value));
  document.querySelector("[data-switches]").append(select);
}

addSwitch("Times", timeStyle, { relative: "Relative times", utc: "UTC", local: "Local time" }, (value) => {
  timeStyle = value;
  remembered.set("times", value);
  writeTimes(document);
  redrawCharts();
});
addSwitch("Theme", remembered.get("theme") ?? "system", { system: "System theme", light: "Light", dark: "Dark" }, (value) => {
  remembered.set("theme", value);
  if (value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  redrawCharts();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);

// ---- start ----

document.querySelector("[data-switches]").hidden = false;
enhance(document);
focusScrollers();
window.addEventListener("resize", focusScrollers);
drawCharts();
writeStatus();
refreshLater();
setInterval(() => {
  if (document.hidden) return;
  writeTimes(document);
  writeStatus();
}, TICK_MS);
