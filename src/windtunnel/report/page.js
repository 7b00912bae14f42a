// SPDX-License-Identifier: Apache-2.0
// The map and the list of cells. All that one chooses is in the address behind "#", so that a
// view can be sent to somebody. Texts go into the page as text, never as markup.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const kinds = data.kinds; // the worst first
const rank = new Map(kinds.map((kind, at) => [kind.name, at]));
const NONE = "";

const view = { rows: NONE, columns: NONE, kinds: new Set(), text: "", field: null, group: null };

const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// ---- what is shown ----

const axisAt = new Map(data.axes.map((axis, at) => [axis.name, at]));

// The value of a cell on an axis; "" where it has none.
function valueOf(cell, axis) {
  const at = axisAt.get(axis);
  return at === undefined || cell.at[at] < 0 ? "" : data.axes[at].values[cell.at[at]];
}

function valuesOf(axis) {
  const found = data.axes.find((one) => one.name === axis);
  if (!found) return [""];
  const lacking = data.cells.some((cell) => valueOf(cell, axis) === "");
  return lacking ? [...new Set([...found.values, ""])] : found.values;
}

const fieldOf = (cell) => JSON.stringify([valueOf(cell, view.rows), valueOf(cell, view.columns)]);

function matches(cell) {
  if (view.kinds.size && !view.kinds.has(cell.kind)) return false;
  if (view.group !== null && cell.group !== view.group) return false;
  if (!view.text) return true;
  const finding = cell.tries.map((one) => one.finding).join("\n");
  return `${cell.name}\n${finding}`.toLowerCase().includes(view.text.toLowerCase());
}

// ---- the map ----

function fold(cells) {
  const worst = cells.reduce((one, two) => (rank.get(two.kind) < rank.get(one.kind) ? two : one));
  const bad = cells.filter((cell) => cell.kind !== "passed" && cell.kind !== "flaky").length;
  return { kind: kinds[rank.get(worst.kind)], bad, count: cells.length };
}

function fieldButton(key, cells, row, column) {
  if (!cells) return make("span", { class: "note", "aria-label": "no cell" }, "·");
  const { kind, bad, count } = fold(cells);
  const numbers = count === 1 ? "" : bad ? ` ${bad}/${count}` : ` ${count}`;
  const where = [row, column].filter(Boolean).join(", ") || "all";
  const what = count === 1 ? kind.name : `worst ${kind.name}, ${bad} of ${count} not passed`;
  const dim = cells.some(matches) ? "" : " dim";
  return make("button", {
    type: "button",
    class: `${kind.name}${dim}`,
    style: `--share: ${bad / count}`,
    tabindex: "-1",
    title: count === 1 ? cells[0].name : `${where}: ${what}`,
    "aria-label": `${where}: ${what}`,
    "aria-pressed": String(view.field === key),
    onclick: () => change({ field: view.field === key ? null : key }),
  }, kind.symbol + numbers);
}

function drawMap() {
  const focused = document.activeElement && document.activeElement.closest(".map td");
  const place = focused ? [focused.parentElement.rowIndex, focused.cellIndex] : null;
  const fields = new Map();
  for (const cell of data.cells) {
    const key = fieldOf(cell);
    if (!fields.has(key)) fields.set(key, []);
    fields.get(key).push(cell);
  }
  const columns = valuesOf(view.columns);
  const corner = [view.rows, view.columns].filter(Boolean).join(" \\ ");
  const head = make("tr", {}, make("th", {}, corner));
  for (const column of columns) head.append(make("th", { scope: "col" }, column || (view.columns ? "–" : "")));
  const body = make("tbody");
  for (const row of valuesOf(view.rows)) {
    const line = make("tr", {}, make("th", { scope: "row" }, row || (view.rows ? "–" : "all")));
    for (const column of columns) {
      const key = JSON.stringify([row, column]);
      line.append(make("td", {}, fieldButton(key, fields.get(key), row, column)));
    }
    body.append(line);
  }
  byId("map").replaceChildren(make("table", { class: "map" }, make("thead", {}, head), body));
  const folded = data.axes.map((one) => one.name).filter((name) => name !== view.rows && name !== view.columns);
  byId("map-note").textContent = folded.length
    ? `Folded: ${folded.join(", ")}. A field has the worst of its cells, and how many of them did not pass.`
    : "";
  const old = place && byId("map").querySelector("table").rows[place[0]];
  const again = old && old.cells[place[1]] && old.cells[place[1]].querySelector("button");
  const first = again || byId("map").querySelector("button");
  if (first) first.tabIndex = 0;
  if (again) again.focus();
}

// One stop of the Tab key for the whole map; the arrows go on from there, over empty fields.
function moveInMap(event) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const from = event.target.closest("td");
  if (!from) return;
  const rows = from.closest("table").rows;
  let [row, column] = [from.parentElement.rowIndex, from.cellIndex];
  let [down, right] = steps[event.key] || [0, 0];
  if (event.key === "Home") [column, right] = [0, 1];
  else if (event.key === "End") [column, right] = [rows[row].cells.length, -1];
  else if (!steps[event.key]) return;
  event.preventDefault();
  for (;;) {
    row += down;
    column += right;
    const next = rows[row] && rows[row].cells[column];
    if (!next || next.tagName !== "TD") return;
    const button = next.querySelector("button");
    if (!button) continue;
    event.target.tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
    return;
  }
}

// ---- the list ----

function linksTo(run) {
  const links = make("p");
  if (run.page) links.append(make("a", { href: run.url + run.page }, "report"), " · ");
  links.append(make("a", { href: run.url }, "run"));
  for (const file of data.files) links.append(" · ", make("a", { href: run.url + file }, file));
  return links;
}

