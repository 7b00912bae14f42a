// SPDX-License-Identifier: Apache-2.0
// Pictures of a run over time, the packet ladder, and the log. One moment and one part of the
// time are shown by all of them. Texts go into the page as text, never as markup.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const view = { from: 0, to: data.end, moment: 0 };
const wantsStillness = matchMedia("(prefers-reduced-motion: reduce)");

function make(tag, attributes = {}, ...children) {
  const isSvg = ["svg", "g", "path", "line", "text", "rect", "title", "circle"].includes(tag);
  const element = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// ---- words ----

function timeText(ns, digits = 6) {
  if (ns === null) return "";
  const sign = ns < 0 ? "-" : "";
  const micros = Math.floor(Math.abs(ns) / 1000);
  const seconds = Math.floor(micros / 1e6);
  const rest = digits ? `.${String(micros % 1e6).padStart(6, "0").slice(0, digits)}` : "";
  const two = (number) => String(number).padStart(2, "0");
  const [hour, minute, second] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (hour) return `${sign}${hour}:${two(minute)}:${two(second)}${rest}`;
  return minute ? `${sign}${minute}:${two(second)}${rest}` : `${sign}${second}${rest} s`;
}

function durationText(ns) {
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["us", 1e3]]) {
    if (ns >= size) return `${Number((ns / size).toPrecision(4))} ${unit}`;
  }
  return `${ns} ns`;
}

function rateText(bits) {
  for (const [unit, size] of [["Gbit/s", 1e9], ["Mbit/s", 1e6], ["kbit/s", 1e3]]) {
    if (bits >= size) return `${Number((bits / size).toPrecision(3))} ${unit}`;
  }
  return `${bits} bit/s`;
}

// ---- the moment ----

const parts = new Map([...document.querySelectorAll("[data-key]")].map((part) => [part.dataset.key, part]));
const stateWords = { down: "down", worse: "degraded", changed: "changed", flaps: "flapping", split: "cut off by a partition", off: "off", paused: "paused", dead: "dead", hit: "hit by a fault" };

function statesAt(moment) {
  const states = new Map();
  for (const one of data.moments.slice(0, moment + 1)) {
    for (const [key, state] of Object.entries(one.states)) states.set(key, state);
  }
  return states;
}

function drawMoment() {
  if (!byId("slider")) return;
  const moment = data.moments[view.moment];
  const states = statesAt(view.moment);
  for (const [key, part] of parts) part.setAttribute("class", states.get(key) || "up");
  const unusual = [...states].filter(([, state]) => state !== "up");
  const list = make("ul");
  for (const text of moment.texts.slice(0, 6)) list.append(make("li", moment.bad && /failed|ends:/.test(text) ? { class: "bad" } : {}, text));
  if (moment.texts.length > 6) list.append(make("li", {}, `and ${moment.texts.length - 6} more`));
  const said = unusual.map(([key, state]) => `${key.replace(":", " ")} ${stateWords[state] || state}`).join(", ");
  byId("now").replaceChildren(
    make("b", {}, `${timeText(moment.t)} `),
    make("span", { class: "note" }, `moment ${view.moment + 1} of ${data.moments.length}. ${said ? `Now: ${said}.` : "All is up."}`),
    list,
  );
  byId("slider").value = view.moment;
  byId("slider").setAttribute("aria-valuetext", `${timeText(moment.t)}: ${moment.texts[0] || "the lab begins"}`);
}

function goTo(moment) {
  view.moment = Math.min(Math.max(moment, 0), data.moments.length - 1);
  drawMoment();
  drawCursors();
}

// The last moment that is not behind this time.
function goToTime(ns) {
  let found = 0;
  data.moments.forEach((one, at) => { if (one.t <= ns) found = at; });
  goTo(found);
}

let playing = null;

