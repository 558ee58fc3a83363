// Copyright (c) 2026 the gpufleet.nvidia authors
// SPDX-License-Identifier: GPL-3.0-or-later

const PAGE = 100;

// Parts of cells.

function badge(state) { return state ? element("span", { class: `state ${state}` }, state) : "–"; }

function severity(one) {
  return one.accepted ? element("span", {}, badge("accepted"), " ", element("small", { class: "soft" }, one.severity)) : badge(one.severity);
}

function count(host) {
  const open = host.findings.length - host.accepted;
  if (!host.accepted) return String(open || "none");
  return element("span", {}, String(open || "none"), " ", element("small", { class: "soft" }, `+ ${host.accepted} accepted`));
}

function meter(percent, label, kind) {
  if (percent === null) return "–";
  const bar = element("b", {});
  bar.style.setProperty("--share", `${percent}%`);
  const track = element("i", { "aria-hidden": "true" }, bar);
  return element("div", { class: `meter ${kind}` }, track, element("span", {}, label));
}

function strip(host) {
  if (!host.gpus.length) return element("span", { class: "soft" }, host.problem ?? "no GPU");
  const bars = element("div", { class: "strip", "aria-hidden": "true" });
  for (const gpu of host.gpus) {
    const bar = element("i", { class: gpu.state ?? "unknown",
      title: `GPU ${gpu.index}: ${gpu.state ?? "state not told"}, ${unit(gpu.utilization_percent, "% used")}` });
    bar.style.setProperty("--share", `${gpu.utilization_percent ?? 0}%`);
    bars.append(bar);
  }
  const names = host.models.map(name => `${host.gpus.filter(gpu => model(gpu) === name).length} × ${name}`);
  const unreadable = host.gpus.filter(gpu => gpu.problem).length;
  if (unreadable) names.push(`${unreadable} unreadable`);
  return element("div", {}, bars, element("small", {}, names.join(", ")));
}

function opener(host, label) {
  const button = element("button", { type: "button", class: "link" }, label);
  button.addEventListener("click", () => showHost(host));
  return button;
}

// The three views: rows, and columns [label, value to sort by, cell, takes the whole width of a phone]

const worst = state => state === null ? null : STATES.indexOf(state);
const VIEWS = {
  hosts: {
    rows: hosts, state: host => host.state, sort: [0, 1], label: "Hosts",
    matches: (host, chosen) => (!chosen.model || host.models.includes(chosen.model)),
    columns: [
      ["Host", host => host.rank, host => opener(host, host.name)],
      ["State", host => worst(host.state), host => badge(host.state)],
      ["GPUs", host => host.gpus.length, strip, true],
      ["Driver", host => host.driver, host => host.driver ? `${host.driver}${host.module ? ` ${host.module}` : ""}` : "–"],
      ["CUDA", host => host.cuda, host => host.cuda ?? "–"],
      ["Utilisation", host => host.utilization, host => meter(host.utilization, unit(host.utilization, "%"), "")],
      ["Memory used", host => host.memoryShare, host => meter(host.memoryShare, size(host.used), "memory")],
      ["Findings", host => host.findings.length - host.accepted, count],
    ],
  },
  gpus: {
    rows: gpus, state: gpu => gpu.state, sort: [0, 1], label: "GPUs",
    matches: (gpu, chosen) => (!chosen.model || model(gpu) === chosen.model),
    columns: [
      ["Host", gpu => gpu.host.rank * 1000 + gpu.position, gpu => opener(gpu.host, gpu.host.name)],
      ["GPU", gpu => gpu.index, gpu => String(gpu.index ?? "–")],
      ["Model", model, model, true],
      ["State", gpu => worst(gpu.state), gpu => badge(gpu.state)],
      ["Driver", gpu => gpu.host.driver, gpu => gpu.host.driver ?? "–"],
      ["Utilisation", gpu => gpu.utilization_percent, gpu => meter(gpu.utilization_percent, unit(gpu.utilization_percent, "%"), "")],
      ["Memory used", gpu => gpu.memoryShare, gpu => meter(gpu.memoryShare, size(gpu.memory_used_mib), "memory")],
      ["Temp.", gpu => gpu.temperature_celsius, gpu => unit(gpu.temperature_celsius, "°C")],
      ["Power", gpu => gpu.power_milliwatts, watts],
      ["Bus id", gpu => gpu.pci_bus_id, gpu => gpu.pci_bus_id ?? "–"],
    ],
  },
  findings: {
    rows: findings, state: one => one.state, sort: [1, -1], label: "Findings",
    matches: (one, chosen) => (!chosen.model || one.host.models.includes(chosen.model)),
    columns: [
      ["Host", one => one.host.rank, one => opener(one.host, one.host.name)],
      ["Severity", one => SEVERITIES.indexOf(one.state), severity],
      ["GPU", one => one.gpu, one => one.gpu ?? "–"],
      ["What is wrong", one => one.message, one => one.message, true],
      ["What to do", one => one.fix, one => one.fix || "–", true],
    ],
  },
};
let view = "hosts";
let page = 0;
let found = [];