function drawTry(one, title) {
  const block = make("div", { class: "try" }, make("p", {}, make("b", {}, title)));
  if (one.facts) block.append(make("p", { class: "note" }, one.facts));
  if (one.finding) block.append(make("p", {}, one.finding));
  for (const check of one.checks) {
    block.append(make("p", {}, check.title), make("pre", {}, check.message || "no message"));
  }
  if (one.repeat) block.append(make("p", {}, "Repeat it: ", make("code", {}, one.repeat)));
  if (one.url) block.append(linksTo(one));
  return block;
}

function drawCell(cell) {
  const kind = kinds[rank.get(cell.kind)];
  const last = cell.tries[cell.tries.length - 1];
  const tries = cell.tries.length > 1 ? ` ↻ ${cell.tries.length} tries` : "";
  const summary = make("summary", {}, make("span", { class: `kind ${kind.name}` }, `${kind.symbol} ${kind.name}`), ` ${cell.name}${tries}`);
  if (last.finding) summary.append(make("span", { class: "note" }, ` ${last.finding}`));
  const details = make("details", { class: "cell" }, summary);
  details.addEventListener("toggle", () => { // what nobody opens is not made
    if (details.childElementCount > 1) return;
    const params = data.axes.map((axis) => [axis.name, valueOf(cell, axis.name)]).filter(([, value]) => value !== "");
    details.append(make("p", { class: "note" }, params.map(([name, value]) => `${name} = ${value}`).join(", ")));
    cell.tries.forEach((one, at) => details.append(drawTry(one, `try ${at + 1}: ${one.state}`)));
  });
  return details;
}

let listed = null; // what the list shows, so that another map does not draw it again

function drawList() {
  const wanted = JSON.stringify([[...view.kinds], view.text, view.field, view.group]);
  if (wanted === listed) return;
  listed = wanted;
  const chosen = data.cells.filter((cell) => matches(cell) && (view.field === null || fieldOf(cell) === view.field));
  byId("cells").replaceChildren(...chosen.map(drawCell));
  const all = chosen.length === data.cells.length;
  const parts = [];
  if (view.field !== null) parts.push(JSON.parse(view.field).filter(Boolean).join(", ") || "all");
  if (view.group !== null) parts.push("one group of failures");
  byId("cells-note").textContent = `${all ? "All" : `${chosen.length} of`} ${data.cells.length} cells` + (parts.length ? `: ${parts.join("; ")}` : "");
}

function drawKinds() {
  const buttons = kinds.filter((kind) => data.cells.some((cell) => cell.kind === kind.name)).map((kind) => {
    const count = data.cells.filter((cell) => cell.kind === kind.name).length;
    const toggle = () => {
      const next = new Set(view.kinds);
      if (!next.delete(kind.name)) next.add(kind.name);
      change({ kinds: next });
      [...byId("kinds").children].find((one) => one.dataset.kind === kind.name).focus();
    };
    return make("button", { type: "button", class: kind.name, "data-kind": kind.name, "aria-pressed": String(view.kinds.has(kind.name)), onclick: toggle }, `${kind.symbol} ${count} ${kind.name}`);
  });
  byId("kinds").replaceChildren(...buttons);
}

// ---- the view ----

function draw() {
  byId("rows").value = view.rows;
  byId("columns").value = view.columns;
  if (byId("text").value !== view.text) byId("text").value = view.text;
  if (data.axes.length) drawMap();
  drawKinds();
  drawList();
}

function change(what) {
  Object.assign(view, what);
  const words = new URLSearchParams({ rows: view.rows, columns: view.columns });
  if (view.kinds.size) words.set("state", [...view.kinds].join(","));
  if (view.text) words.set("text", view.text);
  if (view.field !== null) words.set("field", view.field);
  if (view.group !== null) words.set("group", String(view.group));
  history.replaceState(null, "", `#${words}`);
  draw();
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const axis = (name, otherwise) => (data.axes.some((one) => one.name === words.get(name)) || words.get(name) === NONE ? words.get(name) : otherwise);
  view.rows = axis("rows", data.rows);
  view.columns = axis("columns", data.columns);
  view.kinds = new Set((words.get("state") || "").split(",").filter((name) => rank.has(name)));
  view.text = words.get("text") || "";
  view.field = words.get("field");
  view.group = words.has("group") ? Number(words.get("group")) : null;
}

function start() {
  for (const id of ["rows", "columns"]) {
    const options = [make("option", { value: NONE }, "(none)"), ...data.axes.map((axis) => make("option", { value: axis.name }, `${axis.name} (${axis.values.length})`))];
    byId(id).append(...options);
    byId(id).addEventListener("change", (event) => change({ [id]: event.target.value, field: null }));
  }
  const all = { kinds: new Set(), text: "", field: null, group: null };
  byId("text").addEventListener("input", (event) => change({ text: event.target.value }));
  byId("clear").addEventListener("click", () => change(all));
  byId("map").addEventListener("keydown", moveInMap);
  for (const group of document.querySelectorAll(".group")) {
    const show = () => { change({ ...all, group: Number(group.dataset.group) }); byId("cells-title").scrollIntoView(); };
    group.querySelector("ul").before(make("p", {}, make("button", { type: "button", onclick: show }, "Show in the list")));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") change(all);
    if (event.key === "/" && event.target.tagName !== "INPUT") { event.preventDefault(); byId("text").focus(); }
  });
  window.addEventListener("hashchange", () => { readAddress(); draw(); });
  byId("map-section").hidden = !data.axes.length;
  byId("cells-section").hidden = false;
  readAddress();
  draw();
}

start();
