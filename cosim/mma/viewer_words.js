// What happens in a cycle of the tile, in a sentence.
// `title` names the job, `kind` is what the sequencer does; `fetched`, `entered` and `written` are steps ({sum, number,
// slot, last}) or null, `readsB` is whether a word of B is read for the first.
function sentence({title, first, kind, sparse, fetched, readsB, entered, written, illegal}) {
  const parts = [];
  const named = ({sum, number, slot}) => `step ${number} of sum ${sum} (slot ${slot})`;
  if (first) parts.push(`the sequencer takes a job, ${title}`);
  if (fetched) parts.push(`the sequencer fetches ${named(fetched)}${readsB ? " and a new word of B" : ", with the word of B that is there"}`);
  if (entered) parts.push(`${named(entered)} enters the tile, ${sparse ? "whose multiplexers choose values of B by the metadata of A" : "which multiplies all values"}`);
  if (written) {
    parts.push(written.last ? `sum ${written.sum} is finished and goes to D` : `slot ${written.slot} gets the sum of ${named(written)}`);
  }
  if (kind === "starting" && !first) parts.push("the sequencer works out the first step");
  if (kind === "stalled") parts.push("no step is fetched: the next one needs a sum that is still in the pipeline");
  if (kind === "draining") parts.push("all steps have been fetched, and the last ones are in the pipeline");
  if (kind === "done") parts.push("the job is done");
  if (illegal) parts.push("the flag for illegal metadata is set");
  return sentenceOf(parts);
}
