// The drawing of the tile: the sequencer, the pipeline, the multiplexers of one unit, the sums of all units, and the
// slots of the one.
const KINDS = [
  {name: "none"},
  {name: "starting", label: "starting: works out the first step"},
  {name: "step", label: "step: its words are fetched"},
  {name: "stalled", label: "stalled: a sum is still in the pipeline"},
  {name: "draining", label: "draining: the last steps are in the pipeline"},
  {name: "sum", label: "sums of a slot are written"},
  {name: "result", label: "results go to D"},
];
const STATES = ["starting", "step", "stalled", "draining", "done"];  // in the numbers of `kind`
const NONE = -1;

const core = (() => {
  const run = readRun(document.getElementById("run"));
  const {m, n, k, keep, group, stages, take, slots, integers, jobs} = run.facts;
  const a = run.arrays;
  const length = a.job.length;
  const units = m * n;
  const window = group * k / keep;
  const groups = k / keep;
  const begins = new Int32Array(length);  // the first cycle of each cycle's job
  const spans = [];
  const held = new Int32Array(length * slots).fill(NONE);  // of each cycle and slot, the step that wrote it last
  for (let cycle = 0; cycle < length; cycle++) {
    const fresh = cycle === 0 || a.job[cycle] !== a.job[cycle - 1];
    begins[cycle] = fresh ? cycle : begins[cycle - 1];
    if (fresh) spans.push({begin: cycle, label: jobs[a.job[cycle]][0]});
    else held.copyWithin(cycle * slots, (cycle - 1) * slots, cycle * slots);
    if (a.written[cycle] !== NONE) held[cycle * slots + a.slot[a.written[cycle]]] = a.written[cycle];
  }
  const sparse = keep < group;
  let unit = 0;
  let now = 0;

  const operand = (value) => integers ? figure(value) : real(value, 3);
  const total = (value) => integers ? figure(value) : real(value, 7);

  function real(value, digits) {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value < 0 ? "\u2212\u221e" : "\u221e";
    return `${Object.is(value, -0) ? "-" : ""}${Number(value.toPrecision(digits))}`.replace(/-/g, "\u2212");
  }

  const stepOf = (step) => step === NONE ? null
    : {sum: a.sum[step], number: a.number[step], slot: a.slot[step], last: a.last[step]};

  // The row and the column of D that a unit's sum has, and whether it lies beyond the matrix.
  function elementOf(job, sum, of) {
    const [, rows, columns, , firstRow, firstColumn] = jobs[job];
    const row = (firstRow + sum % a.rows[job]) * m + Math.floor(of / n);
    const column = (firstColumn + Math.floor(sum / a.rows[job])) * n + of % n;
    return {row, column, beyond: row >= rows || column >= columns};
  }

  const stage = document.getElementById("stage");
  const control = madeControl(stage, "Sequencer");

  const pipeline = made("div", "card pipeline", stage);
  made("h2", "", pipeline, "Pipeline");
  made("p", "name", pipeline, "the slot of the step in each stage");
  const pipes = made("div", "pipes", pipeline);
  const boxes = range(stages + 4).map((place) => {
    const box = made("div", place === take + 2 ? "takes" : "", pipes);
    const name = ["fetch", "read", "mux"][place] || (place === stages + 3 ? "sum" : place === take + 2 ? "take" : `${place - 2}`);
    return {box, slot: made("b", "", box), name: made("span", "", box, name)};
  });

  const selection = made("div", "card selection", stage);
  const selectionTitle = made("h2", "", selection);
  const selectionStep = made("p", "name", selection);
  const drawSelection = makeSelection(run.facts, selection, write, operand);

  const below = made("div", "below", stage);
  const grid = made("div", "card sums", below);
  made("h2", "", grid, "Sums of all units");
  const gridStep = made("p", "name", grid);
  const table = made("div", "units", grid);
  table.style.setProperty("--columns", n);
  made("span", "", table);
  range(n).forEach((column) => made("span", "title", table, `column ${column}`));
  const cards = range(units).map((of) => {
    if (of % n === 0) made("span", "title", table, `row ${of / n}`);
    const card = made("button", "unit", table);
    card.type = "button";
    card.onclick = () => { unit = of; draw(now); };
    return {card, value: made("b", "", card), added: made("span", "added", card)};
  });
  const memory = made("div", "card accumulators", below);
  const memoryTitle = made("h2", "", memory);
  made("p", "name", memory, "the sum that each slot holds, and its place in D");
  const list = made("div", "slots", memory);
  const places = range(slots).map((slot) => {
    const box = made("div", "slot", list);
    const head = made("div", "name", box);
    made("span", "", head, `slot ${slot}`);
    return {box, element: made("span", "", head), value: made("b", "", box), mark: made("span", "mark", box)};
  });

  function drawControl(cycle) {
    const job = a.job[cycle];
    const [title, rows, columns, depth] = jobs[job];
    write(control.what, `${title}: ${figure(rows)} \u00d7 ${figure(columns)} sums, ${figure(depth)} deep, ${a.dense[job] ? "dense" : run.facts.pattern}`);
    const state = STATES[a.kind[cycle]];
    control.card.classList.toggle("blocked", state === "stalled");
    const step = stepOf(a.fetched[cycle]);
    write(control.does, step ? `fetches step ${step.number} of sum ${step.sum}, slot ${step.slot}${a.reads_b[a.fetched[cycle]] ? ", reads B" : ""}`
      : {starting: "works out the first step", stalled: "stalled: waits for a sum", draining: "all steps fetched", done: "done"}[state]);
    boxes.forEach(({box, slot}, place) => {
      const back = cycle - (place < 2 ? place : place - 2);
      const there = back < begins[cycle] ? NONE : (place < 2 ? a.fetched : a.entered)[back];
      box.classList.toggle("on", there !== NONE);
      write(slot, there === NONE ? "" : `${a.slot[there]}`);
    });
  }

  function drawUnit(cycle) {
    const [row, column] = [Math.floor(unit / n), unit % n];
    const step = a.entered[cycle];
    write(selectionTitle, `${sparse ? "Multiplexers" : "Operands"} of row ${row}, column ${column}`);
    write(selectionStep, step === NONE ? "no step enters the tile"
      : `step ${a.number[step]} of sum ${a.sum[step]} enters: ${window} values of column ${column} of B, above the ${k} kept values of row ${row} of A`
        + `${sparse && a.dense[a.job[cycle]] ? `, dense in phase ${a.phase[step]}` : ""}`);
    const word = (values, number, size) => values.subarray(number * size, number * size + size);
    drawSelection(step === NONE ? null : {
      window: word(a.b_values, a.b[step * n + column], window),
      codes: sparse ? word(a.code_values, a.codes[step * m + row], groups) : [],
      chosen: sparse ? word(a.chosen_values, a.chosen[step * units + unit], k) : word(a.b_values, a.b[step * n + column], window),
      kept: word(a.a_values, a.a[step * m + row], k),
    });
  }

  // What a unit's sum was before a step: what it began with, or what the step before of the same sum wrote.
  function before(step, of) {
    if (a.begins[step] !== NONE) return a.c[a.begins[step] * units + of];
    let earlier = step - 1;
    while (a.sum[earlier] !== a.sum[step]) earlier--;
    return a.d[earlier * units + of];
  }

  function drawSums(cycle) {
    const step = a.written[cycle];
    const job = a.job[cycle];
    write(gridStep, step === NONE ? "no sum is written" : `${a.last[step] ? "results of" : "after"} step ${a.number[step]} of sum ${a.sum[step]}, slot ${a.slot[step]}; in brackets what was added`);
    cards.forEach(({card, value, added}, of) => {
      const element = step === NONE ? null : elementOf(job, a.sum[step], of);
      card.className = `unit${step === NONE ? "" : a.last[step] ? " result" : " written"}${element && element.beyond ? " beyond" : ""}`;
      card.setAttribute("aria-pressed", of === unit);
      const text = step === NONE ? "\u2013" : integers ? figure(a.d[step * units + of]) : real(a.d[step * units + of], 5);
      const change = step === NONE ? 0 : a.d[step * units + of] - before(step, of);
      write(value, text);
      write(added, step === NONE ? "" : `(${change < 0 ? "" : "+"}${integers ? figure(change) : real(change, 3)})`);
      card.setAttribute("aria-label", `row ${Math.floor(of / n)}, column ${of % n}: ${step === NONE ? "no sum" : text}`);
    });
  }

  function drawSlots(cycle) {
    write(memoryTitle, `Slots of row ${Math.floor(unit / n)}, column ${unit % n}`);
    const [taken, written] = [stepOf(a.taken[cycle]), stepOf(a.written[cycle])];
    places.forEach(({box, element, value, mark}, slot) => {
      const step = held[cycle * slots + slot];
      const takes = taken && taken.slot === slot;
      const fresh = written && written.slot === slot;
      const of = step === NONE ? null : elementOf(a.job[cycle], a.sum[step], unit);
      box.className = `slot${fresh ? (written.last ? " result" : " written") : ""}${takes ? " takes" : ""}${step !== NONE && a.last[step] && !fresh ? " past" : ""}`;
      write(element, of ? (of.beyond ? "beyond D" : `D ${of.row}, ${of.column}`) : "");
      write(value, step === NONE ? "\u2013" : total(a.d[step * units + unit]));
      const start = takes && a.begins[a.taken[cycle]];
      // A sum that is written in this cycle goes to the unit without the slot.
      const ready = step !== NONE && takes && a.sum[step] === taken.sum && a.number[step] === taken.number - 1;
      write(mark, takes ? (start === NONE ? (ready ? "taken" : "forwarded") : `from C: ${operand(a.c[start * units + unit])}`)
        : fresh ? (written.last ? "to D" : "written") : "");
    });
  }

  function draw(cycle) {
    now = cycle;
    drawControl(cycle);
    drawUnit(cycle);
    drawSums(cycle);
    drawSlots(cycle);
  }

  function say(cycle) {
    const fetched = a.fetched[cycle];
    return sentence({
      title: jobs[a.job[cycle]][0], first: cycle === begins[cycle], kind: STATES[a.kind[cycle]], sparse,
      fetched: stepOf(fetched), readsB: fetched !== NONE && a.reads_b[fetched],
      entered: stepOf(a.entered[cycle]), written: stepOf(a.written[cycle]), illegal: a.illegal[cycle],
    });
  }

  function kind(cycle, row) {
    const written = a.written[cycle];
    if (row === 1) return written === NONE ? 0 : a.last[written] ? 6 : 5;
    return STATES[a.kind[cycle]] === "done" ? 0 : a.kind[cycle] + 1;
  }

  return {
    length, spans, spanName: "job", kind, say, draw, rows: 2, kinds: KINDS,
    about: `N:M tile of ${m} \u00d7 ${n} units with ${plural(k, "multiplier", "multipliers")} each, ${run.facts.dtype} to ${run.facts.out}, `
      + `${run.of}, ${figure(length)} cycles, as the RTL's waveform has them.`,
    stripLabel: "What the sequencer does over the whole run, and below it when sums are written",
    reading: `<p>The tile computes D = A B + C, ${m} rows and ${n} columns at a time. A <b>step</b> gives each unit ${k}
      kept values of its row of A and ${window} values of its column of B. ${sparse ? `Of each ${group} values of B a unit
      multiplies ${keep}: the <b>metadata</b> beside A steer a multiplexer for each kept value.` : "This tile is for dense matrices and has no multiplexers."}
      The drawing shows the multiplexers of one unit; choose another by its sum. ${take} cycles after a step entered, its
      unit takes the <b>sum</b> so far from the step's slot (forwarded where it is still being written), or begins with C; ${stages + 1} cycles after it entered, the
      new sum stands there. All units work on one sum each at a time; what this page calls a sum are those of all units together. Several sums take turns, so that no step waits for the one before of its own sum. A job that
      has fewer sums than that takes is stalled. All values are the hardware's own; those
      with a dashed border lie beyond the matrix. Rows, columns, sums, steps and slots are counted from zero.</p>`,
    place: (cycle) => jobs[a.job[cycle]][0],
    isStall: (cycle) => STATES[a.kind[cycle]] === "stalled",
  };
})();