function play() {
  if (playing !== null) {
    clearInterval(playing);
    playing = null;
  } else {
    if (view.moment === data.moments.length - 1) goTo(0);
    playing = setInterval(() => {
      goTo(view.moment + 1);
      if (view.moment === data.moments.length - 1) play();
    }, wantsStillness.matches ? 1500 : 700);
  }
  byId("play").setAttribute("aria-pressed", String(playing !== null));
  byId("play").textContent = playing === null ? "▶ Play" : "⏸ Pause";
}

function startMoments() {
  if (!byId("slider")) return;
  byId("slider").max = data.moments.length - 1;
  byId("slider").addEventListener("input", (event) => goTo(Number(event.target.value)));
  byId("play").addEventListener("click", play);
  byId("before").addEventListener("click", () => goTo(view.moment - 1));
  byId("after").addEventListener("click", () => goTo(view.moment + 1));
  const firstBad = data.moments.findIndex((one) => one.bad);
  view.moment = firstBad < 0 ? 0 : firstBad;
  drawMoment();
}

// ---- the part of the time ----

const SPAN_MIN = 1000; // a microsecond

function show(from, to) {
  const span = Math.min(Math.max(to - from, SPAN_MIN), data.end);
  view.from = Math.min(Math.max(from, 0), data.end - span);
  view.to = view.from + span;
  drawTimes();
}

function zoom(how) {
  const span = view.to - view.from;
  const now = data.moments[view.moment].t;
  const centre = now >= view.from && now <= view.to ? now : view.from + span / 2;
  if (how === "in") show(centre - (centre - view.from) / 2, centre + (view.to - centre) / 2);
  else if (how === "out") show(view.from - span / 2, view.to + span / 2);
  else if (how === "left") show(view.from - span / 4, view.to - span / 4);
  else if (how === "right") show(view.from + span / 4, view.to + span / 4);
  else if (how === "busy") show(...busiest());
  else show(0, data.end);
}

// The shortest part that has nine tenths of all moments, with a little around it.
function busiest() {
  const times = data.moments.map((one) => one.t);
  const wanted = Math.ceil(times.length * 0.9) - 1;
  let best = [0, data.end];
  for (let at = 0; at + wanted < times.length; at++) {
    const part = [times[at], times[at + wanted]];
    if (part[1] - part[0] < best[1] - best[0]) best = part;
  }
  const around = Math.max((best[1] - best[0]) * 0.05, SPAN_MIN);
  return [best[0] - around, best[1] + around];
}

const share = (ns) => (ns - view.from) / (view.to - view.from);

function ticks(count) {
  const span = view.to - view.from;
  const steps = [];
  for (let ten = 1e3; ten <= 1e9; ten *= 10) steps.push(ten, 2 * ten, 5 * ten);
  for (const seconds of [20, 30, 60, 120, 300, 600, 1200, 1800, 3600]) steps.push(seconds * 1e9);
  let step = steps.find((one) => span / one <= count) || 3600e9;
  while (span / step > count) step *= 2;
  const found = [];
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) found.push(at);
  const digits = step >= 1e9 ? 0 : step >= 1e6 ? 3 : 6;
  return found.map((at) => [at, timeText(at, digits)]);
}

// ---- the timeline ----

function drawBar([start, end, kind, text]) {
  const until = end === null ? data.end : end;
  if (until < view.from || start > view.to) return null;
  const bar = make("div", { class: `bar ${kind}${end === null ? " open" : ""}`, title: `${timeText(start)} – ${end === null ? "the end" : timeText(end)}\n${text}` });
  const left = Math.max(share(start), -0.01);
  bar.style.left = `min(${left * 100}%, 100% - 6px)`; // what ends with the run is seen, too
  bar.style.width = `${(Math.min(share(until), 1.01) - left) * 100}%`;
  return bar;
}

