// The run: facts, and arrays by name, as the page's JSON holds them (packed.py).
function readRun(element) {
  const run = JSON.parse(element.textContent);
  element.remove();
  const types = {Uint8Array, Uint16Array, Int16Array, Uint32Array, Int32Array, Float32Array, Float64Array};
  const arrays = {};
  for (const [name, pack] of Object.entries(run.arrays)) {
    const text = atob(pack.data);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
    arrays[name] = new types[pack.type](bytes.buffer);
  }
  return {...run, arrays};
}

// A new element; `parent` gets it as its last child.
function made(tag, kind, parent, text) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

// The card of what steers the core: what it works at, and what it does in a cycle.
function madeControl(stage, title) {
  const card = made("div", "card control", stage);
  made("h2", "", card, title);
  return {card, what: made("p", "what", card), does: made("p", "does", card)};
}

// Browsers lay out again what is written, even where it stays the same.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const number = new Intl.NumberFormat("en", {signDisplay: "negative"});
const figure = (value) => number.format(value).replace("-", "\u2212");
