// A map of counties without tiles of anybody: outlines come from this server.
import { element, fill, get, Turns, whenText } from "./page.js";

const LEVELS = ["extreme", "severe", "moderate", "minor", "unknown"];
const TITLES = { extreme: "Extreme", severe: "Severe", moderate: "Moderate", minor: "Minor", unknown: "Unknown", none: "None in force" };

export async function startMap() {
  const map = new CountyMap();
  await map.load();
  return map;
}

class CountyMap {
  constructor() {
    this.names = new Map();
    this.codes = new Map();
    this.layers = new Map();
    this.levels = new Map();
    this.chosen = null;
    this.turns = new Turns();
  }

  async load() {
    fill(document.getElementById("legend"), ...[...LEVELS, "none"].map((level) =>
      element("li", {}, element("span", { class: level }), TITLES[level])));
    document.getElementById("place").addEventListener("submit", (event) => {
      event.preventDefault();
      this.choose(this.codes.get(document.getElementById("place-county").value.trim().toLowerCase()));
    });
    try {
      const { body: outlines } = await get("/assets/counties.json");
      this.draw(outlines);
    } catch (error) {
      fill(document.getElementById("map"), element("p", { class: "error" }, error.message));
    }
  }

  draw(outlines) {
    const sorted = outlines.features.map((one) => [one.id, `${one.properties.name}, ${one.properties.state}`]);
    sorted.sort((one, other) => one[1].localeCompare(other[1]));
    for (const [fips, name] of sorted) {
      this.names.set(fips, name);
      this.codes.set(name.toLowerCase(), fips);
    }
    fill(document.getElementById("counties"), ...sorted.map(([, name]) => element("option", { value: name })));
    this.map = L.map("map", { preferCanvas: true, minZoom: 3, maxZoom: 10, attributionControl: false, zoomSnap: 0.5 });
    this.map.fitBounds([[24.5, -125], [49.5, -66.5]]);
    L.geoJSON(outlines, {
      style: () => this.style("none"),
      onEachFeature: (one, layer) => {
        this.layers.set(one.id, layer);
        layer.on("click", () => this.choose(one.id));
        layer.bindTooltip(this.names.get(one.id), { sticky: true });
      },
    }).addTo(this.map);
    // The colors follow light and dark.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  style(level) {
    const colors = getComputedStyle(document.documentElement);
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const pick = (name) => {
      const pair = colors.getPropertyValue(name).match(/light-dark\(([^,]+),\s*([^)]+)\)/);
      return pair ? pair[dark ? 2 : 1].trim() : colors.getPropertyValue(name).trim();
    };
    return { chosen: pick("--text"), color: pick("--edge"), weight: 0.5, fillColor: pick(level === "none" ? "--land" : `--${level}`), fillOpacity: level === "none" ? 1 : 0.85 };
  }

  show(alerts) {
    this.levels.clear();
    for (const one of alerts) {
      const level = LEVELS.includes((one.severity ?? "").toLowerCase()) ? one.severity.toLowerCase() : "unknown";
      for (const fips of one.counties) {
        const known = this.levels.get(fips);
        if (known === undefined || LEVELS.indexOf(level) < LEVELS.indexOf(known)) this.levels.set(fips, level);
      }
    }
    this.paint();
    if (this.chosen) this.choose(this.chosen, { moves: false });
  }

  paint() {
    const styles = Object.fromEntries([...LEVELS, "none"].map((level) => [level, this.style(level)]));
    for (const [fips, layer] of this.layers) layer.setStyle(styles[this.levels.get(fips) ?? "none"]);
    this.outline();
  }

  outline() {
    const layer = this.layers.get(this.chosen);
    if (!layer) return;
    layer.setStyle({ weight: 3, color: this.style("none").chosen });
    layer.bringToFront();
  }

  nameOf(fips) {
    return this.names.get(fips) ?? fips;
  }

  async choose(fips, { moves = true } = {}) {
    const answer = document.getElementById("place-answer");
    const signal = this.turns.next();
    if (!fips) {
      fill(answer, element("p", { class: "error" }, "Choose a county from the list, such as Boulder, CO."));
      return;
    }
    this.chosen = fips;
    const layer = this.layers.get(fips);
    if (moves) this.paint();
    if (moves && layer) this.map.fitBounds(layer.getBounds(), { maxZoom: 7 });
    try {
      const { body } = await get(`/summaries/alerts-in-force/county/${fips}`, { signal });
      if (!signal.aborted) fill(answer, element("h3", {}, body.place.name ? `${body.place.name}, ${body.place.state}` : this.nameOf(fips)),
        ...(body.features.length ? body.features.map(alertText) : [element("p", {}, "No weather alert is in force here.")]),
        element("p", { class: "quiet" }, `Asked at ${whenText(body.answeredAt)}`));
    } catch (error) {
      if (!signal.aborted) fill(answer, element("p", { class: "error" }, error.message));
    }
  }
}

function alertText(feature) {
  const one = feature.properties;
  const level = LEVELS.includes((one.severity ?? "").toLowerCase()) ? one.severity.toLowerCase() : "unknown";
  return element("div", { class: `alert ${level}` },
    element("h4", {}, one.event ?? "Alert"),
    element("p", {}, one.headline ?? ""),
    element("p", {}, `${one.severity ?? "Unknown"}, until ${one.in_force_until ? whenText(one.in_force_until) : "further notice"}` +
      (one.has_begun ? "" : one.onset_at ? `; begins ${whenText(one.onset_at)}` : "")),
    one.instruction ? element("p", {}, one.instruction) : null);
}
