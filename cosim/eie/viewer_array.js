// The drawing of the array: the control unit, the bus of broadcasts, and a card for each PE.
const KINDS = [
  {name: "none"},
  {name: "entry", label: "entry: multiplies a weight", state: "multiplies"},
  {name: "padding", label: "padding: a word without a weight", state: "padding"},
  {name: "stalled", label: "stalled: a full queue delays the broadcast", state: "stalled"},
  {name: "starved", label: "starved: waits for a broadcast", state: "starved"},
  {name: "draining", label: "draining: waits for the end of the layer", state: "draining"},
];
const FULL = 8;
const NO_LAYER = 255;
const SUM_AFTER = 4;  // cycles from an entry to its sum

const core = (() => {
  const run = readRun(document.getElementById("run"));
  const {pes, entries, full, places, hops, layers} = run.facts;
  const a = run.arrays;
  const length = a.layer.length;
  const kind = (cycle, pe) => a.activity[cycle * pes + pe] & 7;
  const causes = (cycle) => range(pes).filter((pe) => a.activity[cycle * pes + pe] & FULL);
  const spans = [];
  const begins = new Int32Array(length);  // the first cycle of each cycle's start
  for (let cycle = 0; cycle < length; cycle++) {
    const fresh = cycle === 0 || a.start[cycle] !== a.start[cycle - 1];
    begins[cycle] = fresh ? cycle : begins[cycle - 1];
    const layer = a.layer[cycle];
    if (layer === NO_LAYER || (!fresh && layer === a.layer[cycle - 1])) continue;
    spans.push({begin: cycle, label: `layer ${layer}`});
  }
  const late = plural(1 + hops, "cycle", "cycles");
  const starts = a.start[length - 1] + 1;
  const before = sumsBefore();

  // The sum that a row had before each write: zero before a layer's first.
  function sumsBefore() {
    const found = new Float64Array(length * pes);
    let sums = new Map();
    for (let cycle = 0; cycle < length; cycle++) {
      if (cycle && (a.layer[cycle] !== a.layer[cycle - 1] || a.start[cycle] !== a.start[cycle - 1])) sums = new Map();
      for (let pe = 0; pe < pes; pe++) {
        const cell = cycle * pes + pe;
        if (a.sum_row[cell] < 0) continue;
        const output = a.sum_row[cell] * pes + pe;
        found[cell] = sums.get(output) || 0;
        sums.set(output, a.sum[cell]);
      }
    }
    return found;
  }

  const columnOf = (broadcast) => a.column[broadcast];
  const shortName = (broadcast) => columnOf(broadcast) < 0 ? "bias" : `${columnOf(broadcast)}`;

  // The control unit, and the bus below it.
  const stage = document.getElementById("stage");
  const control = madeControl(stage, "Control unit");
  const bus = made("div", "bus", stage);
  const packet = made("span", "packet", bus);
  const grid = made("div", "pes", stage);
  grid.style.setProperty("--pes", pes);
  const cards = range(pes).map(makeCard);

  function makeCard(pe) {
    const card = made("article", "card pe", grid);
    const head = made("div", "head", card);
    made("h3", "", head, `PE ${pe}`);
    const state = made("span", "state", head);
    const swatch = made("i", "swatch", state);
    const stateText = made("span", "", state);
    const queue = made("div", "part queue", card);
    const queueName = made("div", "name", queue);
    const slots = made("div", "slots", queue);
    const ticks = range(places).map((place) => made("i", place === full ? "limit" : "", slots));
    const next = made("div", "next", queue);
    const word = made("div", "part word", card);
    const wordName = made("div", "name", word);
    const cells = made("div", "cells", word);
    const cell = range(entries).map(() => {
      const box = made("div", "", cells);
      return {box, code: made("b", "", box), skip: made("span", "", box)};
    });
    const multiply = made("div", "part multiply", card);
    const multiplyName = made("div", "name", multiply);
    const product = made("div", "value", multiply);
    const pipe = made("div", "pipe", multiply);
    pipe.setAttribute("aria-hidden", "true");
    const dots = range(SUM_AFTER - 1).map(() => made("i", "", pipe));
    const sum = made("div", "part sum", card);
    const sumName = made("div", "name", sum);
    const sumBox = made("div", "value", sum);
    const [sumValue, sumAdded] = [made("span", "", sumBox), made("span", "added", sumBox)];
    return {card, swatch, stateText, queueName, ticks, next, wordName, cell, multiplyName, product, dots, sum, sumName, sumValue, sumAdded};
  }

  function drawControl(cycle) {
    const layer = a.layer[cycle];
    const start = starts > 1 ? `start ${a.start[cycle]}, ` : "";
    write(control.what, layer === NO_LAYER ? `${start}between layers`
      : `${start}layer ${layer}: ${figure(layers[layer][0])} inputs, ${figure(layers[layer][1])} outputs`);
    const broadcast = a.broadcast[cycle];
    const stalled = a.blocked[cycle];
    control.card.classList.toggle("blocked", Boolean(stalled));
    bus.classList.toggle("live", broadcast >= 0);
    const column = broadcast >= 0 && columnOf(broadcast);
    write(packet, broadcast < 0 ? "" : column < 0 ? `bias, 1 = ${figure(a.activation[broadcast])}`
      : `activation ${column} = ${figure(a.activation[broadcast])}`);
    write(control.does, stalled ? `blocked: ${causes(cycle).length > 1 ? "queues" : "queue"} of ${listed(causes(cycle), "PE")} full`
      : broadcast >= 0 ? "broadcasts" : range(pes).some((pe) => KINDS[kind(cycle, pe)].name === "draining") ? "all columns sent"
      : layer === NO_LAYER ? "idle" : "searches and fetches");
  }

  function drawCard(cycle, pe) {
    const at = cycle * pes + pe;
    const parts = cards[pe];
    const now = KINDS[kind(cycle, pe)];
    parts.card.dataset.kind = now.name;
    parts.swatch.style.background = `var(--${now.name})`;
    parts.card.classList.toggle("cause", a.activity[at] >= FULL);
    write(parts.stateText, now.name === "stalled" ? `stalled by ${listed(causes(cycle), "PE")}` : now.state || "idle");

    const level = a.level[at];
    const fills = level >= full;
    parts.card.classList.toggle("full", fills);
    write(parts.queueName, fills ? `queue: ${level}, full` : `queue: ${plural(level, "column", "columns")}`);
    parts.ticks.forEach((tick, place) => tick.classList.toggle("on", place < level));
    const first = a.columns_of[pe] + a.popped[at];
    const shown = range(Math.min(level, 5)).map((place) => shortName(a.column_broadcast[first + place]));
    write(parts.next, level ? `${shown.join(", ")}${level > shown.length ? " \u2026" : ""}` : "empty");

    drawWord(parts, at);
    const isEntry = now.name === "entry";
    write(parts.multiplyName, isEntry ? `multiply, for output ${figure(a.row[at] * pes + pe)}` : "multiply");
    if (isEntry) {
      const broadcast = a.column_broadcast[a.word_column[a.word[at] - 1]];
      write(parts.product, `${figure(a.weight[at])} \u00d7 ${figure(a.activation[broadcast])}`);
      parts.product.title = "weight times activation";
    } else write(parts.product, "\u2013");
    parts.dots.forEach((dot, index) => {
      const then = cycle - 1 - index;
      dot.classList.toggle("on", then >= begins[cycle] && KINDS[kind(then, pe)].name === "entry");
    });

    const row = a.sum_row[at];
    parts.sum.classList.toggle("written", row >= 0);
    write(parts.sumName, row < 0 ? "sum" : `sum of output ${figure(row * pes + pe)}`);
    const added = a.sum[at] - before[at];
    write(parts.sumValue, row < 0 ? "\u2013" : figure(a.sum[at]));
    write(parts.sumAdded, row < 0 ? "" : `(${added < 0 ? "" : "+"}${figure(added)})`);
  }

  function drawWord(parts, at) {
    const word = a.word[at] - 1;
    const isEntry = (a.activity[at] & 7) === 1;
    write(parts.wordName, word < 0 ? "word" : `word of ${columnOf(a.column_broadcast[a.word_column[word]]) < 0 ? "the bias"
      : `column ${columnOf(a.column_broadcast[a.word_column[word]])}`}`);
    parts.cell.forEach(({box, code, skip}, place) => {
      const of = word * entries + place;
      const weight = word >= 0 && a.is_weight[of];
      const padding = word >= 0 && !weight && a.skips[of] !== 0;
      const now = isEntry && a.place[at] === place;
      box.className = now ? "now" : weight ? (isEntry && place < a.place[at] ? "weight past" : "weight") : padding ? "padding" : "";
      write(code, weight ? `${a.codes[of]}` : padding ? "0" : "");
      write(skip, weight || padding ? `+${a.skips[of]}` : "");
    });
  }

  function say(cycle) {
    const by = {};
    for (let pe = 0; pe < pes; pe++) {
      const name = KINDS[kind(cycle, pe)].name;
      (by[name] = by[name] || []).push(pe);
    }
    const broadcast = a.broadcast[cycle];
    const layer = a.layer[cycle];
    return sentence({
      running: layer !== NO_LAYER, layer, by, pes, full: causes(cycle), blocked: a.blocked[cycle],
      done: cycle > begins[cycle], draining: Boolean(by.draining),
      first: spans.some((span) => span.begin === cycle),
      sent: broadcast >= 0 && {column: columnOf(broadcast), activation: a.activation[broadcast]},
    });
  }

  return {
    length, spans, spanName: "layer", kind, say, rows: pes, kinds: KINDS,
    about: `EIE array of ${plural(pes, "processing element", "processing elements")} (PEs), `
      + `${run.of}, ${figure(length)} cycles, as the RTL's waveform has them.`,
    stripLabel: `What each of the ${pes} PEs does over the whole run, a row for each PE`,
    reading: `<p>The control unit broadcasts each activation that is not zero, and the column of weights that belongs to
      it. A PE that has entries in the column puts it into its <b>queue</b>; a queue that holds ${full} columns is full, and
      the broadcast waits. The control unit sees that
      ${late} later. The PE reads the column word by word. In a <b>word</b> each entry has a code, which names one of
      the shared weights, and below it the zeros that it skips (+). Hatched entries are padding. The entry with the thick
      border is multiplied in this cycle: weight &times; activation. A PE whose full queue delays the broadcast has
      an orange border. The dots are the entries on their way; ${SUM_AFTER}
      cycles after its entry a <b>sum</b> is written, in brackets what was added. All numbers are the integers of the
      hardware. Activation, output, layer and PE are counted from zero.</p>`,
    place: (cycle) => a.layer[cycle] === NO_LAYER ? "no layer" : `layer ${a.layer[cycle]}`,
    isStall: (cycle) => Boolean(a.blocked[cycle]),
    draw(cycle) {
      drawControl(cycle);
      for (let pe = 0; pe < pes; pe++) drawCard(cycle, pe);
    },
  };
})();