function filtered() {
  const { rows, columns, state, matches, sort } = VIEWS[view];
  const words = text($("search").value).split(/\s+/).filter(Boolean);
  const chosen = { model: $("model").value, driver: $("driver").value, state: $("state").value };
  const [column, direction] = sort;
  const value = columns[column][1];
  return rows
    .filter(row => (!chosen.state || state(row) === chosen.state || (chosen.state === "accepted" && row.accepted))
      && (!chosen.driver || (row.host ?? row).driver === chosen.driver)
      && matches(row, chosen) && words.every(word => row.text.includes(word)))
    .map(row => [value(row), (row.host ?? row).rank, row])
    .sort(([a, hostA], [b, hostB]) => {
      // What is not told comes last, whatever the direction.
      if (a === null || b === null) return (a === null) - (b === null) || hostA - hostB;
      const difference = typeof a === "string" ? order(a, b) : a - b;
      return direction * difference || hostA - hostB;
    })
    .map(([, , row]) => row);
}

function show() {
  const { columns, rows, sort, label } = VIEWS[view];
  found = filtered();
  page = Math.max(0, Math.min(page, Math.ceil(found.length / PAGE) - 1));
  const shown = found.slice(page * PAGE, (page + 1) * PAGE);
  $("table").setAttribute("aria-label", label);
  $("table").tHead.replaceChildren(element("tr", { role: "row" }, ...columns.map(([name], at) => {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => sortBy(at));
    const direction = sort[1] > 0 ? "ascending" : "descending";
    return element("th", { role: "columnheader", scope: "col", "aria-sort": sort[0] === at ? direction : "none" }, button);
  })));
  $("table").tBodies[0].replaceChildren(...shown.map(row => element("tr", { role: "row" },
    ...columns.map(([name, , cell, full], at) => at === 0
      ? element("th", { role: "rowheader", scope: "row" }, cell(row))
      : element("td", { role: "cell", "data-label": name, class: full ? "full" : "" }, cell(row))))));
  const kind = label === "GPUs" ? label : label.toLowerCase();
  $("count").textContent = `${found.length} of ${rows.length} ${kind}`;
  const last = Math.max(1, Math.ceil(found.length / PAGE));
  $("pages").hidden = last === 1;
  $("page").textContent = `Page ${page + 1} of ${last}`;
  $("previous").disabled = page === 0;
  $("next").disabled = page + 1 >= last;
}

function sortBy(column, direction) {
  const sort = VIEWS[view].sort;
  const turned = sort[0] === column ? -sort[1] : 1;
  VIEWS[view].sort = [column, direction ?? turned];
  page = 0;
  show();
  $("sort").value = VIEWS[view].sort.join(" ");
  if (direction === undefined) $("table").tHead.rows[0].cells[column].firstChild.focus();
}

function setView(name) {
  view = name;
  page = 0;
  for (const button of $("views").children) button.setAttribute("aria-pressed", String(button.dataset.view === name));
  $("sort").replaceChildren(...VIEWS[name].columns.flatMap(([label], at) => [
    element("option", { value: `${at} 1` }, `${label} ↑`), element("option", { value: `${at} -1` }, `${label} ↓`)]));
  $("sort").value = VIEWS[name].sort.join(" ");
  show();
}

// One host

function pairs(list) {
  return element("dl", { class: "pairs" }, ...list.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value ?? "–"))));
}

function plainTable(label, heads, rows) {
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads.map(head => element("th", { scope: "col" }, head)))),
      element("tbody", {}, ...rows.map(row => element("tr", {}, ...row.map(cell => element("td", {}, cell)))))));
}

