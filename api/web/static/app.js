// The front page: each part loads by itself and says so when it cannot.
import { startMap } from "./map.js";
import { startBuilder } from "./builder.js";
import { startKeys } from "./keys.js";
import { element, fill, get, whenText } from "./page.js";

const SEVERITIES = ["Extreme", "Severe", "Moderate", "Minor"];
const ROWS_SHOWN = 300;
const AGAIN_MS = 30_000;

async function showAlerts(map) {
  const body = document.getElementById("alerts");
  try {
    const { body: answer } = await get("/summaries/alerts-in-force");
    document.getElementById("simulated").hidden = !answer.isSimulated;
    document.getElementById("now-age").textContent =
      `${answer.alerts.length} alerts, as of ${whenText(answer.answeredAt)}` +
      (answer.newestAcceptedAt ? `; newest message received ${whenText(answer.newestAcceptedAt)}` : "");
    map.show(answer.alerts);
    const rows = answer.alerts.slice(0, ROWS_SHOWN).map((one) => alertRow(one, map));
    fill(body, ...(rows.length ? rows : [quietRow(5, "No weather alert is in force.")]));
    if (answer.alerts.length > ROWS_SHOWN) {
      body.append(quietRow(5, `${answer.alerts.length - ROWS_SHOWN} more by the API.`));
    }
  } catch (error) {
    fill(body, quietRow(5, error.message, "error"));
    document.getElementById("now-age").textContent = "Not up to date: the server did not answer.";
  }
}

function alertRow(one, map) {
  const severity = SEVERITIES.includes(one.severity) ? one.severity : "Unknown";
  const places = one.counties.map((fips) => map.nameOf(fips));
  const where = places.slice(0, 4).join("; ") + (places.length > 4 ? ` and ${places.length - 4} more` : "");
  return element("tr", {},
    element("td", { title: one.headline ?? "" }, one.event ?? "Alert"),
    element("td", {}, element("span", { class: `swatch ${severity.toLowerCase()}` }), severity),
    element("td", {}, where || `${one.zones} zones`),
    element("td", {}, one.inForceUntil ? whenText(one.inForceUntil) : "further notice"),
    element("td", {}, one.senderName ?? ""));
}

async function showDisasters() {
  const body = document.getElementById("disasters");
  const path = "/collections/fct_disaster_declarations/items?declaration_status=incident_open" +
    "&sortby=-declared_on&limit=1000&properties=declared_on,state,declaration_type,incident_type,title,designated_area&f=json";
  try {
    const { body: answer } = await get(path);
    const found = new Map();
    for (const row of rowsOf(answer)) {
      const one = found.get(row.disaster_number) ?? { ...row, areas: new Set() };
      one.areas.add(row.place_code);
      found.set(row.disaster_number, one);
    }
    const rows = [...found.values()].map((one) => element("tr", {},
      element("td", {}, one.declared_on), element("td", {}, one.state ?? ""),
      element("td", {}, `${one.declaration_type}-${one.disaster_number}`), element("td", {}, one.incident_type ?? ""),
      element("td", {}, one.title ?? ""), element("td", { class: "number" }, String(one.areas.size))));
    fill(body, ...(rows.length ? rows : [quietRow(6, "None among the states and years that this platform holds.")]));
  } catch (error) {
    fill(body, quietRow(6, error.message, "error"));
  }
}

export function rowsOf(answer) {
  if (Array.isArray(answer)) return answer;
  if (answer.items) return answer.items;
  return (answer.features ?? []).map((one) => one.properties);
}

function quietRow(columns, text, kind = "quiet") {
  return element("tr", {}, element("td", { colspan: columns, class: kind }, text));
}

async function showSources() {
  const list = document.getElementById("source-list");
  try {
    const { body: answer } = await get("/sources");
    document.getElementById("sources-age").textContent = `As of ${whenText(answer.answeredAt)}`;
    fill(list, ...answer.sources.map((one) => element("li", {},
      element("span", { class: `state ${one.state}` }, one.state.replace("_", " ")),
      element("h3", {}, one.stream.replaceAll("_", " ")),
      element("p", {}, one.why),
      element("p", {}, one.lastLandedAt ? `last row landed ${whenText(one.lastLandedAt)}` : "no row yet"))));
  } catch (error) {
    fill(list, element("li", { class: "error" }, error.message));
  }
}

const map = await startMap();
let isRefreshing = false;
// One at a time: an answer that was slow never replaces a newer one.
async function refresh() {
  if (isRefreshing) return;
  isRefreshing = true;
  await Promise.all([showAlerts(map), showSources()]);
  isRefreshing = false;
}
startKeys();
await Promise.all([refresh(), showDisasters(), startBuilder()]);
document.body.dataset.ready = "true";
setInterval(() => { if (!document.hidden) refresh(); }, AGAIN_MS);
