// Elements of the operator's page: found, filled, made. What was typed or recorded is set as text, never as HTML.
window.console_elements = (() => {
  const find = (id) => document.getElementById(id);
  const text = (id, words) => { const e = find(id); if (e && e.textContent !== words) e.textContent = words; };
  const attribute = (e, name, value) => { if (e && e.getAttribute(name) !== value) e.setAttribute(name, value); };
  const node = (tag, name, words) => { const e = document.createElement(tag); if (name) e.className = name; if (words !== undefined) e.textContent = words; return e; };
  const icon = (name) => { const e = node('i', 'material-icons', name); e.setAttribute('aria-hidden', 'true'); return e; };
  return {find, text, attribute, node, icon};
})();
