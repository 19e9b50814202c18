// Runs in JupyterLab's page before its own code; needs --LabApp.expose_app_in_browser=True.
(() => {
  const CONTROLS = '.noUi-handle, .widget-dropdown select, .widget-select select, .widget-toggle-buttons';
  const FIGURES = 'img, canvas, svg, [data-figure]';  // [data-figure]: a view made of elements
  const shown = e => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0; };
  const big = e => { const r = e.getBoundingClientRect(); return r.width > 40 && r.height > 40; };
  const hash = data => { let h = 2166136261; for (const d of data) { h ^= d; h = Math.imul(h, 16777619); } return h >>> 0; };
  const text = s => hash(new TextEncoder().encode(s));

  // A view made of elements, without what only repeats the state of the controls: titles of layer and head, marks
  // of choice. The map keeps its title: where no measure is defined, that is all there is of one.
  const TOLD = '.vnb-ex-pane .vnb-ex-title, .vnb-ex-status, .vnb-ex-said, .vnb-flow-said, .vnb-flow-legend, .vnb-flow-heading';
  const content = e => {
    const copy = e.cloneNode(true);
    copy.querySelectorAll(TOLD).forEach(one => one.remove());
    for (const name of ['aria-pressed', 'tabindex']) copy.querySelectorAll(`[${name}]`).forEach(one => one.removeAttribute(name));
    return copy.outerHTML;
  };

  // The pixels of a picture as decoded, null while it is still decoding.
  const pixels = e => {
    if (e.tagName.toLowerCase() === 'svg' || e.dataset.figure) return 'svg' + text(content(e));
    if (e.tagName === 'IMG' && !(e.complete && e.naturalWidth)) return null;
    const w = e.naturalWidth || e.width, h = e.naturalHeight || e.height;
    const canvas = document.createElement('canvas'); canvas.width = w; canvas.height = h;
    const context = canvas.getContext('2d', {willReadFrequently: true}); context.drawImage(e, 0, 0);
    return `${w}x${h}:${hash(context.getImageData(0, 0, w, h).data)}`;
  };
  const widget = () => window.jupyterapp && window.jupyterapp.shell.currentWidget;
  const kernel = () => { const c = widget()?.context?.sessionContext; return c?.isReady ? c.session?.kernel : null; };
  const controls = () => [...document.querySelectorAll(CONTROLS)].filter(shown);

  // A control drives figures of its own panel: the nearest ancestor inside its output that holds one. Chosen
  // once, so that no other figure stands in for one that an error took away.
  const panel = control => {
    if (control.__panel) return control.__panel;
    for (let p = control.parentElement; p && !p.matches('.jp-OutputArea-child'); p = p.parentElement)
      if ([...p.querySelectorAll(FIGURES)].some(big)) return control.__panel = p;
    return null;
  };
  const signature = control => {
    const parts = [...panel(control).querySelectorAll(FIGURES)].filter(big).map(pixels);
    return parts.length && parts.every(p => p !== null) ? parts.join('|') : null;
  };

  const errors = [];
  window.lab = {
    ready: () => { const k = kernel(); return !!k && k.connectionStatus === 'connected' && k.status === 'idle'; },
    listen: () => kernel().iopubMessage.connect((_, m) => {
      // an exception in a widget's callback is shown nowhere in the notebook
      if (m.header.msg_type === 'error' && m.parent_header.msg_type === 'comm_msg')
        errors.push(`${m.content.ename}: ${m.content.evalue}`);
    }),
    callbackErrors: () => errors,
    runAll: () => window.jupyterapp.commands.execute('notebook:run-all-cells'),
    cells: () => [...widget().content.model.cells].filter(c => c.type === 'code').map(c => ({
      source: c.sharedModel.getSource(), count: c.executionCount,
      errors: c.outputs.toJSON().filter(o => o.output_type === 'error').map(o => `${o.ename}: ${o.evalue}`)})),
    drawn: () => !/Loading widget/.test(document.body.innerText) && [...document.images].every(i => i.complete),
    controls: () => controls().map((e, i) => ({
      index: i, figure: panel(e) !== null,
      kind: e.matches('select') ? 'select' : e.matches('.noUi-handle') ? 'slider' : 'buttons',
      label: (e.closest('.jupyter-widgets')?.querySelector('.widget-label')?.innerText || '').trim(),
      choices: e.matches('select') ? e.options.length : e.querySelectorAll('button').length,
      disabled: e.disabled || !!e.closest('[disabled]')})),
    control: i => controls()[i],
    value: e => e.matches('select') ? String(e.selectedIndex) : e.matches('.noUi-handle') ? e.getAttribute('aria-valuetext')
      : String([...e.querySelectorAll('button')].findIndex(b => b.classList.contains('mod-active'))),
    // Move a control by one step, as far as that needs no real key press.
    choose: e => {
      if (e.matches('select')) {
        e.selectedIndex = (e.selectedIndex + 1) % e.options.length;
        e.dispatchEvent(new Event('change', {bubbles: true}));
      } else {
        const all = [...e.querySelectorAll('button')];
        all[(all.findIndex(b => b.classList.contains('mod-active')) + 1) % all.length].click();
      }
    },
    signature,
    // The panel's pixels once they have held still for two frames.
    settled: e => new Promise(resolve => {
      let last = null;
      const step = () => {
        const now = signature(e);
        if (now !== null && now === last) return resolve(now);
        last = now; requestAnimationFrame(step);
      };
      step();
    }),
    // From now on wait for pixels other than `before`; `passed` gives the milliseconds, null after `limit`.
    watch: (e, before, limit) => { window.lab.passed = new Promise(resolve => {
      const start = performance.now();
      const step = () => {
        const now = signature(e), passed = performance.now() - start;
        if (now !== null && now !== before) return resolve(passed);
        if (passed > limit) return resolve(null);
        requestAnimationFrame(step);
      };
      step();
    }); },
    bottom: () => {
      const outer = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer');
      outer.scrollTop = 0;
      return [...outer.querySelectorAll('.jp-Cell')].pop().getBoundingClientRect().bottom;
    },
  };
})();
