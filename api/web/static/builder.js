// Builds a request and shows it as an address, curl, Python and R.
import { element, fill, get, Turns } from "./page.js";

const FORMATS = [["", "GeoJSON"], ["json", "JSON"], ["ndjson", "NDJSON"], ["csv", "CSV"], ["parquet", "Parquet"], ["arrow", "Arrow"]];
const BINARY = new Set(["parquet", "arrow"]);
const SHOWN_COLUMNS = 8;
const SHOWN_BYTES = 200_000;
const field = (name) => document.getElementById(`q-${name}`);
let collections = new Map();
const choices = new Turns();
const runs = new Turns();
let chosen = null;
let language = "url";

export async function startBuilder() {
  fill(field("format"), ...FORMATS.map(([value, title]) => element("option", { value }, title)));
  try {
    const { body } = await get("/collections");
    collections = new Map(body.collections.map((one) => [one.id, one]));
    fill(field("collection"), ...body.collections.map((one) => element("option", { value: one.id }, one.title)));
    if (collections.has("nws_alerts")) field("collection").value = "nws_alerts";
    await chooseCollection();
  } catch (error) {
    showError(error);
  }
  field("collection").addEventListener("change", chooseCollection);
  const form = document.getElementById("builder");
  form.addEventListener("input", showCode);
  form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
  document.getElementById("copy").addEventListener("click", copy);
  startTabs();
}

function showError(error) {
  fill(document.getElementById("q-about"), element("span", { class: "error" }, error.message));
}

async function chooseCollection() {
  const one = collections.get(field("collection").value);
  if (one.id === chosen) return;
  chosen = one.id;
  const signal = choices.next();
  document.getElementById("q-about").textContent = `${one.description} Terms: ${one.license}`;
  offer({}, false);
  try {
    const { body } = await get(`/collections/${one.id}/queryables`, { signal });
    if (!signal.aborted) offer(body.properties ?? {}, true);
  } catch (error) {
    if (signal.aborted) return;
    chosen = null; // Chosen once more, it is asked for once more.
    showError(error);
  }
}

// What is chosen from is known only when the collection's properties are.
function offer(properties, isKnown) {
  const names = Object.keys(properties).filter((name) => properties[name].type !== undefined && name !== "geometry");
  const options = (first) => [element("option", { value: "" }, first), ...names.map((name) => element("option", { value: name }, name))];
  fill(field("property"), ...options("any"));
  fill(field("sort"), ...options("key"), ...names.map((name) => element("option", { value: `-${name}` }, `${name}, descending`)));
  for (const name of ["property", "sort"]) field(name).disabled = !isKnown;
  for (const [name, needed] of [["state", "state"], ["county", "county_fips"]]) {
    field(name).disabled = !(needed in properties);
    if (isKnown && field(name).disabled) field(name).value = "";
  }
  showCode();
}

function address() {
  const asked = new URLSearchParams();
  if (field("state").value && !field("state").disabled) asked.set("state", field("state").value.toUpperCase());
  if (field("county").value && !field("county").disabled) asked.set("county", field("county").value);
  if (field("from").value || field("to").value) asked.set("datetime", `${field("from").value || ".."}/${field("to").value || ".."}`);
  if (field("property").value && field("value").value) asked.set(field("property").value, field("value").value);
  if (field("sort").value) asked.set("sortby", field("sort").value);
  asked.set("limit", field("limit").value || "20");
  if (field("format").value) asked.set("f", field("format").value);
  return `${location.origin}/collections/${field("collection").value}/items?${asked}`;
}

function code(url) {
  const format = field("format").value;
  if (language === "curl") return `curl --fail --compressed ${BINARY.has(format) ? `--output items.${format} ` : ""}'${url}'`;
  if (language === "python") return python(url, format);
  if (language === "r") return r(url, format);
  return url;
}

function python(url, format) {
  const reader = { csv: "read_csv", ndjson: "read_ndjson", parquet: "read_parquet", arrow: "read_ipc_stream" }[format];
  if (reader) return `import io, urllib.request\nimport polars as pl\n\nurl = "${url}"\ntable = pl.${reader}(io.BytesIO(urllib.request.urlopen(url).read()))\nprint(table)`;
  if (format === "json") return `import json, urllib.request\n\nurl = "${url}"\nanswer = json.load(urllib.request.urlopen(url))\nprint(answer)`;
  return `import geopandas\n\nurl = "${url}"\ntable = geopandas.read_file(url)\nprint(table)`;
}

function r(url, format) {
  if (format === "csv") return `items <- read.csv("${url}")\nhead(items)`;
  if (format === "parquet") return `file <- tempfile()\ndownload.file("${url}", file, mode = "wb")\nitems <- arrow::read_parquet(file)\nhead(items)`;
  if (format === "arrow") return `file <- tempfile()\ndownload.file("${url}", file, mode = "wb")\nitems <- arrow::read_ipc_stream(file)\nhead(items)`;
  if (format === "ndjson") return `items <- jsonlite::stream_in(url("${url}"))\nhead(items)`;
  if (format === "json") return `answer <- jsonlite::fromJSON("${url}")\nstr(answer, max.level = 1)`;
  return `items <- sf::st_read("${url}")\nhead(items)`;
}

function showCode() {
  document.getElementById("code").textContent = code(address());
}

async function run() {
  const result = document.getElementById("result");
  const format = field("format").value;
  const url = address();
  const signal = runs.next();
  const show = (...made) => { if (!signal.aborted) fill(result, ...made); };
  if (BINARY.has(format)) {
    show(element("p", {}, element("a", { href: url }, `Download ${format}`)));
    return;
  }
  if (format === "csv" || format === "ndjson") {
    const text = await fetch(url, { signal }).then((answer) => (answer.ok ? answer.text() : null)).catch(() => null);
    if (text !== null) {
      show(element("pre", {}, text.slice(0, SHOWN_BYTES)));
      return;
    }
    if (signal.aborted) return;
  }
  try {
    const { body } = await get(url, { signal });
    const rows = body.features?.map((one) => one.properties) ?? body.items ?? body;
    show(rows.length ? table(rows) : element("p", { class: "quiet" }, "Nothing matches."));
  } catch (error) {
    show(element("p", { class: "error" }, error.message));
  }
}

function table(rows) {
  const names = Object.keys(rows[0]).filter((name) => rows.some((row) => row[name] !== null)).slice(0, SHOWN_COLUMNS);
  const text = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
  const made = element("table", {},
    element("thead", {}, element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...names.map((name) => element("td", {}, text(row[name]).slice(0, 120)))))));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "First columns of the answer" }, made);
}

async function copy() {
  const button = document.getElementById("copy");
  try {
    await navigator.clipboard.writeText(document.getElementById("code").textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select the text to copy it";
  }
}

function startTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const one of tabs) {
      one.setAttribute("aria-selected", String(one === tab));
      one.tabIndex = one === tab ? 0 : -1;
    }
    language = tab.id.replace("tab-", "");
    document.getElementById("code").setAttribute("aria-labelledby", tab.id);
    document.getElementById("copy").textContent = "Copy";
    showCode();
  };
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    });
  });
}
