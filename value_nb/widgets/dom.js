// What the live views share; it stands in front of each view's own script (see esm.py).

const element = (tag, name, text) => {
  const made = document.createElement(tag);
  made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
};

const number = weight => weight.toFixed(3);

// Keys are for the view's items and not for the notebook's cells, but for what Ctrl or Cmd does (save, the
// command palette); with Enter those, too, would run the cell and so make a new view. JupyterLab looks at the
// attribute when a key reaches the document, so it is set before. Returns what undoes it.
const ownKeys = root => {
  const mark = event => {
    const passes = (event.ctrlKey || event.metaKey) && event.key !== "Enter";
    if (root.contains(event.target)) root.toggleAttribute("data-lm-suppress-shortcuts", !passes);
  };
  window.addEventListener("keydown", mark, true);
  return () => window.removeEventListener("keydown", mark, true);
};
