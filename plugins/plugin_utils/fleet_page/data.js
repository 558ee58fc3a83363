// Copyright (c) 2026 the gpufleet.nvidia authors
// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";

// The data, as objects that filters and sorting need.
// What hosts say becomes text nodes only, never markup.
const STATES = ["ok", "warning", "critical", "failed", "unreachable"];
const SEVERITIES = ["accepted", "info", ...STATES.slice(1)];
const data = JSON.parse(document.getElementById("data").textContent);
const order = new Intl.Collator("en", { numeric: true }).compare;
const $ = id => document.getElementById(id);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

const hosts = data.hosts;
const gpus = [];
const findings = [];
for (const host of hosts) {
  host.gpus = host.gpus.map((values, at) => {
    const gpu = { host, position: at };
    data.gpuFields.forEach((name, i) => { gpu[name] = values[i]; });
    gpu.throttled = host.throttled?.[at] ?? [];
    gpu.migs = host.migs?.[at] ?? [];
    [gpu.processCount, gpu.processes] = host.processes?.[at] ?? [0, []];
    gpu.memoryShare = share(gpu.memory_used_mib, gpu.memory_mib);
    return gpu;
  });
  host.findings = (host.findings ?? []).map(([severity, gpu, message, fix, accepted]) =>
    ({ host, severity, gpu, message, fix, accepted: accepted === 1, state: accepted ? "accepted" : severity }));
  if (host.problem && !host.findings.some(one => one.severity === "critical")) {
    const severity = STATES.indexOf(host.state) > 2 ? host.state : "critical";
    host.findings.unshift({ host, severity, gpu: null, message: host.problem, fix: "", accepted: false, state: severity });
  }
  host.accepted = host.findings.filter(one => one.accepted).length;
  host.models = [...new Set(host.gpus.filter(gpu => !gpu.problem).map(model))];
  host.used = sum(host.gpus, "memory_used_mib");
  host.memory = sum(host.gpus.filter(gpu => gpu.memory_used_mib !== null), "memory_mib");
  host.memoryShare = share(host.used, host.memory);
  host.utilization = mean(host.gpus, "utilization_percent");
  for (const gpu of host.gpus) {
    gpu.accepted = host.findings.some(one => one.accepted && [gpu.pci_bus_id, String(gpu.index)].includes(one.gpu));
    gpu.text = text(host.name, host.driver, model(gpu), gpu.uuid, gpu.pci_bus_id, gpu.serial, gpu.architecture,
      ...gpu.migs.map(mig => `${mig[0]} ${mig[1]}`), ...gpu.processes.map(one => `${one[1]} ${one[3]}`),
      ...host.findings.filter(one => one.gpu === gpu.pci_bus_id).map(one => one.message));
  }
  for (const one of host.findings) {
    one.text = text(host.name, host.driver, one.gpu, one.message, one.fix, one.accepted ? "accepted" : "");
  }
  host.text = text(host.name, host.problem, host.driver, host.toolkit,
    ...host.gpus.map(gpu => gpu.text), ...host.findings.map(one => one.text));
  gpus.push(...host.gpus);
  findings.push(...host.findings);
}
[...hosts].sort((a, b) => order(a.name, b.name)).forEach((host, at) => { host.rank = at; });

function text(...parts) { return parts.filter(Boolean).join(" ").toLowerCase(); }
function model(gpu) { return gpu.problem ? `unreadable: ${gpu.problem}` : gpu.name ?? "unknown"; }
function share(part, whole) { return part === null || !whole ? null : Math.min(100, 100 * part / whole); }
function known(list, name) { return list.map(one => one[name]).filter(value => value !== null); }
function sum(list, name) {
  const values = known(list, name);
  return values.length ? values.reduce((a, b) => a + b, 0) : null;
}
function mean(list, name) { const values = known(list, name); return values.length ? sum(list, name) / values.length : null; }
function size(mib) {
  if (mib === null) return "–";
  return mib < 1024 ? `${mib} MiB` : `${(mib / 1024).toFixed(mib < 102400 ? 1 : 0)} GiB`;
}
function unit(value, name) { return value === null ? "–" : `${Math.round(value)} ${name}`; }
function watts(gpu) {
  if (gpu.power_milliwatts === null) return "–";
  const limit = gpu.power_limit_milliwatts;
  return `${Math.round(gpu.power_milliwatts / 1000)}${limit === null ? "" : `\u00a0/\u00a0${Math.round(limit / 1000)}`}\u00a0W`;
}
