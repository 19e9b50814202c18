// The explorer's view: pictures with regions, captions, the map of heads.
// Everything that comes from data is set by textContent, setAttribute or img.src (a data URL of ours).

const short = weight => weight.toFixed(3).replace(/^0/, "");

// A group of buttons with one stop for the Tab key; arrow keys walk through it.
const roving = (root, next) => {
  const buttons = () => [...root.querySelectorAll("button")];
  const stop = at => buttons().forEach(one => { one.tabIndex = one === at ? 0 : -1; });
  root.addEventListener("focusin", event => { if (event.target.matches("button")) stop(event.target); });
  root.addEventListener("keydown", event => {
    const all = buttons(), at = all.indexOf(document.activeElement);
    if (at < 0) return;
    const ends = { Home: 0, End: all.length - 1 };
    const to = event.key in ends ? ends[event.key] : next(event.key, at, all);
    if (to === undefined || !all[to]) return;
    event.preventDefault();
    stop(all[to]);
    all[to].focus();
  });
  return { ready: () => { const all = buttons(); stop(all.find(one => one.getAttribute("aria-pressed") === "true") || all[0]); } };
};
const inLine = (key, at) => ({ ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1 })[key];

// Places of the three largest weights, none of them 0 or below the threshold.
const threeOf = (weights, threshold) => (weights || []).map((weight, i) => [weight, i]).filter(([weight]) => weight > 0 && weight >= threshold)
  .sort((a, b) => b[0] - a[0]).slice(0, 3).map(([, i]) => i);

// Shift labels so that they lie inside their ground and none on another.
const settle = ground => {
  const { width, height } = ground.getBoundingClientRect(), taken = [];
  if (!width) return;
  for (const label of [...ground.children].sort((a, b) => a.dataset.top - b.dataset.top)) {
    const tall = label.offsetHeight, wide = label.offsetWidth;
    const x = Math.max(0, Math.min(label.dataset.left / 100 * width, width - wide));
    let y = Math.max(0, label.dataset.top / 100 * height - tall);
    for (let tries = 0; tries < 40 && taken.some(([a, b, c, d]) => x < c && a < x + wide && y < d && b < y + tall); tries++) y += 4;
    y = Math.min(y, height - tall);
    taken.push([x, y, x + wide, y + tall]);
    Object.assign(label.style, { left: `${x / width * 100}%`, top: `${y / height * 100}%` });
  }
};

// Another click at the same place reaches what lies under the chosen item; the last one lets go.
const beneath = (event, at, group) => {
  if (!event.detail) return at;  // a key
  const pile = document.elementsFromPoint(event.clientX, event.clientY).filter(one => one.matches("button") && group.contains(one));
  const chosen = pile.findIndex(one => one.getAttribute("aria-pressed") === "true");
  return chosen < 0 ? at : pile[chosen + 1] || pile[chosen];
};

