"use strict";
/* The table, the plots and the panel of one design; draws with Viewer of viewer.js.
 * Data are written by proteinweaver/report/page.py. */

const data = JSON.parse(document.getElementById("data").textContent);
const packed = Uint8Array.from(atob(document.getElementById("bytes").textContent.trim()), (c) => c.charCodeAt(0));
const $ = (id) => document.getElementById(id);
const columns = data.columns, place = new Map(columns.map((c, k) => [c.key, k]));
const cell = (row, key) => data.rows[row][place.get(key)];
const isNumber = (value) => typeof value === "number";

const DOMAIN = [[150, 158, 170], [31, 119, 180], [255, 127, 14], [44, 160, 44], [214, 39, 40], [148, 103, 189],
  [140, 86, 75], [227, 119, 194], [188, 189, 34], [23, 190, 207], [90, 120, 60], [200, 150, 60], [60, 60, 140]];
const SS = [[160, 168, 180], [205, 60, 80], [235, 175, 40]];
const SETS = ["#3b76c4", "#e08a2e", "#3f9d5a", "#a055b5", "#b5484d", "#5b6b7d"];
const mix = (a, b, u) => a.map((v, k) => v + (b[k] - v) * u);
/** Blue, white, red for values from 0 to 1. */
const ramp = (u) => (u < 0.5 ? mix([45, 90, 190], [225, 225, 225], 2 * u) : mix([225, 225, 225], [200, 40, 40], 2 * u - 1));

/* ---- structures ------------------------------------------------------------------------------ */

/** Coordinates of frame number `frame` (int16 of `step` angstrom each) of a packed item. */
function positions(item, offset, count, step) {
  const view = new DataView(packed.buffer, offset, 6 * count);
  const ca = new Float32Array(3 * count);
  for (let i = 0; i < 3 * count; i++) ca[i] = view.getInt16(2 * i, true) * step;
  return ca;
}

function structureOf(row) {
  const item = data.structures[row];
  if (!item) return null;
  const L = item.length;
  let at = item.offset;
  const ca = positions(item, at, L, item.step);
  at += 6 * L;
  const side = new Int8Array(packed.buffer.slice(at, at + 3 * L));
  at += 3 * L;
  const layers = {};
  for (const name of item.layers) {
    layers[name] = packed.subarray(at, at + L);
    at += L;
  }
  const level = (i, name) => Math.round((layers[name][i] / 254) * data.scales[name][1]);
  const ss = Uint8Array.from({ length: L }, (_, i) => level(i, "ss"));
  return { ca, side, ss, layers, stretch: 1, level };
}

/* ---- colours --------------------------------------------------------------------------------- */

const words = { ss: "secondary structure", index: "N to C", faults: "local faults", burial: "burial", soundness: "soundness (critic)" };

function colourer(name, structure) {
  const L = structure.ca.length / 3, layer = structure.layers[name];
  if (name === "index" || !layer) return (i) => ramp(i / Math.max(L - 1, 1));
  if (name === "domain") return (i) => DOMAIN[structure.level(i, "domain") % DOMAIN.length];
  if (name === "ss") return (i) => SS[structure.ss[i]];
  const flip = name === "soundness"; // red is bad
  return (i) => (layer[i] === 255 ? [190, 190, 190] : ramp(flip ? 1 - layer[i] / 254 : layer[i] / 254));
}

function legend(name, structure) {
  const chip = (rgb, text) => `<i style="background:rgb(${rgb.map(Math.round)})"></i>${text}`;
  if (name === "ss") return chip(SS[1], "helix") + chip(SS[2], "strand") + chip(SS[0], "coil");
  if (name === "domain") {
    const seen = new Set(Array.from(structure.layers.domain, (_, i) => structure.level(i, "domain")));
    return [...seen].sort((a, b) => a - b).map((k) => chip(DOMAIN[k % DOMAIN.length], k ? `${k}` : "linker")).join("");
  }
  const ends = name === "index" ? ["N", "C"] : [...data.scales[name]];
  if (name === "soundness") ends.reverse();
  const stops = [0, 0.25, 0.5, 0.75, 1].map((u) => `rgb(${ramp(u).map(Math.round)})`).join(",");
  return `${ends[0]} <i class="ramp" style="background:linear-gradient(90deg,${stops})"></i> ${ends[1]}`;
}

/* ---- one design ------------------------------------------------------------------------------ */

const viewer = new Viewer($("canvas"));
let chosen = -1, current = null, frames = null, timer = 0;

function format(value, unit) {
  if (value === null || value === undefined || value === "") return "";
  if (!isNumber(value)) return String(value);
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(unit === "share" ? 3 : 2);
}

