// What happens in a cycle of the array, in a sentence.
function columnName(column) {
  return column < 0 ? "the bias column" : `activation ${column}`;
}

// `by` has the PEs of each activity, `full` those whose queues are full, `sent` the broadcast ({column, activation}).
function sentence({running, draining, blocked, layer, first, done, sent, full, by, pes}) {
  if (!running) return done ? "The array is done." : "The array takes the start.";
  const parts = [];
  if (first) parts.push(`layer ${layer} begins`);
  if (sent) parts.push(`the control unit broadcasts ${columnName(sent.column)}, whose value is ${figure(sent.activation)}`);
  else if (draining) parts.push("all columns of the layer have been sent");
  else if (!blocked && !first) parts.push("no broadcast is sent");
  if (blocked) parts.push(`the next broadcast waits because the ${full.length > 1 ? "queues" : "queue"} of ${listed(full, "PE")} ${full.length > 1 ? "were" : "was"} full when the control unit looked`);
  const busy = by.entry || [];
  if (busy.length === pes && pes > 1) parts.push("every PE multiplies a weight");
  else if (busy.length) parts.push(`${listed(busy, "PE")} ${busy.length > 1 ? "multiply" : "multiplies"} a weight`);
  if (by.padding) parts.push(`${listed(by.padding, "PE")} ${by.padding.length > 1 ? "lose" : "loses"} the cycle to padding`);
  const waits = [
    ["stalled", "for room in a full queue"],
    ["starved", "for a broadcast that has entries for it", "for a broadcast that has entries for them"],
    ["draining", "for the end of the layer"],
  ];
  for (const [kind, one, many] of waits) {
    const found = by[kind];
    if (found) parts.push(`${found.length === pes && pes > 1 ? "every PE waits" : `${listed(found, "PE")} ${found.length > 1 ? "wait" : "waits"}`} ${found.length > 1 && many && found.length < pes ? many : one}`);
  }
  return sentenceOf(parts);
}
