// The flow of attention: items of two sides as buttons, the lines between them as SVG.
// Everything that comes from data is set by textContent, setAttribute or img.src (data URLs).
const SVG = "http://www.w3.org/2000/svg";
const NAMES = { words: "vnb-flow-word" };  // all others are pieces of the picture

// One side: a heading over its items. `choose` hears what a person does with an item.
const side = (which, choose) => {
  const root = element("div", `vnb-flow-side vnb-flow-${which}`);
  root.setAttribute("role", "group");
  const heading = element("div", "vnb-flow-heading");
  const list = element("div", "vnb-flow-items");
  root.append(heading, list);
  const made = { which, root, heading, list, items: [], labels: [] };
  for (const [event, what] of [["pointerover", "hover"], ["focusin", "focus"], ["click", "pin"]])
    list.addEventListener(event, e => {
      const item = e.target.closest("button");
      if (item) choose(what, which, +item.dataset.index);
    });
  list.addEventListener("pointerleave", () => choose("hover", null));
  list.addEventListener("focusout", () => choose("focus", null));
  return made;
};

const fill = (made, scene, thumbs) => {
  const { kind, labels, heading, pictured, tiled, columns } = scene;
  made.labels = labels;
  made.heading.textContent = heading;
  made.root.setAttribute("aria-label", heading);
  made.list.style.setProperty("--columns", columns);
  made.list.classList.toggle("vnb-flow-tiled", tiled);
  made.list.classList.toggle("vnb-flow-two", pictured && !tiled && columns > 1);
  made.items = labels.map((label, index) => {
    const item = element("button", NAMES[kind] || "vnb-flow-region");
    item.type = "button";
    item.tabIndex = index ? -1 : 0;
    item.dataset.index = index;
    item.title = label;
    item.classList.toggle("vnb-flow-lower", index % columns % 2 === 1);
    if (pictured) {
      const frame = element("span", "vnb-flow-thumb");
      if (thumbs[index]) {
        const image = element("img", "");
        image.alt = "";
        image.src = thumbs[index];
        frame.append(image);
      }
      item.append(frame);
    }
    item.append(element("span", "vnb-flow-label", label), element("span", "vnb-flow-number"));
    return item;
  });
  made.list.replaceChildren(...made.items);
};

// Where the lines of an item end: beside a word, under the middle of a picture.
const end = (item, rim, box) => {
  const thumb = item.querySelector(".vnb-flow-thumb"), r = (thumb || item).getBoundingClientRect();
  return [(thumb ? r.left + r.width / 2 : r[rim]) - box.left, r.top + r.height / 2 - box.top];
};

// What a screen reader says of an item: its name, and the strongest line that it has.
const describe = (made, other, lines) => made.items.forEach((item, index) => {
  const [partner, head, weight] = lines.best[made.which][index];
  const by = lines.heads.length > 1 ? `, ${lines.heads[head]}` : "";
  item.setAttribute("aria-label", `${made.labels[index]}: strongest with ${other.labels[partner]}, ${number(weight)}${by}`);
});

// Arrow keys walk through the items of a side, and from side to side; one stop for the Tab key on each.
const walk = (sides, event) => {
  const at = document.activeElement?.closest?.("button");
  const here = sides.find(one => one.items.includes(at));
  if (!here) return;
  const there = sides.find(one => one !== here), place = here.items.indexOf(at);
  const steps = { ArrowDown: [here, place + 1], ArrowUp: [here, place - 1], Home: [here, 0],
    End: [here, here.items.length - 1], ArrowLeft: [sides[0], place], ArrowRight: [sides[1], place] };
  if (!(event.key in steps)) return;
  event.preventDefault();
  let [target, index] = steps[event.key];
  if (target === there) index = Math.round(place * (there.items.length - 1) / Math.max(1, here.items.length - 1));
  const next = target.items[Math.min(Math.max(index, 0), target.items.length - 1)];
  target.items.forEach(item => { item.tabIndex = item === next ? 0 : -1; });
  next.focus({ preventScroll: false });
};

