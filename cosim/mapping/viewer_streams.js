// The drawing of the mapping unit: two sorted lists, the merger, and what is found behind it.
const KINDS = [
  {name: "none"},
  {name: "list-a", label: "a block of list a enters"},
  {name: "list-b", label: "a block of list b enters"},
  {name: "merged", label: "a sorted block leaves"},
  {name: "match", label: "triples are found"},
];
const PHASES = ["presort", "merge", "map"];  // in the numbers of `phase`
const NONE = -1;

const core = (() => {
  const run = readRun(document.getElementById("run"));
  const {width, dims, offsets, sorts, first_offsets: firstOffsets} = run.facts;
  const a = run.arrays;
  const length = a.job.length;
  const batches = a.coordinates.some((value, place) => place % (dims + 1) === 0 && value !== 0 && !a.absent[Math.floor(place / (dims + 1))]);
  const phaseOf = (cycle) => PHASES[a.phase[cycle]];
  const begins = new Int32Array(length);  // the first cycle of each cycle's job
  const inside = new Int32Array(length);  // blocks between the readers and what leaves
  const spans = [];
  for (let cycle = 0; cycle < length; cycle++) {
    const fresh = cycle === 0 || a.job[cycle] !== a.job[cycle - 1];
    begins[cycle] = fresh ? cycle : begins[cycle - 1];
    const entered = (a.a[cycle] !== NONE) + (a.b[cycle] !== NONE);
    inside[cycle] = (fresh ? 0 : inside[cycle - 1]) + entered - (a.merged[cycle] !== NONE);
    if (fresh || a.part[cycle] !== a.part[cycle - 1]) spans.push({begin: cycle, label: partName(cycle).replace(/.*, /, "")});
  }

  function jobName(cycle) {
    const job = a.job[cycle];
    return job < sorts.length ? `sort of ${sorts[job]}` : "map";
  }

  function offsetOf(cycle) {
    return offsets[firstOffsets[a.job[cycle] - sorts.length] + a.part[cycle]];
  }

  function partName(cycle) {
    if (phaseOf(cycle) === "map") return `offset ${firstOffsets[a.job[cycle] - sorts.length] + a.part[cycle]}`;
    return `${jobName(cycle)}, pass ${a.part[cycle]}`;
  }

  const tuple = (numbers) => `(${Array.from(numbers, figure).join(", ")})`;

  const stage = document.getElementById("stage");
  const {what, does} = madeControl(stage, "Sequencer");
  const lists = made("div", "lists", stage);
  const [listA, listB] = [makeBlock("list-a", lists), makeBlock("list-b", lists)];
  const merger = made("div", "merger", stage);
  const mergerName = made("b", "", merger);
  const mergerCount = made("span", "", merger);
  const merged = makeBlock("merged", stage);
  const found = made("div", "card found", stage);
  const foundName = made("h2", "", found);
  const foundCount = made("p", "name", found);
  const chips = made("ul", "chips", found);

  function makeBlock(kind, parent) {
    const card = made("div", `card block ${kind}`, parent);
    const name = made("h2", "", card);
    const about = made("p", "name", card);
    const cells = made("div", "entries", card);
    const entries = range(width).map(() => {
      const cell = made("div", "entry", cells);
      return {cell, place: made("b", "", cell), index: made("span", "", cell)};
    });
    return {card, name, about, entries};
  }

  function drawBlock({card, name, about, entries}, block, title, said, matched, coloured) {
    write(name, title);
    write(about, said);
    card.classList.toggle("live", block !== NONE);
    entries.forEach(({cell, place, index}, at) => {
      const of = block * width + at;
      const there = block !== NONE && !a.absent[of];
      const source = there && coloured ? (a.source[of] ? " output" : " input") : "";
      cell.className = `entry${there ? source : " nothing"}${matched.has(at) ? " matched" : ""}`;
      const point = there ? a.coordinates.subarray(of * (dims + 1), (of + 1) * (dims + 1)) : [];
      write(place, there ? `${batches ? `${point[0]}: ` : ""}${Array.from(point.slice(1), figure).join(", ")}` : block === NONE ? "" : "\u2013");
      write(index, there ? `#${a.index[of]}` : "");
    });
  }

  // The places of a block that make the triples which the matcher finds in it.
  function matchedOf(cycle) {
    const [block, taken] = [a.merged[cycle], a.taken[cycle]];
    const places = new Set();
    if (taken === NONE) return places;
    for (let triple = a.first_triple[taken]; triple < a.first_triple[taken + 1]; triple++) {
      for (const place of [2 * a.slots[triple], 2 * a.slots[triple] + 1]) {
        const of = block * width + place;
        if (place < width && a.source[of] && a.index[of] === a.triples[3 * triple + 2]) {
          places.add(place);
          if (place) places.add(place - 1);
        }
      }
    }
    return places;
  }

  function draw(cycle) {
    const phase = phaseOf(cycle);
    const offset = phase === "map" && offsetOf(cycle);
    const none = new Set();
    write(what, phase === "map" ? `map, offset ${firstOffsets[a.job[cycle] - sorts.length] + a.part[cycle]} of ${offsets.length}: ${tuple(offset)}` : partName(cycle));
    write(does, {presort: "sorts each word", merge: "merges runs", map: "merges both lists"}[phase]);
    const says = (list, said) => list === NONE ? "no block enters in this cycle" : said;
    drawBlock(listA, a.a[cycle], phase === "map" ? `List a: outputs moved by ${tuple(offset)}` : "List a", says(a.a[cycle], phase === "presort" ? "a word enters the block sorter" : "a block enters the merger"), none, phase === "map");
    drawBlock(listB, a.b[cycle], phase === "map" ? "List b: inputs" : "List b", phase === "presort" ? "not used in this pass" : says(a.b[cycle], "a block enters the merger"), none, phase === "map");
    write(mergerName, phase === "presort" ? "Block sorter" : "Merger");
    write(mergerCount, `${plural(inside[cycle], "block", "blocks")} inside`);
    const matched = matchedOf(cycle);
    drawBlock(merged, a.merged[cycle], phase === "presort" ? "Sorted block" : "Merged block",
      a.merged[cycle] === NONE ? "no block leaves in this cycle" : phase === "map" ? "neighbours of the same place are a pair" : "goes back to the memory", matched, phase === "map");
    const given = a.given[cycle];
    const [first, end] = given === NONE ? [0, 0] : [a.first_triple[given], a.first_triple[given + 1]];
    write(foundName, phase === "map" ? "Triples: offset, input, output" : "Keys");
    write(foundCount, phase === "map" ? `${given === NONE ? "nothing comes from the matcher" : `${plural(end - first, "triple", "triples")} in the block before`}; ${figure(a.left[cycle])} of this job have left`
      : `${figure(a.left[cycle])} of this pass have been stored`);
    chips.replaceChildren();
    for (let triple = first; triple < end; triple++) {
      const [number, input, output] = a.triples.subarray(3 * triple, 3 * triple + 3);
      made("li", "", chips, `${number}, #${input}, #${output}`);
    }
  }

  function say(cycle) {
    const given = a.given[cycle];
    return sentence({
      phase: phaseOf(cycle), first: cycle === begins[cycle], job: jobName(cycle), part: a.part[cycle],
      a: a.a[cycle] !== NONE, b: a.b[cycle] !== NONE, merged: a.merged[cycle] !== NONE, given: given !== NONE,
      triples: given === NONE ? 0 : a.first_triple[given + 1] - a.first_triple[given],
      done: cycle + 1 === length || a.job[cycle + 1] !== a.job[cycle],
    });
  }

  function kind(cycle, row) {
    if (row < 3) return [a.a, a.b, a.merged][row][cycle] === NONE ? 0 : row + 1;
    const given = a.given[cycle];
    return given !== NONE && a.first_triple[given + 1] > a.first_triple[given] ? 4 : 0;
  }

  return {
    length, spans, spanName: "pass", kind, say, draw, rows: 4, kinds: KINDS,
    about: `Mapping unit that merges ${plural(width, "key", "keys")} a cycle, ${run.of}, ${figure(length)} cycles, as the RTL's waveform has them.`,
    stripLabel: "When blocks of both lists enter, when blocks leave, and when triples are found, over the whole run",
    reading: `<p>The unit sorts the points, and finds for each <b>offset</b> of a kernel the pairs of an output and an input
      at the output's place plus the offset. In each cycle a reader gives a <b>block</b> of ${width} sorted keys: the
      coordinates of a point, and its number (#). For a map, list a has the outputs, moved by the offset, and list b the inputs.
      The <b>merger</b> makes one sorted stream of both; where an input and an output of the same place stand side by
      side (black border), they are a <b>triple</b> of the map, which the matcher gives in the next cycle. For each
      offset both lists pass once. A sort begins with a pass in which each word is sorted by itself; each
      further pass merges runs into longer ones. A stall is a cycle in which no block enters. Passes, offsets and
      points are counted from zero.</p>`,
    place: partName,
    isStall: (cycle) => a.a[cycle] === NONE && a.b[cycle] === NONE,
  };
})();
