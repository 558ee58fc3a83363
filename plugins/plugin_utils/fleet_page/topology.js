// Copyright (c) 2026 the gpufleet.nvidia authors
// SPDX-License-Identifier: GPL-3.0-or-later

// The topology: boxes in boxes, each the nearest thing that its GPUs have in common.
const LINKS = ["not told", "Cross CPU socket", "Same CPU socket", "Host PCI bridge",
  "Multiple PCI switches", "Single PCI switch", "Same board"];

function components(nodes, links, level) {
  const rest = new Set(nodes);
  const groups = [];
  for (const start of nodes) {
    if (!rest.delete(start)) continue;
    const group = [start];
    for (const one of group) {
      for (const other of rest) {
        if ((links.get(one)?.get(other) ?? 0) >= level) { rest.delete(other); group.push(other); }
      }
    }
    groups.push(group.sort((a, b) => a - b));
  }
  return groups;
}

function nest(nodes, links, level) {
  if (nodes.length === 1) return { gpu: nodes[0] };
  for (let next = level; next <= 6; next++) {
    const groups = components(nodes, links, next);
    if (groups.length > 1) return { level: next - 1, parts: groups.map(group => nest(group, links, next)) };
  }
  return { level: 6, parts: nodes.map(gpu => ({ gpu })) };
}

function svg(tag, attributes, label) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (label !== undefined) made.textContent = label;
  return made;
}

const GPU = { width: 78, height: 46 }, GAP = 10, LABEL = 20;

// Gives width and height to a box and all in it.
function measure(box) {
  if (box.gpu !== undefined) return Object.assign(box, GPU);
  box.parts.forEach(measure);
  const inner = box.parts.reduce((total, part) => total + part.width + GAP, GAP);
  box.width = Math.max(inner, 7 * LINKS[box.level].length + 2 * GAP);
  box.height = Math.max(...box.parts.map(part => part.height)) + LABEL + 2 * GAP;
  return box;
}

function draw(box, x, y, byIndex, into, feet) {
  if (box.gpu !== undefined) {
    const gpu = byIndex.get(box.gpu);
    into.append(svg("rect", { x, y, ...GPU, rx: 6, class: `gpu ${gpu?.state ?? "unknown"}` }),
      svg("text", { x: x + GPU.width / 2, y: y + 20, "text-anchor": "middle" }, `GPU ${box.gpu}`),
      svg("text", { x: x + GPU.width / 2, y: y + 36, "text-anchor": "middle", class: "name" },
        gpu?.numa_node === null || gpu === undefined ? "" : `NUMA ${gpu.numa_node}`));
    if (gpu?.nvlinks) feet.push([x + GPU.width / 2, y + GPU.height]);
    return;
  }
  into.append(svg("rect", { x, y, width: box.width, height: box.height, rx: 8, class: "box" }),
    svg("text", { x: x + GAP, y: y + 16, class: "name" }, LINKS[box.level]));
  let at = x + GAP;
  for (const part of box.parts) {
    draw(part, at, y + LABEL + GAP, byIndex, into, feet);
    at += part.width + GAP;
  }
}

function topology(host) {
  const picture = data.topologies[host.topology];
  const links = new Map(picture.map(([index, others]) => [index, new Map(others)]));
  const nodes = [...links.keys()];
  const byIndex = new Map(host.gpus.map(gpu => [gpu.index, gpu]));
  const box = measure(nest(nodes, links, 1));
  const feet = [];
  const counts = [...new Set(host.gpus.map(gpu => gpu.nvlinks).filter(Boolean))];
  const height = box.height + (counts.length ? 44 : 0);
  const words = nodes.flatMap((a, i) => nodes.slice(i + 1).map(b => `GPU ${a} and ${b}: ${LINKS[links.get(a).get(b) ?? 0]}`));
  const drawing = svg("svg", { role: "img", "aria-label": `Topology. ${words.slice(0, 40).join("; ")}`,
    viewBox: `-1 -1 ${box.width + 2} ${height + 2}`, width: box.width + 2, height: height + 2 });
  draw(box, 0, 0, byIndex, drawing, feet);
  if (feet.length) {
    const y = box.height + 16;
    for (const [x, top] of feet) drawing.prepend(svg("path", { d: `M${x} ${top}V${y}`, class: "nvlink" }));
    drawing.append(svg("path", { d: `M${feet[0][0]} ${y}H${feet[feet.length - 1][0]}`, class: "nvlink" }),
      svg("text", { x: feet[0][0], y: y + 18, class: "nvlink-name" }, `NVLink, ${counts.join(" or ")} links per GPU`));
  }
  const table = plainTable("Nearest thing in common", ["", ...nodes.map(node => `GPU ${node}`)],
    nodes.map(a => [`GPU ${a}`, ...nodes.map(b => a === b ? "–" : LINKS[links.get(a).get(b) ?? 0])]));
  return [element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Topology drawing" }, drawing),
    element("details", {}, element("summary", {}, "As a table"), table)];
}