const render = ({ model, el }) => {
  const root = element("div", "vnb-flow");
  const release = ownKeys(root);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "vnb-flow-lines");
  svg.setAttribute("aria-hidden", "true");
  const legend = element("div", "vnb-flow-legend");
  const said = element("div", "vnb-flow-said");
  said.setAttribute("role", "status");
  const state = { hover: null, focus: null };
  let paths = [];

  const choose = (what, which, index) => {
    if (what === "pin") {
      const [side, item] = model.get("pinned");
      model.set("pinned", side === which && item === index ? [] : [which, index]);
      model.save_changes();
    } else state[what] = which === null ? null : [which, index];
    isolate();
  };
  const left = side("left", choose), right = side("right", choose), sides = [left, right];
  const stage = element("div", "vnb-flow-stage");
  stage.append(svg, left.root, right.root);
  root.append(legend, stage, said);
  root.addEventListener("keydown", event => {
    if (event.key === "Escape" && model.get("pinned").length) {
      model.set("pinned", []);
      model.save_changes();
      isolate();
    }
    walk(sides, event);
    if (!event.ctrlKey && !event.metaKey) event.stopPropagation();
  });

  const place = () => {
    const box = stage.getBoundingClientRect();
    if (!box.width) return;
    svg.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    for (const path of paths) {
      const from = left.items[path.dataset.left], to = right.items[path.dataset.right];
      if (!from || !to) continue;
      const [x1, y1] = end(from, "right", box), [x2, y2] = end(to, "left", box);
      const bend = (x2 - x1) * 0.45;
      path.setAttribute("d", `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`);
    }
  };

  const line = (lines, index, weight, from, to, head) => {
    const path = document.createElementNS(SVG, "path");
    const strength = weight / (lines.top || 1);
    path.setAttribute("class", "vnb-flow-line");
    path.style.setProperty("--strength", strength.toFixed(3));
    path.setAttribute("stroke", lines.colours[head]);
    Object.assign(path.dataset, { index, weight: weight.toFixed(4), left: from, right: to, head });
    return path;
  };

  const draw = () => {
    const lines = model.get("lines");
    paths = lines.weight.map((weight, i) => line(lines, i, weight, lines.left[i], lines.right[i], lines.head[i]));
    svg.replaceChildren(...paths.slice().reverse());  // the strongest on top
    legend.replaceChildren(...lines.heads.map((name, i) => {
      const entry = element("span", "vnb-flow-head", name);
      entry.style.setProperty("--colour", lines.colours[i]);
      return entry;
    }), element("span", "vnb-flow-count", lines.note));
    describe(left, right, lines);
    describe(right, left, lines);
    place();
    isolate();
  };

  // Show the lines of one item only: of the one pointed at, else of the one with the focus, else of the pinned one.
  const isolate = () => {
    const lines = model.get("lines"), pinned = model.get("pinned");
    const [which, index] = state.hover || state.focus || pinned;
    const mine = which === "right" ? right : left, other = which === "right" ? left : right;
    for (const path of svg.querySelectorAll(".vnb-flow-extra")) path.remove();
    root.classList.toggle("vnb-flow-isolating", which !== undefined);
    const numbers = new Map();
    for (const path of paths) {
      const on = which !== undefined && +path.dataset[which] === index;
      path.classList.toggle("vnb-flow-on", on);
      if (on) {
        const partner = +path.dataset[other.which];
        numbers.set(partner, [...(numbers.get(partner) || []), [+path.dataset.weight, +path.dataset.head]]);
      }
    }
    if (which !== undefined && !numbers.size && lines.best[which][index]) {  // none of its lines is among the strongest
      const [partner, head, weight] = lines.best[which][index];
      const ends = which === "left" ? [index, partner] : [partner, index];
      const extra = line(lines, -1, weight, ...ends, head);
      extra.classList.add("vnb-flow-on", "vnb-flow-extra");
      svg.append(extra);
      paths.push(extra); place(); paths.pop();
      numbers.set(partner, [[weight, head]]);
    }
    for (const one of sides) one.items.forEach((item, i) => {
      const chosen = one.which === which && i === index, found = one === other ? numbers.get(i) : undefined;
      item.classList.toggle("vnb-flow-on", which !== undefined && (chosen || !!found));
      item.setAttribute("aria-pressed", String(pinned[0] === one.which && pinned[1] === i));
      item.querySelector(".vnb-flow-number").textContent = found ? found.map(([weight]) => number(weight)).join(" · ") : "";
    });
    said.textContent = which === undefined ? lines.hint : tell(mine, other, index, numbers, lines);
  };

  const tell = (mine, other, index, numbers, lines) => {
    const parts = [...numbers].map(([partner, found]) => `${other.labels[partner]} ` + found.map(([weight, head]) =>
      number(weight) + (lines.heads.length > 1 ? ` (${lines.heads[head]})` : "")).join(", "));
    return `“${mine.labels[index]}”: ${parts.join("; ")}`;
  };

  const build = () => {
    const scene = model.get("scene"), thumbs = model.get("thumbs");
    state.hover = state.focus = null;
    for (const made of sides) fill(made, scene[made.which], thumbs);
    stage.classList.toggle("vnb-flow-over", sides.some(made => scene[made.which].tiled));
  };

  // Changes that come together are drawn together.
  let due = null;
  const later = what => {
    if (due === null) queueMicrotask(() => { const all = due; due = null; if (all.has("scene")) build(); draw(); });
    (due ||= new Set()).add(what);
  };
  const listeners = [["change:scene", "scene"], ["change:thumbs", "scene"], ["change:lines", "lines"]]
    .map(([event, what]) => [event, () => later(what)]);
  listeners.push(["change:pinned", isolate]);
  for (const [event, run] of listeners) model.on(event, run);
  const watch = new ResizeObserver(place);
  watch.observe(stage);
  el.append(root);
  build();
  draw();
  return () => {
    watch.disconnect();
    release();
    for (const [event, run] of listeners) model.off(event, run);
  };
};

export default { render };