function escape(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function paint() {
  const name = $("colour").value;
  viewer.setColour(colourer(name, current));
  $("legend").innerHTML = legend(name, current);
}

function choose(row) {
  if (row === chosen) return;
  chosen = row;
  stop();
  for (const line of document.querySelectorAll("#table tbody tr")) line.classList.toggle("chosen", Number(line.dataset.row) === row);
  $("name").textContent = cell(row, "name");
  const file = cell(row, "file");
  const links = [["structure", file], ...(data.links[row] || [])];
  $("links").innerHTML = links.map(([text, to]) => `<a href="${escape(to.split("/").map(encodeURIComponent).join("/"))}">${escape(text)}</a>`).join(" ");
  const outside = new Set(`${cell(row, "outside") || ""};${cell(row, "faults") || ""}`.split(";"));
  $("facts").innerHTML = columns.map((c, k) => {
    const text = format(data.rows[row][k], c.unit);
    if (text === "" || c.key === "name" || c.key === "file") return "";
    const long = c.unit === "text" && text.length > 18;
    return `<div${long ? ' class="wide"' : ""} title="${escape(c.meaning)}"><dt>${c.key}</dt><dd${outside.has(c.key) ? ' class="odd"' : ""}>${escape(text)}</dd></div>`;
  }).join("");
  current = structureOf(row) || { ca: new Float32Array(0), side: null, ss: new Uint8Array(0), layers: {}, stretch: 1 };
  const modes = [...Object.keys(current.layers), "index"], before = $("colour").value;
  $("colour").innerHTML = modes.map((m) => `<option value="${m}">${words[m] || m}</option>`).join("");
  $("colour").value = modes.includes(before) && before ? before : modes.includes("domain") ? "domain" : "index";
  viewer.show(current);
  paint();
  const way = data.trajectories[row];
  frames = way ? way.frames.map((f) => ({ ca: positions(way, f.offset, way.length, f.step), text: f.text })) : null;
  $("player").hidden = !frames;
  if (frames) {
    $("frame").max = frames.length - 1;
    $("frame").value = frames.length - 1;
    $("when").textContent = `${frames.length} states`;
  }
}

function showFrame(k) {
  const last = k === frames.length - 1;
  if (last) viewer.show(current, true);
  else {
    // noise has no secondary structure, and its chain may be pulled apart
    const ss = new Uint8Array(current.ss.length);
    viewer.show({ ca: frames[k].ca, side: null, ss, stretch: 100 }, true);
  }
  $("frame").value = k;
  $("when").textContent = `${k + 1} of ${frames.length}${frames[k].text}`;
}

function stop() {
  clearInterval(timer);
  timer = 0;
  $("play").textContent = "play";
}

$("play").onclick = () => {
  if (timer) return stop();
  let k = Number($("frame").value);
  if (k >= frames.length - 1) k = -1;
  $("play").textContent = "stop";
  timer = setInterval(() => {
    k += 1;
    showFrame(k);
    if (k >= frames.length - 1) stop();
  }, 90);
};
$("frame").oninput = () => { stop(); showFrame(Number($("frame").value)); };
$("colour").onchange = paint;
$("view").onclick = () => viewer.reset();
$("spin").onclick = () => {
  viewer.spin(!viewer.spinning);
  $("spin").setAttribute("aria-pressed", viewer.spinning);
};
window.addEventListener("resize", () => viewer.draw());

/* ---- the table ------------------------------------------------------------------------------- */

const shown = new Set(data.shown.filter((key) => place.has(key)));
let sortKey = null, descending = true, rows = [], painted = 0; // null: most trouble first
const lower = data.rows.map((row) => row.filter((v) => typeof v === "string").join(" ").toLowerCase());

/** A test of rows from the filter line, or null if a condition names no column. */
function test(text) {
  const tests = [];
  for (const word of text.trim().split(/\s+/).filter(Boolean)) {
    const m = /^([a-z_0-9]+)(<=|>=|!=|<|>|=)(.*)$/i.exec(word);
    if (!m) {
      tests.push((r) => lower[r].includes(word.toLowerCase()));
      continue;
    }
    const [, key, sign, want] = m, k = place.get(key);
    if (k === undefined) return null;
    const limit = want === "" ? NaN : Number(want);
    tests.push((r) => {
      const value = data.rows[r][k];
      if (sign === "=") return isNumber(value) ? value === limit : String(value ?? "").toLowerCase().includes(want.toLowerCase());
      if (sign === "!=") return isNumber(value) ? value !== limit : !String(value ?? "").toLowerCase().includes(want.toLowerCase());
      if (!isNumber(value)) return false;
      return { "<": value < limit, ">": value > limit, "<=": value <= limit, ">=": value >= limit }[sign];
    });
  }
  return (r) => tests.every((t) => t(r));
}

function order() {
  if (sortKey === null) {
    rows.sort((a, b) => data.trouble[b] - data.trouble[a] || a - b);
    return;
  }
  const k = place.get(sortKey), sign = descending ? -1 : 1;
  const empty = (v) => v === null || v === undefined || v === "";
  rows.sort((a, b) => {
    const x = data.rows[a][k], y = data.rows[b][k];
    if (empty(x) || empty(y)) return empty(x) - empty(y) || a - b; // nothing comes last
    const way = isNumber(x) && isNumber(y) ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return sign * way || a - b;
  });
}

/** Columns of the table: those shown from the start in their order, then those added. */
function table() {
  return [...shown].map((key) => columns[place.get(key)]);
}

function line(row) {
  const outside = new Set(`${cell(row, "outside") || ""};${cell(row, "faults") || ""}`.split(";"));
  const cells = table().map((c) => {
    const text = escape(format(cell(row, c.key), c.unit));
    return `<td class="${c.unit === "text" ? "text" : ""}${outside.has(c.key) ? " odd" : ""}">${text}</td>`;
  });
  const classes = [cell(row, "status") === "error" ? "failed" : "", row === chosen ? "chosen" : ""].join(" ");
  return `<tr data-row="${row}" class="${classes}">${cells.join("")}</tr>`;
}

function more(count) {
  const part = rows.slice(painted, painted + count);
  painted += part.length;
  document.querySelector("#table tbody").insertAdjacentHTML("beforeend", part.map(line).join(""));
}

function render() {
  const keep = test($("filter").value);
  $("filter").classList.toggle("wrong", keep === null);
  rows = data.rows.map((_, r) => r).filter(keep || (() => true));
  order();
  const head = table().map((c) => {
    const arrow = c.key === sortKey ? (descending ? " ▼" : " ▲") : "";
    return `<th data-key="${c.key}" class="${c.unit === "text" ? "text" : ""}" title="${escape(c.meaning)}">${c.key}${arrow}</th>`;
  });
  document.querySelector("#table thead").innerHTML = `<tr>${head.join("")}</tr>`;
  document.querySelector("#table tbody").innerHTML = "";
  $("scroll").scrollTop = 0;
  painted = 0;
  more(120);
  $("count").textContent = `${rows.length} of ${data.rows.length}`;
  plots();
}

function sortBy(key) {
  const better = columns[place.get(key)].better;
  descending = key === sortKey ? !descending : better === "low"; // worst first
  sortKey = key;
  render();
}

document.querySelector("#table thead").onclick = (e) => { if (e.target.dataset.key) sortBy(e.target.dataset.key); };
document.querySelector("#table tbody").onclick = (e) => {
  const line = e.target.closest("tr");
  if (line) choose(Number(line.dataset.row));
};
$("scroll").onscroll = () => {
  if ($("scroll").scrollTop + $("scroll").clientHeight > $("scroll").scrollHeight - 300) more(200);
};
let waiting = 0;
$("filter").oninput = () => { clearTimeout(waiting); waiting = setTimeout(render, 120); };
$("choices").innerHTML = columns.map((c) => `<label title="${escape(c.meaning)}"><input type="checkbox" value="${c.key}" ${shown.has(c.key) ? "checked" : ""}> ${c.key}</label>`).join("");
$("choices").onchange = (e) => {
  if (e.target.checked) shown.add(e.target.value); else shown.delete(e.target.value);
  render();
};
document.addEventListener("keydown", (e) => { // arrows walk through the designs
  if (!["ArrowUp", "ArrowDown"].includes(e.key) || /INPUT|SELECT|CANVAS/.test(document.activeElement.tagName)) return;
  const next = rows.indexOf(chosen) + (e.key === "ArrowDown" ? 1 : -1);
  if (next < 0 || next >= rows.length) return;
  e.preventDefault();
  while (next >= painted) more(200);
  choose(rows[next]);
  document.querySelector(`#table tr[data-row="${rows[next]}"]`).scrollIntoView({ block: "nearest" });
});

/* ---- plots ----------------------------------------------------------------------------------- */

function plot(key) {
  const W = 220, H = 92, base = 78, bins = 24;
  const native = data.natives[key] || [], names = data.sets;
  const groups = names.map((name) => rows.filter((r) => cell(r, "set") === name).map((r) => cell(r, key)).filter(isNumber));
  const all = groups.flat();
  if (!all.length) return "";
  const reach = all.concat(native).sort((a, b) => a - b);
  let low = reach[Math.floor(0.005 * (reach.length - 1))], high = reach[Math.ceil(0.995 * (reach.length - 1))];
  if (!(high > low)) { low -= 0.5; high += 0.5; }
  const bin = (v) => Math.min(bins - 1, Math.max(0, Math.floor(((v - low) / (high - low)) * bins)));
  const share = (values, total) => {
    const count = new Array(bins).fill(0);
    for (const v of values) count[bin(v)] += 1 / total;
    return count;
  };
  const bars = groups.map((g) => share(g, all.length)), outline = share(native, Math.max(native.length, 1));
  const stacked = Array.from({ length: bins }, (_, b) => bars.reduce((sum, g) => sum + g[b], 0));
  const top = Math.max(...stacked, ...outline, 1e-9), x = (b) => 4 + (b * (W - 8)) / bins, y = (v) => base - (v / top) * (base - 6);
  let svg = "";
  const floor = new Array(bins).fill(0);
  bars.forEach((g, k) => g.forEach((v, b) => {
    if (v > 0) svg += `<rect x="${x(b).toFixed(1)}" y="${y(floor[b] + v).toFixed(1)}" width="${((W - 8) / bins - 0.6).toFixed(1)}" height="${(y(floor[b]) - y(floor[b] + v)).toFixed(1)}" fill="${SETS[k % SETS.length]}"/>`;
    floor[b] += v;
  }));
  if (native.length) {
    const path = outline.map((v, b) => `${b ? "L" : "M"}${x(b).toFixed(1)},${y(v).toFixed(1)}L${x(b + 1).toFixed(1)},${y(v).toFixed(1)}`).join("");
    svg += `<path d="${path}" fill="none" stroke="#1c2330" stroke-width="1.3"/>`;
  }
  svg += `<text x="4" y="90">${format(low)}</text><text x="${W - 4}" y="90" text-anchor="end">${format(high)}</text>`;
  const median = all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
  return `<figure data-key="${key}" title="${escape(columns[place.get(key)].meaning)}"><figcaption><b>${key}</b><span>median ${format(median)}</span></figcaption><svg viewBox="0 0 ${W} ${H}" role="img">${svg}</svg></figure>`;
}

function plots() {
  $("plots").innerHTML = data.plots.filter((key) => place.has(key)).map(plot).join("");
}
$("plots").onclick = (e) => { const f = e.target.closest("figure"); if (f) sortBy(f.dataset.key); };

/* ---- sets ------------------------------------------------------------------------------------ */

function setTable() {
  const show = (v, d = 2) => (isNumber(v) ? v.toFixed(d) : "-");
  const between = (i, d = 2) => (i && isNumber(i.value) ? `${show(i.value, d)}${isNumber(i.low) ? ` (${show(i.low, d)}-${show(i.high, d)})` : ""}` : "-");
  const head = ["set", "files", "unreadable", data.columns.some((c) => c.key === "pass") ? "pass" : "gate met", "mean pairwise TM", "clusters TM .5 / .6", "nearest reference, median TM (held-out natives)", "energy distance to natives (floor; p)", "most frequent oddities"];
  const lines = Object.entries(data.summary).map(([name, s], k) => {
    const d = (s.diversity || {}).all, n = (s.novelty || {}).all, e = (s.natives || {}).energy;
    const odd = Object.entries(s.outside_natives).slice(0, 4).map(([key, n]) => `${key} ${n}`).join(", ");
    return [`<i style="display:inline-block;width:.8rem;height:.8rem;border-radius:3px;background:${SETS[k % SETS.length]}"></i> ${escape(name)}`,
      s.files, s.failed.length, between(s.columns.pass || s.columns.gate), d ? between(d.pairwise_tm) : "-", d ? Object.values(d.clusters).join(" / ") : "-",
      n ? `${between(n.median)}${isNumber(n.held_out_median) ? ` (${show(n.held_out_median)})` : ""}` : "-", e ? `${show(e.distance)} (${show(e.floor)}; p ${show(e.p_value, 3)})` : "-", escape(odd)];
  });
  const row = (cells, tag) => `<tr>${cells.map((c, k) => `<${tag} class="${k === 0 || k === 8 ? "text" : ""}">${c}</${tag}>`).join("")}</tr>`;
  $("sets").innerHTML = `<h2>Sets</h2><table>${row(head, "th")}${lines.map((l) => row(l, "td")).join("")}</table>`;
}

$("headline").textContent = data.headline;
setTable();
render();
if (rows.length) choose(rows.find((r) => data.structures[r]) ?? rows[0]);
window.ready = performance.now();