function showHost(host) {
  const parts = [pairs([
    ["State", badge(host.state)], ["Driver", host.driver], ["Kernel module", host.module], ["CUDA", host.cuda],
    ["Container toolkit", host.toolkit], ["Docker", host.docker],
  ])];
  if (host.findings.length) {
    parts.push(element("h3", {}, "Findings"), element("ul", { class: "findings" }, ...host.findings.map(one =>
      element("li", { class: one.state }, severity(one), " ", one.message,
        one.fix ? element("div", { class: "soft" }, one.fix) : null))));
  }
  if (host.gpus.length) {
    parts.push(element("h3", {}, "GPUs"), plainTable("GPUs of this host",
      ["GPU", "Model", "State", "Utilisation", "Memory used", "Temp.", "Power", "Limited by", "Bus id, UUID"],
      host.gpus.map(gpu => [String(gpu.index ?? "–"), model(gpu), badge(gpu.state),
        meter(gpu.utilization_percent, unit(gpu.utilization_percent, "%"), ""),
        meter(gpu.memoryShare, `${size(gpu.memory_used_mib)} / ${size(gpu.memory_mib)}`, "memory wide"),
        unit(gpu.temperature_celsius, "°C"), watts(gpu), gpu.throttled.join(", ") || "–",
        element("span", {}, gpu.pci_bus_id ?? "–", element("br", {}), element("small", { class: "soft" }, gpu.uuid ?? ""))])));
  }
  const migs = host.gpus.flatMap(gpu => gpu.migs.map(mig => [String(gpu.index), mig[0], size(mig[2]), mig[1]]));
  if (migs.length) {
    parts.push(element("h3", {}, "MIG devices"), plainTable("MIG devices", ["GPU", "Profile", "Memory", "UUID"], migs));
  }
  if (host.topology !== undefined) parts.push(element("h3", {}, "Topology"), ...topology(host));
  const processes = host.gpus.flatMap(gpu => gpu.processes.map(one =>
    [String(gpu.index), String(one[0] ?? "–"), one[1] ?? "–", size(one[2]), one[3] ?? "–"]));
  if (processes.length) {
    const all = sum(host.gpus, "processCount");
    const heading = all > processes.length ? `Processes (${processes.length} of ${all})` : "Processes";
    parts.push(element("h3", {}, heading),
      plainTable("Processes", ["GPU", "PID", "Program", "Memory", "Container"], processes));
  }
  $("detail-title").textContent = host.name;
  $("detail-body").replaceChildren(...parts);
  $("detail").showModal();
  $("detail").scrollTop = 0;
}

// The start

function options(select, all, values) {
  const count = new Map();
  for (const value of values) if (value) count.set(value, (count.get(value) ?? 0) + 1);
  $(select).replaceChildren(element("option", { value: "" }, all), ...[...count.keys()].sort(order).map(value =>
    element("option", { value }, `${value} (${count.get(value)})`)));
}

function totals() {
  const count = state => hosts.filter(host => host.state === state).length;
  const measured = gpus.filter(gpu => gpu.memory_used_mib !== null);
  const list = [
    ["Hosts", hosts.length], ["GPUs", gpus.length],
    ["Utilisation", unit(mean(gpus, "utilization_percent"), "%")],
    ["Memory used", unit(share(sum(measured, "memory_used_mib"), sum(measured, "memory_mib")), "%")],
    ["Hosts critical", count("critical")], ["Hosts with warnings", count("warning")],
    ["Hosts not read", count("failed") + count("unreachable")],
  ];
  $("totals").replaceChildren(...list.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))));
}

$("generated").textContent = `as of ${data.generated.replace("T", " ").replace("Z", " UTC")}`;
options("model", "All models", gpus.map(gpu => gpu.name));
options("driver", "All drivers", hosts.map(host => host.driver));
$("state").replaceChildren(element("option", { value: "" }, "All states"),
  ...["accepted", "info", ...STATES].map(state => element("option", { value: state }, state)));
totals();
for (const id of ["search", "model", "driver", "state"]) $(id).addEventListener("input", () => { page = 0; show(); });
$("filters").addEventListener("submit", event => event.preventDefault());
$("filters").addEventListener("reset", () => setTimeout(() => setView(view)));
$("sort").addEventListener("input", () => { const [column, direction] = $("sort").value.split(" ").map(Number); sortBy(column, direction); });
for (const button of $("views").children) button.addEventListener("click", () => setView(button.dataset.view));
for (const [id, step] of [["previous", -1], ["next", 1]]) {
  $(id).addEventListener("click", () => { page += step; show(); $("table").scrollIntoView(); });
}
$("close").addEventListener("click", () => $("detail").close());
$("detail").addEventListener("click", event => { if (event.target === $("detail")) $("detail").close(); });
setView("hosts");