function drawTimeline() {
  const axis = make("div", { class: "track" });
  const width = byId("bars").clientWidth;
  for (const [at, text] of ticks(Math.max(Math.floor(width / 120), 2))) {
    if (share(at) > 0.95) continue;
    const tick = make("span", { class: "tick" }, text);
    tick.style.left = `${share(at) * 100}%`;
    axis.append(tick);
  }
  const rows = [make("div", { class: "row axis", "aria-hidden": "true" }, make("span", {}, ""), axis)];
  let group = null;
  for (const row of data.rows) {
    const bars = row.bars.map(drawBar).filter(Boolean);
    if (!bars.length) continue;
    if (row.group !== group) rows.push(make("div", { class: "row head" }, make("span", {}, row.group)));
    group = row.group;
    const track = make("div", { class: "track" }, ...bars);
    rows.push(make("div", { class: "row" }, make("span", { title: row.name }, row.name), track));
  }
  byId("bars").replaceChildren(...rows);
  byId("shown").textContent = `${timeText(view.from)} to ${timeText(view.to)}`;
}

function drawCursors() {
  const at = share(data.moments[view.moment].t);
  for (const old of document.querySelectorAll(".cursor, .plot .now")) old.remove();
  if (at < 0 || at > 1) return;
  for (const track of document.querySelectorAll("#bars .row:not(.axis) .track")) {
    const cursor = make("div", { class: "cursor" });
    cursor.style.left = `calc(${at * 100}% - 1px)`;
    track.append(cursor);
  }
  for (const svg of document.querySelectorAll(".plot > svg")) {
    const x = LEFT + at * (svg.dataset.width - LEFT - RIGHT);
    svg.append(make("line", { class: "now", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
  }
}

function drawTimes() {
  drawTimeline();
  drawPlots();
  drawCursors();
}

// ---- plots ----

const [LEFT, RIGHT, TOP, BOTTOM, HEIGHT] = [80, 12, 12, 24, 200];
const plots = new Map(); // id -> what is chosen: { curves: [{ name, style, points }], words }

function niceTop(most) {
  const ten = 10 ** Math.floor(Math.log10(most || 1));
  return [1, 2, 5, 10].map((one) => one * ten).find((one) => one >= most) || most;
}

function drawPlot(id) {
  const { curves, words } = plots.get(id);
  const width = Math.max(byId(id).clientWidth, 200);
  const seen = curves.map((curve) => seenPoints(curve.points));
  const top = niceTop(Math.max(1, ...seen.flat().map((point) => point[2])));
  const x = (ns) => LEFT + share(ns) * (width - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const svg = make("svg", { width, height: HEIGHT, "data-width": width, role: "img", "aria-label": `${curves.map((curve) => curve.name).join(" and ")}: at most ${words(Math.max(0, ...seen.flat().map((point) => point[2])))} in the part that is shown` });
  for (const part of [0, 0.5, 1]) {
    svg.append(make("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(top * part), y2: y(top * part) }));
    svg.append(make("text", { x: LEFT - 6, y: y(top * part) + 4, "text-anchor": "end" }, words(top * part)));
  }
  for (const [at, text] of ticks(Math.max(Math.floor((width - LEFT) / 130), 2))) {
    if (x(at) > width - 60) continue;
    svg.append(make("line", { class: "grid", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
    svg.append(make("text", { x: x(at), y: HEIGHT - 6 }, text));
  }
  curves.forEach((curve, at) => drawCurve(svg, curve, seen[at], x, y));
  const legend = make("p", { class: "legend" });
  for (const curve of curves) {
    const sample = make("svg", { width: 30, height: 8, "aria-hidden": "true" }, make("path", { class: `curve ${curve.style}`, d: "M0 4 H30" }));
    legend.append(sample, curve.name);
  }
  byId(id).replaceChildren(svg, legend);
}

// The points that are shown, and one more at each side, so that the curve leaves the picture.
function seenPoints(points) {
  const first = points.findIndex((point) => point[0] >= view.from);
  if (first < 0) return points.slice(-1);
  const behind = points.findIndex((point) => point[0] > view.to);
  return points.slice(Math.max(first - 1, 0), behind < 0 ? points.length : behind + 1);
}

function drawCurve(svg, curve, points, x, y) {
  if (!points.length) return;
  const inside = (value) => Math.min(Math.max(value, LEFT), svg.dataset.width - RIGHT).toFixed(1);
  const at = (point, which) => `${inside(x(point[0]))} ${y(point[which]).toFixed(1)}`;
  const most = points.map((point) => at(point, 2));
  const least = points.map((point) => at(point, 1)).reverse();
  const isBand = points.some((point) => point[1] !== point[2]);
  if (isBand) svg.append(make("path", { class: `band ${curve.style}`, d: `M${[...most, ...least].join(" L")} Z` }));
  // A mean holds for all of its time: such a curve is made of steps.
  const line = curve.isMean ? `M${most[0]} ${points.slice(1).map((point) => `V${y(point[2]).toFixed(1)} H${inside(x(point[0]))}`).join(" ")}` : `M${most.join(" L")}`;
  svg.append(make("path", { class: `curve ${curve.style}`, d: line }));
  if (points.length === 1) svg.append(make("circle", { class: curve.style, cx: inside(x(points[0][0])), cy: y(points[0][2]), r: 3 }));
}

function drawPlots() {
  for (const id of plots.keys()) drawPlot(id);
}

function startPlot(id, all, curvesOf, words, sizeOf) {
  if (!byId(id)) return;
  const select = byId(`${id}-of`);
  select.append(...all.map((one, at) => make("option", { value: at }, one.name)));
  const choose = () => {
    plots.set(id, { curves: curvesOf(all[Number(select.value)]), words });
    forgetTable(id);
    drawPlot(id);
    drawCursors();
  };
  select.value = all.reduce((best, one, at) => (sizeOf(one) > sizeOf(all[best]) ? at : best), 0);
  select.addEventListener("change", choose);
  choose();
}

// ---- tables for those who do not see pictures, made when they are opened ----

const tables = {
  throughput: () => plotTable("throughput"),
  "round-trips": () => plotTable("round-trips"),
  ladder: () => ladderTable(),
};

function plotTable(id) {
  const { curves, words } = plots.get(id);
  const rows = curves.flatMap((curve) => curve.points.map((point) => [timeText(point[0]), curve.name, words(point[1]), words(point[2])]));
  return table(["at", "what", "least", "most"], rows);
}

function table(headings, rows) {
  const head = make("tr", {}, ...headings.map((one) => make("th", { scope: "col" }, one)));
  const body = rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

function fillTable(details) {
  if (!details.open || details.childElementCount > 1) return;
  details.append(make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table" }, tables[details.dataset.table]()));
}

function forgetTable(name) {
  const details = document.querySelector(`[data-table="${name}"]`);
  while (details.childElementCount > 1) details.lastElementChild.remove();
  fillTable(details);
}

// ---- packets ----

const ROW = 26;

function flowNow() {
  return data.flows[Number(byId("flow").value)];
}

function fateOf([sent, arrived, , , , comment]) {
  if (comment) return comment;
  if (sent !== null && arrived !== null) return `took ${durationText(arrived - sent)}`;
  return "";
}

function drawLadder() {
  const flow = flowNow();
  const wide = Math.max(byId("ladder").clientWidth - 140, 320 * Math.max(flow.columns.length - 1, 1));
  const gap = flow.columns.length > 1 ? (wide - 60) / (flow.columns.length - 1) : 0;
  const x = (column) => 150 + gap * column;
  const height = 40 + ROW * (flow.rows.length + (flow.cut >= 0 ? 1 : 0)) + 10;
  const svg = make("svg", { width: wide + 150, height, role: "img", "aria-label": `${flow.name}: the table below has the same` });
  flow.columns.forEach((name, at) => {
    svg.append(make("text", { class: "name", x: x(at), y: 16, "text-anchor": "middle" }, name));
    svg.append(make("line", { class: "life", x1: x(at), x2: x(at), y1: 24, y2: height }));
  });
  let y = 44;
  flow.rows.forEach((row, at) => {
    if (at === flow.cut) {
      svg.append(make("text", { x: 4, y: y + 4 }, `… ${flow.left} packets left out …`));
      y += ROW;
    }
    drawPacket(svg, row, y, x, flow);
    y += ROW;
  });
  byId("ladder").replaceChildren(svg);
  const left = flow.left ? ` ${flow.left} of them, in the middle, are left out here; the capture has them.` : "";
  byId("flow-note").textContent = `${flow.count} packets.${left}`;
  forgetTable("ladder");
}

function drawPacket(svg, row, y, x, flow) {
  const [sent, arrived, source, target, what, comment] = row;
  svg.append(make("text", { class: "time", x: 4, y: y + 4 }, timeText(sent === null ? arrived : sent)));
  const known = source >= 0 && target >= 0 && source !== target;
  const column = Math.max(source, target, 0);
  const from = known ? x(source) : x(source >= 0 ? source : column);
  const to = known ? x(target) : from + 60;
  const isLost = sent !== null && arrived === null && /lost|dropped|never|down|out/.test(comment);
  const end = isLost ? from + (to - from) * 0.6 : to;
  const way = Math.sign(to - from) || 1;
  svg.append(make("line", { class: isLost ? "arrow lost" : "arrow", x1: from, x2: end, y1: y, y2: y + 6 }));
  svg.append(isLost
    ? make("path", { class: "arrow lost", d: `M${end - 5} ${y} l10 10 m0 -10 l-10 10` })
    : make("path", { class: "head", d: `M${end} ${y + 6} l${-8 * way} -5 v9 Z` }));
  const label = comment ? `${what} (${comment})` : what;
  svg.append(make("text", { class: "what", x: (from + to) / 2, y: y - 1, "text-anchor": "middle" }, label,
    make("title", {}, `${flow.columns[source] || "?"} → ${flow.columns[target] || "?"}: ${what}. ${fateOf(row)}`)));
}

function ladderTable() {
  const flow = flowNow();
  const rows = flow.rows.map((row) => [timeText(row[0]), timeText(row[1]), flow.columns[row[2]] || "?", flow.columns[row[3]] || "?", row[4], fateOf(row)]);
  return table(["sent", "arrived", "from", "to", "packet", "fate"], rows);
}

function startPackets() {
  if (!byId("flow")) return;
  byId("flow").append(...data.flows.map((flow, at) => make("option", { value: at }, `${flow.name} (${flow.count})`)));
  byId("flow").addEventListener("change", drawLadder);
  const largest = data.flows.reduce((best, flow, at) => (flow.name.startsWith("tcp") && flow.count > (data.flows[best].name.startsWith("tcp") ? data.flows[best].count : 0) ? at : best), 0);
  byId("flow").value = largest;
  drawLadder();
}

// ---- the log ----

const LINES_STEP = 500;
const find = { text: "", level: 7, owner: "", lines: LINES_STEP };

function marked(text) {
  if (!find.text) return [text];
  const found = [];
  const low = text.toLowerCase();
  const wanted = find.text.toLowerCase();
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0 && found.length < 200; at = low.indexOf(wanted, from)) {
    found.push(text.slice(from, at), make("mark", {}, text.slice(at, at + wanted.length)));
    from = at + wanted.length;
  }
  return [...found, text.slice(from)];
}

const has = (text) => !find.text || text.toLowerCase().includes(find.text.toLowerCase());

function drawLine([ns, kernel, level, owner, confidence, text, lost]) {
  const style = level === null || level > 4 ? "" : level === 4 ? " warn" : " error";
  const doubt = { likely: " ~", guess: " ?" }[confidence] || "";
  const who = [kernel, owner].filter(Boolean).join(" ") + doubt;
  const before = lost ? `[${lost < 0 ? "some" : lost} messages were lost here] ` : "";
  const sure = confidence === "sure" ? "" : `; put together from pieces: ${confidence}`;
  return make("div", { class: `line${style}` },
    make("span", { class: "when" }, timeText(ns)),
    make("span", { class: "who", title: `owner ${owner || "not told"}${sure}` }, who),
    make("span", { class: "said" }, before, ...marked(text)));
}

function drawLog() {
  const lines = data.lines.filter(([, , level, owner, , text]) => has(text) && (find.level === 7 || (level !== null && level <= find.level)) && (!find.owner || owner === find.owner));
  byId("lines").replaceChildren(...lines.slice(0, find.lines).map(drawLine));
  byId("lines").hidden = !lines.length;
  byId("lines-note").textContent = data.lines.length ? `${lines.length} of ${data.lines.length} lines${lines.length > find.lines ? `, the first ${find.lines} here` : ""}. T1 is the task with number 1; ~ and ? say how sure it is that pieces are one line. Before 0 s the kernel starts and the lab is made ready.` : "The kernel printed nothing.";
  byId("more").hidden = lines.length <= find.lines;
  drawOutputs();
}

function drawOutputs() {
  const outputs = data.outputs.filter((one) => has(one.text) || has(one.process));
  byId("outputs").replaceChildren(...outputs.map((one) => {
    const left = one.left ? `, ${one.left} bytes left out` : "";
    const details = make("details", {}, make("summary", {}, `${one.node}: ${one.process} ${one.stderr ? "(stderr) " : ""}`, make("span", { class: "note" }, `${one.text.length} characters${left}`)));
    const fill = () => { // what nobody opens is not made
      if (details.open && details.childElementCount === 1) details.append(make("pre", { tabindex: "0" }, ...marked(one.text)));
    };
    details.addEventListener("toggle", fill);
    return details;
  }));
  byId("outputs-note").textContent = data.outputs.length ? `${outputs.length} of ${data.outputs.length} outputs.` : "No program printed anything.";
}

function startLog() {
  const owners = [...new Set(data.lines.map((line) => line[3]))].filter(Boolean).sort();
  byId("owner").append(...owners.slice(0, 500).map((owner) => make("option", { value: owner }, owner)));
  const change = (what) => { Object.assign(find, { lines: LINES_STEP }, what); drawLog(); };
  byId("text").addEventListener("input", (event) => change({ text: event.target.value }));
  byId("level").addEventListener("change", (event) => change({ level: Number(event.target.value) }));
  byId("owner").addEventListener("change", (event) => change({ owner: event.target.value }));
  byId("more").addEventListener("click", () => change({ lines: find.lines + LINES_STEP }));
  byId("clear").addEventListener("click", showAll);
  drawLog();
}

function showAll() {
  Object.assign(find, { text: "", level: 7, owner: "", lines: LINES_STEP });
  byId("text").value = "";
  byId("level").value = "7";
  byId("owner").value = "";
  drawLog();
}

// ---- all together ----

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") showAll();
  if (event.target.matches("input[type=search], select")) return;
  if (event.key === "/") { event.preventDefault(); byId("text").focus(); }
  if (event.key === "[") goTo(view.moment - 1);
  if (event.key === "]") goTo(view.moment + 1);
}

function onTimelineKey(event) {
  const how = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all" }[event.key];
  if (!how || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  zoom(how);
}

function start() {
  document.documentElement.classList.add("script");
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => zoom(button.dataset.zoom));
  for (const button of document.querySelectorAll("button.moment")) {
    button.addEventListener("click", () => {
      goToTime(Number(button.dataset.ns));
      const target = byId("topology") || byId("timeline");
      target.scrollIntoView({ behavior: wantsStillness.matches ? "auto" : "smooth" });
    });
  }
  for (const details of document.querySelectorAll("[data-table]")) details.addEventListener("toggle", () => fillTable(details));
  byId("bars").addEventListener("keydown", onTimelineKey);
  document.addEventListener("keydown", onKey);
  startMoments();
  drawTimeline();
  startPlot("throughput", data.throughput, (one) => [
    { name: "sent", style: "one", isMean: true, points: one.sent },
    { name: "received", style: "two", isMean: true, points: one.received },
  ], rateText, (one) => Math.max(0, ...[...one.sent, ...one.received].map((point) => point[2])));
  startPlot("round-trips", data.roundTrips, (one) => [
    { name: `${one.count} round trips`, style: "one", points: one.points },
  ], durationText, (one) => one.count);
  drawCursors();
  startPackets();
  startLog();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    drawTimes();
    if (byId("flow")) drawLadder();
  });
}

start();
