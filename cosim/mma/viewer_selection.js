// The multiplexers of one unit: for each group of B's values those that the metadata choose, above the kept values of A.
// draw() takes, of a step, the values of B, the codes of the groups, the values chosen and those of A; or null.
function makeSelection(facts, parent, write, show) {
  const {k, keep, group, pair, halves, index_bits: indexBits, code_bits: codeBits} = facts;
  const sparse = keep < group;
  const grid = made("div", "groups", parent);
  grid.style.setProperty("--group", group);
  const groups = range(k / keep).map(makeGroup);

  // The place of the group that a kept value takes.
  function placeOf(code, value) {
    if (!sparse) return value;
    const lane = Math.floor(value / pair);
    const index = halves ? code >> 1 & 1 : code >> lane * indexBits & (1 << indexBits) - 1;
    return index * pair + value % pair;
  }

  function makeGroup(number) {
    const box = made("div", "group", grid);
    const name = made("div", "name", box);
    const window = made("div", "window", box);
    window.style.setProperty("--count", group);
    const cells = range(group).map(() => made("b", "", window));
    const svg = drawn("svg", {viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true"}, box);
    const wires = range(keep).map((value) => {
      const middle = 100 * (value + .5) / keep;
      const reach = Math.min(32 / keep, 14);
      const places = sparse ? range(group / pair).map((index) => index * pair + value % pair) : [value];
      const inputs = places.map((place, index) => {
        const from = 100 * (place + .5) / group;
        const to = sparse ? middle - reach + 2 * reach * index / (places.length - 1) : middle;
        return {place, line: drawn("path", {d: `M${from} 0L${to} ${sparse ? 22 : 40}`}, svg)};
      });
      if (sparse) {
        drawn("path", {class: "mux", d: `M${middle - reach * 1.25} 22h${reach * 2.5}l${-reach * .7} 12h${-reach * 1.1}z`}, svg);
        drawn("path", {class: "out", d: `M${middle} 34V40`}, svg);
      }
      return inputs;
    });
    const lanes = made("div", "lanes", box);
    lanes.style.setProperty("--count", keep);
    const products = range(keep).map(() => {
      const lane = made("div", "", lanes);
      return {lane, chosen: made("b", "", lane), kept: made("span", "", lane)};
    });
    return {number, box, name, cells, wires, products};
  }

  function draw(step) {
    grid.classList.toggle("idle", !step);
    for (const {number, box, name, cells, wires, products} of groups) {
      const code = step && sparse ? step.codes[number] : 0;
      const places = range(keep).map((value) => placeOf(code, value));
      write(name, !sparse ? `values ${number * keep} to ${number * keep + keep - 1}` : !step ? `group ${number}`
        : `group ${number}: metadata ${code.toString(2).padStart(codeBits, "0")}, takes ${places.join(", ")}`);
      cells.forEach((cell, place) => {
        write(cell, step ? show(step.window[number * group + place]) : "");
        cell.title = step ? step.window[number * group + place] : "";
        cell.classList.toggle("chosen", Boolean(step) && places.includes(place));
      });
      wires.forEach((inputs, value) => {
        for (const {place, line} of inputs) line.classList.toggle("chosen", Boolean(step) && place === places[value]);
      });
      products.forEach(({lane, chosen, kept}, value) => {
        write(chosen, step ? show(step.chosen[number * keep + value]) : "\u2013");
        write(kept, step ? `\u00d7 ${show(step.kept[number * keep + value])}` : "");
        lane.title = step ? `${step.chosen[number * keep + value]} \u00d7 ${step.kept[number * keep + value]}` : "";
      });
    }
  }
  return draw;
}

function drawn(tag, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}
