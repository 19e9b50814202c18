// What a screen reader gets of a panel: the sentence as the picture's alternative text, and lines that are
// announced when they change. It sets attributes of the panel it lies in, and text only as attribute values.
const LIVE = { ".vnb-sentence": "polite", ".vnb-error": "assertive", ".vnb-saved": "polite" };

function dress(el, said) {
  const panel = el.closest(".vnb-panel");
  if (!panel || !panel.querySelector(".vnb-sentence")) return false;
  for (const [name, how] of Object.entries(LIVE)) {
    const line = panel.querySelector(name);
    if (line) { line.setAttribute("aria-live", how); line.setAttribute("role", how === "polite" ? "status" : "alert"); }
  }
  for (const picture of panel.querySelectorAll("img.vnb-picture")) picture.alt = said;
  return true;
}

function render({ model, el }) {
  el.hidden = true;
  let tries = 100, timer = null;
  const again = () => {
    if (!dress(el, model.get("said")) && tries-- > 0) timer = setTimeout(again, 50); // not in the page yet
  };
  model.on("change:said", again);
  again();
  return () => { model.off("change:said", again); clearTimeout(timer); };
}

export default { render };