// One picture with its caption: of the chosen head, or of the pinned one.
const pane = (which, choose) => {
  const root = element("section", "vnb-ex-pane");
  root.dataset.pane = which;
  const title = element("h4", "vnb-ex-title");
  const stage = element("div", "vnb-ex-stage");
  const picture = element("img", "vnb-ex-picture");
  picture.alt = "";
  const regions = element("div", "vnb-ex-regions");
  regions.setAttribute("role", "group");
  regions.setAttribute("aria-label", "regions of the picture");
  const words = element("div", "vnb-ex-words");
  words.setAttribute("role", "group");
  words.setAttribute("aria-label", "words of the caption");
  const tags = element("div", "vnb-ex-tags");  // above every box, so that no other region hides a name
  tags.setAttribute("aria-hidden", "true");
  stage.append(picture, regions, tags);
  root.append(title, words, stage);
  // The region under the pointer, or with the focus, says its name and number at once.
  let pointed = null, now = null;
  const point = index => { if (pointed !== index) { pointed = index; if (now) name(...now); } };
  const under = event => event.target.closest?.("button") ? +event.target.closest("button").dataset.index : null;
  for (const event of ["pointerover", "focusin"]) regions.addEventListener(event, one => point(under(one)));
  for (const event of ["pointerleave", "focusout"]) regions.addEventListener(event, () => point(null));
  const walks = [roving(words, inLine), roving(regions, inLine)];
  for (const [kind, group] of [["word", words], ["region", regions]])
    group.addEventListener("click", event => {
      const at = event.target.closest("button");
      if (at) choose(kind, +beneath(event, at, group).dataset.index);
    });

  const build = scene => {
    pointed = now = null;
    stage.hidden = !scene.picture && !scene.regions.length;
    stage.style.aspectRatio = `${scene.size[0]} / ${scene.size[1]}`;
    picture.hidden = !scene.picture;
    if (scene.picture) picture.src = scene.picture;
    words.replaceChildren(...scene.words.map((word, index) => {
      const made = element("button", "vnb-ex-word");
      made.type = "button";
      made.dataset.index = index;
      made.append(element("span", "vnb-ex-text", word), element("span", "vnb-ex-number"));
      return made;
    }));
    const order = scene.regions.map((region, index) => [region, index]);
    const reading = ([a], [b]) => a.box[1] - b.box[1] || a.box[0] - b.box[0];
    const areas = scene.regions.map(region => region.box[2] * region.box[3]);
    const ranks = areas.map(area => areas.filter(other => other > area).length);  // a small box lies on top
    regions.replaceChildren(...order.sort(reading).map(([region, index]) => {
      const made = element("button", "vnb-ex-region");
      made.type = "button";
      made.dataset.index = index;
      made.classList.toggle("vnb-ex-annotated", region.annotated);
      const [left, top, width, height] = region.box;
      Object.assign(made.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%`, zIndex: 1 + ranks[index] });
      return made;
    }));
  };

  const dress = (kind, group, labels, shown, state, links) => {
    const weights = shown[kind], top = weights ? Math.max(...weights) : 0;
    const strongest = threeOf(weights, state.threshold);
    for (const item of group.querySelectorAll("button")) {
      const index = +item.dataset.index, weight = weights ? weights[index] : undefined;
      const chosen = state.kind === kind && state.index === index;
      const on = weight !== undefined && weight >= state.threshold && top > 0;
      item.style.setProperty("--share", on ? (weight / top).toFixed(3) : "0");
      item.classList.toggle("vnb-ex-strong", on && weight / top > 0.55);
      item.classList.toggle("vnb-ex-top", strongest.includes(index));
      item.classList.toggle("vnb-ex-linked", links.has(index));
      item.setAttribute("aria-pressed", String(chosen));
      const said = weight === undefined ? "" : `, ${number(weight)}`;
      item.setAttribute("aria-label", `${labels[index]}${said}${links.has(index) ? ", linked by the annotation" : ""}`);
      item.title = `${labels[index]}${weight === undefined ? "" : `: ${number(weight)}`}`;
      if (weight === undefined) delete item.dataset.weight; else item.dataset.weight = weight;
      const mark = item.querySelector(".vnb-ex-number");
      if (mark) mark.textContent = weight === undefined ? "" : on ? short(weight) : "·";
    }
  };

  // Names of the strongest regions and of the chosen one, moved down until none lies on another.
  const name = (shown, scene, state) => {
    const wanted = new Set(threeOf(shown.region, state.threshold));
    if (state.kind === "region") wanted.add(state.index);
    if (pointed !== null) wanted.add(pointed);
    const made = [...wanted].filter(i => scene.regions[i]).map(index => {
      const { box, name } = scene.regions[index], weight = shown.region?.[index];
      const tag = element("span", "vnb-ex-tag", weight === undefined ? name : `${name} ${short(weight)}`);
      tag.classList.toggle("vnb-ex-chosen", state.kind === "region" && state.index === index);
      tag.classList.toggle("vnb-ex-pointed", pointed === index);
      Object.assign(tag.dataset, { left: box[0], top: box[1] });
      return tag;
    });
    tags.replaceChildren(...made);
    settle(tags);
  };

  const draw = (shown, scene, state) => {
    title.textContent = shown.title;
    const links = { word: new Set(), region: new Set() };
    if (state.links && state.kind) for (const link of scene.links)
      if (link[`${state.kind}s`].includes(state.index)) {
        link.words.forEach(one => links.word.add(one));
        link.regions.forEach(one => links.region.add(one));
      }
    if (state.kind) links[state.kind].delete(state.index);
    dress("word", words, scene.words, shown, state, links.word);
    dress("region", regions, scene.regions.map(one => one.name), shown, state, links.region);
    now = [shown, scene, state];
    name(...now);
    words.querySelectorAll(".vnb-ex-special").forEach(one => one.remove());
    words.append(...(shown.specials || []).map(([token, weight]) => {
      const made = element("span", "vnb-ex-special");
      made.dataset.weight = weight;
      made.append(element("span", "vnb-ex-text", token), element("span", "vnb-ex-number", short(weight)));
      return made;
    }));
    root.classList.toggle("vnb-ex-blind", !scene.seen);
    for (const walk of walks) walk.ready();
  };
  const watch = new ResizeObserver(() => settle(tags));
  watch.observe(stage);
  return { root, build, draw, close: () => watch.disconnect() };
};

// The map of heads: layers from left to right, heads from top to bottom.
const headMap = (choose, hover) => {
  const root = element("section", "vnb-ex-map");
  const title = element("h4", "vnb-ex-title");
  const grid = element("div", "vnb-ex-grid");
  grid.setAttribute("role", "group");
  const scale = element("div", "vnb-ex-scale");
  const said = element("div", "vnb-ex-said");
  root.append(title, grid, scale, said);
  let width = 1;
  const walk = roving(grid, (key, at, all) => {
    const column = at % width;
    return { ArrowRight: column + 1 < width ? at + 1 : undefined, ArrowLeft: column ? at - 1 : undefined,
      ArrowDown: at + width < all.length ? at + width : undefined, ArrowUp: at - width }[key];
  });
  grid.addEventListener("click", event => {
    const at = event.target.closest("button");
    if (at) choose(+at.dataset.layer, +at.dataset.head, event.ctrlKey || event.metaKey || event.shiftKey);
  });
  // JupyterLab would run the cell at these keys, and so make a new explorer.
  grid.addEventListener("keydown", event => {
    const at = event.target.closest("button");
    if (!at || event.key !== "Enter" || !(event.ctrlKey || event.metaKey || event.shiftKey)) return;
    event.preventDefault();
    if (!event.repeat) choose(+at.dataset.layer, +at.dataset.head, true);
  });
  const point = event => { const at = event.target.closest?.("button"); if (at) hover(said, at); };
  grid.addEventListener("pointerover", point);
  grid.addEventListener("focusin", point);

  const build = heads => {
    title.textContent = heads.title;
    said.textContent = heads.reason ? `Not defined: ${heads.reason}.` : "";
    said.classList.toggle("vnb-ex-reason", !!heads.reason);
    grid.hidden = scale.hidden = !heads.values.length;
    if (!heads.values.length) return grid.replaceChildren();
    width = heads.layers.length;
    grid.setAttribute("aria-label", `${heads.title}, heads by layers of the ${heads.stack} stack`);
    grid.style.setProperty("--layers", width);
    const cells = [element("span", "vnb-ex-corner", "head")];
    heads.layers.forEach(layer => cells.push(element("span", "vnb-ex-head", layer)));
    heads.values.forEach((row, i) => {
      cells.push(element("span", "vnb-ex-head", heads.heads[i]));
      row.forEach((value, j) => {
        const cell = element("button", "vnb-ex-cell");
        cell.type = "button";
        Object.assign(cell.dataset, { layer: heads.layers[j], head: heads.heads[i], value: value === null ? "" : value });
        cell.style.background = heads.colours[i][j];
        const number = value === null ? "no number" : value.toFixed(3);
        cell.title = `layer ${heads.layers[j]}, head ${heads.heads[i]}: ${number}`;
        cell.setAttribute("aria-label", cell.title);
        cells.push(cell);
      });
    });
    cells.push(element("span", "vnb-ex-corner", ""), element("span", "vnb-ex-axis", "layer"));
    grid.replaceChildren(...cells);
    const ramp = element("span", "vnb-ex-ramp");
    ramp.style.background = `linear-gradient(to right, ${heads.ramp.join(", ")})`;
    scale.replaceChildren(element("span", "", heads.low.toFixed(2)), ramp, element("span", "", heads.high.toFixed(2)));
  };
  const draw = (state, pinned) => {
    for (const cell of grid.querySelectorAll("button")) {
      const layer = +cell.dataset.layer, head = +cell.dataset.head;
      cell.setAttribute("aria-pressed", String(layer === state.layer && state.heads.includes(head)));
      cell.classList.toggle("vnb-ex-pinned", !!pinned && pinned.layer === layer && pinned.heads.includes(head));
    }
    walk.ready();
  };
  return { root, build, draw };
};

const render = ({ model, el }) => {
  const root = element("div", "vnb-ex");
  const release = ownKeys(root);
  root.dataset.figure = "explorer";
  const status = element("div", "vnb-ex-status");
  const panes = element("div", "vnb-ex-panes");
  const send = message => model.send(message);

  // What a person chose is marked at once; Python answers with the weights.
  const select = (kind, index) => {
    const state = model.get("state");
    send({ select: state.kind === kind && state.index === index ? null : [kind, index] });
  };
  const shown = [pane("chosen", select), pane("pinned", select)];
  const map = headMap((layer, head, add) => send({ cell: [layer, head], add }), (said, cell) => { said.textContent = cell.title; });
  panes.append(shown[0].root, shown[1].root, map.root);
  root.append(panes, status);
  root.addEventListener("keydown", event => {
    if (event.key === "Escape" && model.get("state").kind) send({ select: null });
    if (event.key === "Enter" || (!event.ctrlKey && !event.metaKey)) event.stopPropagation();
  });

  const due = new Set();
  const flush = () => {
    const scene = model.get("scene"), state = model.get("state"), weights = model.get("panes");
    if (due.has("scene")) shown.forEach(one => one.build(scene));
    if (due.has("heads")) map.build(model.get("heads"));
    shown.forEach((one, i) => {
      one.root.hidden = !weights[i];
      if (weights[i]) one.draw(weights[i], scene, state);
    });
    root.classList.toggle("vnb-ex-two", weights.length > 1);
    map.draw(state, weights[1]?.cell);
    status.textContent = [scene.seen || !scene.picture ? "" : "The model does not see this picture.",
      state.threshold > 0 ? `Weights below ${state.threshold} are not shown.` : "",
      root.querySelector(".vnb-ex-linked") ? "Dashed green: linked by the annotation." : "",
      scene.note ? `Regions are ${scene.note}.` : ""].filter(Boolean).join(" ");
    due.clear();
  };
  // Changes that come together are drawn together.
  const later = what => { if (!due.size) queueMicrotask(flush); due.add(what); };
  const listeners = ["scene", "heads", "panes", "state"].map(name => [`change:${name}`, () => later(name)]);
  for (const [event, run] of listeners) model.on(event, run);
  el.append(root);
  due.add("scene").add("heads");
  flush();
  return () => {
    for (const [event, run] of listeners) model.off(event, run);
    shown.forEach(one => one.close());
    release();
  };
};

export default { render };
