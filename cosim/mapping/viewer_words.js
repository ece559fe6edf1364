// What happens in a cycle of the mapping unit, in a sentence.
// `phase` is presort, merge or map, `first` whether a job begins, called `job`; `a`, `b`, `merged` and `given` are whether
// a block passes there, `triples` how many are found, `done` whether the job ends.
function sentence({phase, first, job, part, a, b, merged, given, triples, done}) {
  const parts = [];
  if (first) parts.push(`the sequencer takes a job, ${job}`);
  const lists = phase === "map" ? ["the outputs, moved by the offset,", "the inputs"] : ["run a", "run b"];
  if (phase === "presort") {
    if (a) parts.push("a block of the list enters the block sorter");
    if (merged) parts.push("a sorted block leaves the block sorter");
  } else {
    if (a && b) parts.push(`a block of ${lists[0]} and one of ${lists[1]} enter the merger`);
    else if (a || b) parts.push(`a block of ${lists[a ? 0 : 1]} enters the merger`);
    if (merged) parts.push("a merged block leaves it");
  }
  if (given) parts.push(triples ? `the matcher gives ${plural(triples, "triple", "triples")}` : "the matcher finds no pair in the block before");
  if (done) parts.push("the job is done");
  if (!parts.length) parts.push(`no block passes: the pipeline ${part ? "fills or empties between two passes" : "fills or empties"}`);
  return sentenceOf(parts);
}
